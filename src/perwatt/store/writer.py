"""journal.jsonl: the truth while a run lives. One record a line, appended, never rewritten.

A record counts once its newline is in the file. `kill -9` can at most leave a line without one: the
reader leaves it out and the next writer cuts it off, so nothing is lost or counted twice.

Durability: a line is in the kernel's hands when `append` returns, which outlives any death of the
process. It is forced to disk at most once a second and on close, so a power cut costs a second.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from perwatt.store.disk import disk_error, disk_errors
from perwatt.store.lines import JournalRecord, encode_line

__all__ = ["JournalWriter"]

FORCE_EVERY_S = 1.0


class JournalWriter:
    """Appends records. One writer at a time (RunDir's lock), from one thread."""

    def __init__(self, path: Path) -> None:
        """Open or create, and cut off a last line that a dying process left unfinished.

        Raises FileError or DiskFullError.
        """
        self.path = path
        with disk_errors(path):
            self._fd: int | None = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
            )
            self._end = _whole_length(self._fd)
            os.ftruncate(self._fd, self._end)
        self._forced_s = time.monotonic()
        self.forced_elsewhere = False
        """Somebody calls `force` once a second, from another thread. Forcing takes a disk 5 to 30
        ms, for which whoever shares the appending thread would wait."""

    def append(self, record: JournalRecord) -> None:
        """Write one line. On a full disk the file is cut back to whole lines: DiskFullError."""
        if self._fd is None:
            msg = f"the journal {self.path} is closed"
            raise ValueError(msg)
        line = encode_line(record)
        try:
            written = os.write(self._fd, line)
            while written < len(line):  # a short write means the disk is full: the next says so
                written += os.write(self._fd, line[written:])
        except OSError as error:
            os.ftruncate(self._fd, self._end)
            raise disk_error(self.path, error, "written") from None
        self._end += len(line)
        if not self.forced_elsewhere and time.monotonic() - self._forced_s >= FORCE_EVERY_S:
            self.force()

    def close(self) -> None:
        """Force everything to disk. Safe to call twice."""
        if self._fd is None:
            return
        try:
            self.force()
        finally:
            os.close(self._fd)
            self._fd = None

    def force(self) -> None:
        """Force to disk what has been appended. Raises FileError or DiskFullError."""
        assert self._fd is not None
        with disk_errors(self.path):
            os.fsync(self._fd)
        self._forced_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _whole_length(fd: int) -> int:
    """Bytes up to and with the last newline."""
    end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - 65536)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
