"""A folder of small files that follow a virtual or the real clock, as sysfs does.

    tree.at(t_ns)           # virtual time: all files as they stand then
    with tree.running():    # real time: they follow the monotonic clock
        ...

In real time every file is replaced in one step, so that a reader never sees half a number. One that
is held open keeps its old number: open it for each read, as one does with sysfs.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["LiveFile", "LiveTree", "Span", "within"]

Span = tuple[int, int]
"""[from, to) in monotonic nanoseconds."""


class LiveFile(NamedTuple):
    """What one file holds at some time."""

    path: Path
    text: str | None
    """None: the file is gone. Empty: a read gives nothing."""
    mode: int = 0o444


class LiveTree(ABC):
    """Base of the emulated trees. Not for two threads at once."""

    def __init__(self) -> None:
        self._shown: dict[Path, str | None] = {}
        self._open: dict[Path, int] = {}
        """Descriptors: writing to a file in place takes a hundredth of replacing it."""
        weakref.finalize(self, _close, self._open)

    @abstractmethod
    def files(self, t_ns: int) -> Iterator[LiveFile]:
        """Every file that changes, as it stands at `t_ns`."""

    @property
    @abstractmethod
    def tick_ns(self) -> int:
        """Nothing changes more often than this."""

    def at(self, t_ns: int) -> None:
        """Write what has changed, as it stands at `t_ns`; in place, so nobody may be reading."""
        self._write(t_ns, whole=False)

    @contextmanager
    def running(self, *, process: bool = False) -> Iterator[None]:
        """Follow the monotonic clock at every tick, in a thread or in a process of its own.

        Python keeps up with ticks of about 2 ms and longer; a finer one comes late.
        """
        if process:
            with self._in_process():
                yield
            return
        stop = threading.Event()
        follower = threading.Thread(target=self.follow, args=(stop,), daemon=True)
        self._write(time.monotonic_ns(), whole=True)
        follower.start()
        try:
            yield
        finally:
            stop.set()
            follower.join()

    def follow(self, stop: threading.Event) -> None:
        """Update at each tick until `stop` is set."""
        tick_ns = self.tick_ns
        while not stop.is_set():
            now_ns = time.monotonic_ns()
            self._write(now_ns, whole=True)
            # Just past the next multiple, when the files change.
            stop.wait((tick_ns - now_ns % tick_ns) / 1e9)

    @contextmanager
    def _in_process(self) -> Iterator[None]:
        child = subprocess.Popen(
            [sys.executable, "-m", "emulated.sysfs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(pickle.dumps(self))
            child.stdin.close()
            child.stdout.readline()  # it has written all files once
            yield
        finally:
            child.terminate()
            child.wait()
            child.stdout.close()
            self.forget()  # these files were replaced

    def forget(self) -> None:
        """Write every file afresh next time."""
        _close(self._open)
        self._shown.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def _write(self, t_ns: int, *, whole: bool) -> None:
        for file in self.files(t_ns):
            if file.path not in self._shown or self._shown[file.path] != file.text:
                self._show(file, whole=whole)

    def _show(self, file: LiveFile, *, whole: bool) -> None:
        path, text, mode = file
        self._shown[path] = text
        data = f"{text}\n".encode() if text else b""
        descriptor = None if whole else self._open.get(path)
        if descriptor is not None and text is not None:
            written = os.pwrite(descriptor, data, 0) if data else 0
            if written < os.fstat(descriptor).st_size:
                os.ftruncate(descriptor, written)
            return
        if path in self._open:
            os.close(self._open.pop(path))
        if text is None:
            path.unlink(missing_ok=True)
            return
        new = path.with_name(f".{path.name}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        self._open[path] = descriptor
        os.write(descriptor, data)
        new.replace(path)


def within(span: Span | None, t_ns: int) -> bool:
    """Whether `t_ns` falls in the span; in none when there is none."""
    return span is not None and span[0] <= t_ns < span[1]


def _close(descriptors: dict[Path, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)
    descriptors.clear()


def main() -> None:
    """The process of `running(process=True)`: the tree comes on stdin; ends when terminated."""
    tree: LiveTree = pickle.loads(sys.stdin.buffer.read())  # our own parent's
    tree._write(time.monotonic_ns(), whole=True)
    sys.stdout.write("\n")  # ready
    sys.stdout.flush()
    tree.follow(threading.Event())


if __name__ == "__main__":
    main()
