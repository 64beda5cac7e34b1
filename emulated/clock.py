"""A virtual CLOCK_MONOTONIC for one Python process, so that it lives hours in seconds.

    if __name__ == "__main__":
        reexec()  # starts this command again under the clock, once
        virtual.set(0)
        for t_ns in range(0, 3600 * 10**9, 50_000_000):
            virtual.set(t_ns)
            sampler.read_now()

or from outside: `run_virtual([sys.executable, "script.py"])`. clock.c says what is virtual: reading
the clock and sleeping. The wall clock goes along with it; CPU time and everything else are real.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emulated.build import shared_library

__all__ = ["STEP_NS", "environment", "library", "reexec", "run_virtual", "virtual"]

STEP_NS = 300
"""A reading of the clock takes so long, unless said otherwise: about what it takes really."""
VARIABLE = "EMULATED_CLOCK"
TEMPORARY = "EMULATED_CLOCK_TEMPORARY"


def library() -> Path:
    """The compiled shim. Raises NoCompilerError."""
    return shared_library("libemulated-clock.so", [Path(__file__).with_name("clock.c")])


def environment(path: Path, *, start_ns: int = 0, step_ns: int = STEP_NS) -> dict[str, str]:
    """Variables that put a process on a clock kept in `path`, which begins at `start_ns`.

    Processes started with the same `path` share the clock.
    """
    path.write_bytes(struct.pack("=3q", start_ns, step_ns, time.time_ns() - start_ns))
    loaded = [str(library()), *filter(None, [os.environ.get("LD_PRELOAD")])]
    return {VARIABLE: str(path), "LD_PRELOAD": ":".join(loaded)}


def run_virtual(
    argv: Sequence[str | Path], *, start_ns: int = 0, step_ns: int = STEP_NS, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command under a clock of its own; `options` are subprocess.run's."""
    with tempfile.TemporaryDirectory() as folder:
        clock = environment(Path(folder) / "clock", start_ns=start_ns, step_ns=step_ns)
        env = {**(options.pop("env", None) or os.environ), **clock}
        return subprocess.run(
            [str(a) for a in argv], env=env, text=True, check=options.pop("check", True), **options
        )


def reexec(*, start_ns: int = 0, step_ns: int = STEP_NS) -> None:
    """Start this Python process again, with its arguments, under a clock. Nothing when it is."""
    if virtual.active:
        if temporary := os.environ.pop(TEMPORARY, None):
            # Kept till the end: processes that this one starts share the clock.
            atexit.register(Path(temporary).unlink, missing_ok=True)
        return
    handle, name = tempfile.mkstemp(prefix="perwatt-clock-")
    os.close(handle)
    clock = environment(Path(name), start_ns=start_ns, step_ns=step_ns)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, sys.orig_argv, {**os.environ, **clock, TEMPORARY: name})


class _Virtual:
    """This process's clock. Setting it where there is none is a RuntimeError."""

    def __init__(self) -> None:
        self._shim = ctypes.CDLL(None)
        try:
            now = self._shim.emulated_clock_now
        except AttributeError:
            self.active = False
            return
        now.restype = ctypes.c_int64
        self._now = now
        self._set = self._called("emulated_clock_set")
        self._spend = self._called("emulated_clock_spend")
        self._step = self._called("emulated_clock_step")
        self._step_wall = self._called("emulated_clock_step_wall")
        self.active = bool(self._shim.emulated_clock_active())

    def now_ns(self) -> int:
        """The time, without moving it on as time.monotonic_ns() does."""
        self._must()
        return int(self._now())

    def set(self, t_ns: int) -> None:
        """Put the clock at `t_ns`, back too: what a clock must never do can so be tried."""
        self._must()
        self._set(t_ns)

    def advance(self, ns: int) -> None:
        self._must()
        self._spend(ns)

    def set_step(self, ns: int) -> None:
        """Let each reading of the clock move it on by `ns`."""
        self._must()
        self._step(ns)

    def step_wall(self, ns: int) -> None:
        """Put the wall clock forward by `ns` (back, below 0), as a clock that is set does."""
        self._must()
        self._step_wall(ns)

    def _called(self, name: str) -> Any:
        function = getattr(self._shim, name)
        function.argtypes = [ctypes.c_int64]
        function.restype = None
        return function

    def _must(self) -> None:
        if not self.active:
            msg = "this process is not under the virtual clock: call emulated.clock.reexec() first"
            raise RuntimeError(msg)


virtual = _Virtual()
