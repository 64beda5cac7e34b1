"""Search with a pattern that nobody has proved harmless, for a second of CPU time at most.

Python's matcher cannot be interrupted from a thread, as it holds the interpreter's lock while it
backtracks. So it runs in a child process that ends itself when its time is up; the next search
starts another.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import weakref
from pathlib import Path

__all__ = ["BoundedSearch", "RunawayError"]

_CHILD = Path(__file__).with_name("regex_child.py")
_MOST_CHARS = 1_000_000


class RunawayError(Exception):
    """The search was stopped. The message goes on from "the pattern"."""


class BoundedSearch:
    """Searches one after the other in one child, started at the first of them. `seconds`: CPU time
    of each."""

    def __init__(self, seconds: float = 0.9) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stop: weakref.finalize[[subprocess.Popen[bytes]], BoundedSearch] | None = None

    def __call__(
        self, pattern: str, text: str, flags: int, group: int | str | None, last: bool
    ) -> str | None:
        """What the group of the first or last match holds; None: no match, or not its group.

        Raises RunawayError for a search that takes too long, and ValueError for a pattern or group
        that is none.
        """
        job = {
            "pattern": pattern,
            "text": text[:_MOST_CHARS],
            "flags": flags,
            "group": group,
            "last": last,
            "seconds": self._seconds,
        }
        line = json.dumps(job).encode("ascii") + b"\n"
        with self._lock:
            answer = self._ask(line)
            if not answer.endswith(b"\n"):
                self._end()
                msg = f"needs more than {self._seconds:g} s of work on this answer, and was stopped"
                raise RunawayError(msg)
        said = json.loads(answer)
        if "error" in said:
            raise ValueError(said["error"])
        found = said["found"]
        return None if found is None else str(found)

    def close(self) -> None:
        """End the child. Safe to call twice; a later search starts another."""
        with self._lock:
            self._end()

    def _ask(self, line: bytes) -> bytes:
        for _ in range(2):  # a child that died between two searches is no fault of this pattern
            fresh = self._child is None
            child = self._child or self._start()
            if child.stdin is None or child.stdout is None:
                return b""
            try:
                child.stdin.write(line)
                child.stdin.flush()
            except OSError:
                self._end()
                if fresh:
                    return b""
                continue
            return child.stdout.readline()
        return b""

    def _start(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._child = child
        self._stop = weakref.finalize(self, _end, child)
        return child

    def _end(self) -> None:
        if self._stop is not None:
            self._stop()
        self._child = self._stop = None


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    child.wait()
