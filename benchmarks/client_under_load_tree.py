"""A command with all its children, and the CPU time they had used at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

EVERY_S = 0.05
LONGEST_S = 300.0


class Tree:
    """Runs `command` to its end. Raises RuntimeError with its last words where it fails."""

    def __init__(self, command: list[str], env: Mapping[str, str], folder: Path) -> None:
        self._t_ns: list[int] = []
        self._cpu_s: list[float] = []
        self._by_pid: dict[int, float] = {}
        self._ended = threading.Event()
        with tempfile.TemporaryFile() as out:
            self._process = subprocess.Popen(
                command,
                env=env,
                cwd=folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            watcher = threading.Thread(target=self._watch)
            watcher.start()
            try:
                code = self._process.wait(LONGEST_S)
            except BaseException as error:  # Ctrl-C among them: peers leave processes behind
                os.killpg(self._process.pid, signal.SIGKILL)
                code = self._process.wait()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
            finally:
                self._ended.set()
                watcher.join()
            out.seek(0)
            words = out.read().decode(errors="replace")
        if code:
            last = " ".join(words.split())[-400:]
            msg = f"{Path(command[0]).name} ended with {code}: {last}"
            raise RuntimeError(msg)

    @property
    def cpu_s(self) -> float:
        """As last seen: what a process did in its last instant is not in it."""
        return self._cpu_s[-1] if self._cpu_s else 0.0

    def between(self, start_ns: int, end_ns: int) -> float:
        """CPU seconds used in that time, between the looks that were taken."""
        at = np.interp([start_ns, end_ns], self._t_ns, self._cpu_s)
        return float(at[1] - at[0])

    def _watch(self) -> None:
        while not self._ended.is_set():
            for pid in self._pids():
                try:
                    # man 3 clock_getcpuclockid: the CPU-time clock of another process.
                    self._by_pid[pid] = time.clock_gettime((~pid << 3) | 2)
                except OSError:
                    continue  # it has ended; what it had used is kept
            self._t_ns.append(time.monotonic_ns())
            self._cpu_s.append(sum(self._by_pid.values()))
            self._ended.wait(EVERY_S)

    def _pids(self) -> list[int]:
        found = [self._process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    found += [int(child) for child in task.read_text().split()]
                except OSError:
                    continue
        return found
