"""Compiles the emulation's C sources, once for each version of them."""

from __future__ import annotations

import getpass
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["NoCompilerError", "shared_library"]

FLAGS = ("-O2", "-std=gnu11", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-pthread")


class NoCompilerError(RuntimeError):
    """There is no C compiler here, so nothing can be emulated: tests skip and say so."""


def shared_library(name: str, sources: Sequence[Path], flags: Sequence[str] = ()) -> Path:
    """`sources`' first file compiled to a library called `name`, in a folder of its own.

    The others are what it includes. The folder is named after a hash of all of them, so a second
    call costs one read of each. `name` is its SONAME too. Raises NoCompilerError.
    """
    command = [*FLAGS, *flags, f"-Wl,-soname,{name}"]
    digest = hashlib.sha256("\0".join(command).encode())
    for source in sources:
        digest.update(source.read_bytes())
    target = _cache() / digest.hexdigest()[:16] / name
    if target.exists():
        return target
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        msg = f"no C compiler (cc, or $CC) to build the emulated {name} with"
        raise NoCompilerError(msg)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder) / name
        # -ldl and -lm last: the linker takes libraries in the order in which they are asked for.
        line = [compiler, *command, "-o", str(built), str(sources[0]), "-ldl", "-lm"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            msg = f"{compiler} could not build {sources[0].name}:\n{done.stderr}"
            raise NoCompilerError(msg)
        built.replace(target)  # whole or not at all: another process may be building it too
    return target


def _cache() -> Path:
    """A folder of this user alone: a library found in one that all may write is not trusted."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(base) if base else Path(tempfile.gettempdir()) / f"perwatt-{getpass.getuser()}"
    folder = folder / "emulated"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        msg = f"{folder} belongs to another user, so no library is built or loaded there"
        raise NoCompilerError(msg)
    return folder
