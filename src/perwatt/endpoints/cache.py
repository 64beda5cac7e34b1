"""perwatt's own folder for weights that were fetched, assembled or made here.

A file appears in it whole or not at all: written beside its place under another name, synced,
renamed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from perwatt.core.errors import DiskFullError, FileError, PerwattError

__all__ = ["cache_dir", "file_sha256", "locked", "whole_file"]


def cache_dir() -> Path:
    """`$PERWATT_CACHE`, else `$XDG_CACHE_HOME/perwatt`, else `~/.cache/perwatt`; it is made."""
    own = os.environ.get("PERWATT_CACHE")
    shared = os.environ.get("XDG_CACHE_HOME")
    folder = Path(own) if own else Path(shared or Path.home() / ".cache") / "perwatt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _write_error(error, folder) from None
    return folder


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path to write to; on success it becomes `target`, else nothing is left.

    Raises DiskFullError, FileError.
    """
    try:
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}.", suffix=".part"
        )
        os.close(handle)
    except OSError as error:
        raise _write_error(error, target.parent) from None
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(target)
    except OSError as error:
        raise _write_error(error, target) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Only one process at a time makes `target`; the others wait, then find it made."""
    lock = target.with_name(f".{target.name}.lock")
    try:
        file = lock.open("a")
    except OSError as error:
        raise _write_error(error, lock) from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def file_sha256(path: Path) -> str:
    """The file's hash, remembered by path, size and time of change so that it is read once."""
    try:
        state = path.stat()
        key = f"{path.resolve()}\0{state.st_size}\0{state.st_mtime_ns}"
        note = cache_dir() / "sha256" / hashlib.sha256(key.encode()).hexdigest()[:32]
    except OSError as error:
        raise FileError(f"The file {path} cannot be read: {error.strerror}.") from None
    except PerwattError:
        return _hash(path)  # a home that cannot be written costs time, nothing else
    with suppress(OSError, msgspec.DecodeError):
        known = msgspec.json.decode(note.read_bytes(), type=str)
        if len(known) == 64:
            return known
    digest = _hash(path)
    with suppress(OSError, FileError):
        note.parent.mkdir(exist_ok=True)
        with whole_file(note) as temporary:
            temporary.write_bytes(msgspec.json.encode(digest))
    return digest


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"The file {path} cannot be read: {error.strerror}.") from None


def _write_error(error: OSError, path: Path) -> FileError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT} or (error.errno is None and _full(path)):
        msg = f"The disk that holds {path} is full; nothing half-written was left."
        return DiskFullError(msg, "Free some space, or set PERWATT_CACHE to a folder elsewhere.")
    msg = f"{path} cannot be written: {error.strerror or error}."
    return FileError(msg, "Set PERWATT_CACHE to a folder that you may write to.")


def _full(path: Path) -> bool:
    """numpy reports a short write without its errno."""
    with suppress(OSError):
        return shutil.disk_usage(path if path.is_dir() else path.parent).free < 16_000_000
    return False
