"""Hashes of a run's tables in its run.json, so that a changed file is seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perwatt.core.errors import FileError

__all__ = ["HASHED", "changed_file", "hashes_of"]

HASHED = ("requests.parquet", "power.parquet", "scores.parquet", "published.parquet")
"""The tables; those that a run does not have are left out."""


def hashes_of(directory: Path) -> dict[str, dict[str, Any]]:
    """run.json's `files`: sha256 and size of each table. Raises OSError for one that is there and
    cannot be read."""
    return {
        name: {"sha256": _sha256(directory / name), "bytes": (directory / name).stat().st_size}
        for name in HASHED
        if (directory / name).is_file()
    }


def changed_file(directory: Path, run: Mapping[str, Any]) -> str | None:
    """The first table that is gone or is not what run.json says; None: all are, or none is said.

    Raises FileError for one that is there and cannot be read.
    """
    for name, known in run.get("files", {}).items():
        try:
            if (directory / name).stat().st_size != known["bytes"]:
                return str(name)
            if _sha256(directory / name) != known["sha256"]:
                return str(name)
        except FileNotFoundError:
            return str(name)
        except OSError as error:
            msg = f"{directory / name} cannot be read: {error.strerror}."
            raise FileError(msg, "Give a run that you may read.") from None
    return None


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
