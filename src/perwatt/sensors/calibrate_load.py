"""Known loads of the CPU, by child processes that end with the block that started them.

One load draws unlike watts by what is computed and on which cores: on the hosts of CodeCarbon's
profiles, watts at the same load on some cores and over all differ by up to 3.6 times
(benchmarks/estimate_error.py). So each round has another of four kinds, and the residual of the fit
holds their differences.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from perwatt.core.errors import PerwattError

__all__ = ["KINDS", "CpuLoad", "Load", "usable_cores"]

KINDS = ("some-cores integer", "all-cores matrix", "all-cores integer", "some-cores matrix")
"""Which cores, and the work. Any two that follow each other differ in both."""
START_S = 30.0
STOP_S = 2.0
CHILD = Path(__file__).with_name("calibrate_child.py")


class Load(Protocol):
    """Something that can be kept busy to a known share."""

    def set(self, share: float, kind: str) -> None:
        """From now on `share` (0 to 1) of all cores is busy with `kind`."""
        ...


class CpuLoad:
    """One worker for each core, as a context. Raises PerwattError where they do not start."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        try:
            for _ in range(self._cores):
                worker = subprocess.Popen(
                    [sys.executable, str(CHILD)],
                    bufsize=0,  # else closing the pipe of a dead worker fails on what is left in it
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, **one_thread},
                )
                self._workers.append(worker)
            deadline = time.monotonic() + START_S
            for worker in self._workers:
                assert worker.stdout is not None
                left = max(deadline - time.monotonic(), 0)
                if not select.select([worker.stdout], [], [], left)[0] or not worker.stdout.read(1):
                    msg = f"The {self._cores} workers of the load did not start."
                    raise PerwattError(msg, "Look for a limit on processes or memory.")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(worker.pid for worker in self._workers)

    def set(self, share: float, kind: str) -> None:
        """Raises PerwattError where a worker has died."""
        shape, work = kind.split()
        whole = share * self._cores
        for index, worker in enumerate(self._workers):
            own = share if shape == "all-cores" else min(max(whole - index, 0.0), 1.0)
            assert worker.stdin is not None
            try:
                worker.stdin.write(f"{own:.4f} {work}\n".encode())
            except OSError:
                msg = f"A worker of the load died (process {worker.pid})."
                raise PerwattError(msg, "Look for a limit on CPU time or memory.") from None

    def _end(self) -> None:
        for worker in self._workers:
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    pipe.close()
        deadline = time.monotonic() + STOP_S
        for worker in self._workers:
            try:
                worker.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self._workers = []


def usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
