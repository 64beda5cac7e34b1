"""Writing so that a file is there whole or not at all, and errors of the disk in one sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from perwatt.core.errors import DiskFullError, FileError

__all__ = ["disk_error", "disk_errors", "fsync_dir", "replace_with", "write_atomic"]

# A quota and a file-size limit leave a person with the same thing to do as a full disk.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def disk_errors(path: Path, doing: str = "written") -> Iterator[None]:
    """Turn an OSError inside into a FileError, or a DiskFullError, that names `path`."""
    try:
        yield
    except OSError as error:
        raise disk_error(path, error, doing) from None


def disk_error(path: Path, error: OSError, doing: str) -> FileError:
    """The error to raise for `error`."""
    if error.errno in _FULL:
        return DiskFullError(
            f"The disk is full: {path} could not be {doing}.",
            "Free some space; what was written before is whole, and a run can be resumed.",
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return FileError(
            f"{path} cannot be {doing}: permission denied.",
            "Give a place that you may write to.",
        )
    if isinstance(error, NotADirectoryError | FileExistsError):
        return FileError(
            f"{path} cannot be {doing}: a file is where a directory should be.",
            "Give another place.",
        )
    return FileError(f"{path} cannot be {doing}: {error.strerror or error}.")


def replace_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, make it durable, then put it in place of `path`.

    After a crash at any moment `path` is the old file or the new one. Raises FileError.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with disk_errors(path):
        try:
            write(temporary)
            fsync_file(temporary)
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        fsync_dir(path.parent)


def write_atomic(path: Path, data: bytes) -> None:
    """`path` holds `data`, or what it held before. Raises FileError or DiskFullError."""
    replace_with(path, lambda temporary: temporary.write_bytes(data))


def fsync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_dir(path: Path) -> None:
    """Make a rename or a new name in `path` survive a power cut, where the system can."""
    with suppress(OSError):  # some file systems cannot sync a directory
        fsync_file(path)
