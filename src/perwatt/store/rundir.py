"""A run directory: who may write to it, and run.json."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from perwatt.core.errors import FileError, RunDirError
from perwatt.store.disk import disk_errors, write_atomic

__all__ = ["FORMAT", "RunDir", "read_run"]

FORMAT = 1
"""Version of run.json and the journal, and the latest that is understood here."""

# `logs` may be left by an attempt that ended before anything was measured.
_LEFT_BY_A_FALSE_START = frozenset({"lock", "logs", ".run.json.tmp"})


class RunDir:
    """One run's directory, locked against every other process until `close`.

    The kernel gives the lock back when its holder dies, `kill -9` included, so a stale lock cannot
    exist. Needs `flock` (Linux, macOS, BSD).
    """

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self._lock_fd: int | None = lock_fd

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make and lock a new run directory.

        Raises RunDirError when `path` holds a run, another process's run or anything else, and
        FileError when it cannot be made.
        """
        with disk_errors(path, "made"):
            path.mkdir(parents=True, exist_ok=True)
            names = {entry.name for entry in path.iterdir()}
        if names - _LEFT_BY_A_FALSE_START and not _is_run(names):
            msg = f"{path} is not empty and holds no perwatt run."
            raise RunDirError(msg, "Give an empty or a new directory with --out.")
        lock_fd = _lock(path)
        # Looked at again under the lock: another process may have made its run meanwhile.
        if _is_run({entry.name for entry in path.iterdir()}):
            os.close(lock_fd)
            msg = f"{path} already holds a run."
            raise RunDirError(msg, f"Go on with it (perwatt resume {path}) or give another --out.")
        return cls(path, lock_fd)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Lock an existing run to write to it. Raises RunDirError when it is none, or is busy."""
        _check_is_run(path)
        return cls(path, _lock(path))

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    def write_run(self, run: dict[str, Any]) -> None:
        """Replace run.json, atomically. Raises FileError or DiskFullError."""
        data = msgspec.json.format(msgspec.json.encode(run), indent=2)
        write_atomic(self.path / "run.json", data + b"\n")

    def read_run(self) -> dict[str, Any]:
        """run.json. Raises RunDirError when it is missing or damaged."""
        return read_run(self.path)

    def discard_if_nothing_was_asked(self) -> None:
        """Remove what a run left that failed before its first request. An engine's log is kept."""
        from perwatt.store.journal import read_journal

        with suppress(OSError, FileError):
            if self.journal.exists() and read_journal(self.journal).requests:
                return
            for name in ("journal.jsonl", "run.json", "items.jsonl", "lock"):
                (self.path / name).unlink(missing_ok=True)
            for folder in (self.path / "logs", self.path):
                folder.rmdir()

    def close(self) -> None:
        """Unlock. Safe to call twice."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_run(path: Path) -> dict[str, Any]:
    """run.json of the run in `path`. Raises RunDirError where there is none, where it is damaged,
    and for one of a later format."""
    _check_is_run(path)
    file = path / "run.json"
    try:
        run = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        msg = f"{path} has no run.json: the run ended before anything was measured."
        raise RunDirError(msg, "Run it again into a new directory.") from None
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror}."
        raise FileError(msg) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"{file} is damaged: {error}."
        raise RunDirError(msg, "Restore it from a copy.") from None
    _check_format(path, run)
    return run


def _check_format(path: Path, run: dict[str, Any]) -> None:
    """Raises RunDirError for a run of a later format: its fields may mean something else."""
    found = run.get("format")
    if isinstance(found, int | float) and found > FORMAT:
        by = run.get("perwatt_version")
        writer = f"perwatt {by}" if isinstance(by, str) else "a later perwatt"
        msg = f"run.json in {path} is of format {found}, written by {writer}; this one knows up to"
        msg += f" {FORMAT}."
        raise RunDirError(msg, "Read it with that perwatt, or update this one.")


def _is_run(names: set[str]) -> bool:
    return "run.json" in names or "journal.jsonl" in names


def _check_is_run(path: Path) -> None:
    mend = "Give a directory that `perwatt run` has written."
    try:
        names = {entry.name for entry in path.iterdir()}
    except FileNotFoundError:
        msg = f"There is no run directory {path}."
        raise RunDirError(msg, mend) from None
    except NotADirectoryError:
        msg = f"{path} is a file, not a run directory."
        raise RunDirError(msg, mend) from None
    except OSError as error:
        msg = f"The run directory {path} cannot be read: {error.strerror}."
        raise FileError(msg) from None
    if not _is_run(names):
        msg = f"{path} holds no perwatt run."
        raise RunDirError(msg, mend)


def _lock(path: Path) -> int:
    import fcntl

    file = path / "lock"
    with disk_errors(file):
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        msg = f"{path} is in use by another perwatt (process {holder})."
        raise RunDirError(msg, "Wait for it to end, or give another --out.") from None
    except OSError as error:
        os.close(fd)
        msg = f"{path} cannot be locked: {error.strerror}."
        raise FileError(msg, "Give a directory on a local disk with --out.") from None
    try:
        with disk_errors(file):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
    except FileError:
        os.close(fd)
        raise
    return fd
