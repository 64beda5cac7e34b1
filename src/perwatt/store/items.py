"""items.jsonl: what a run asked, kept beside its answers, so that they can be scored again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from perwatt.core.errors import RunDirError
from perwatt.core.records import Item
from perwatt.store.disk import disk_errors, replace_with
from perwatt.store.lines import repaired

__all__ = ["read_items", "write_items"]

_NAME = "items.jsonl"
_DECODER = msgspec.json.Decoder(Item)


def write_items(directory: Path, items: Iterable[Item]) -> None:
    """One item a line, whole or not at all. Raises FileError or DiskFullError."""
    encoder = msgspec.json.Encoder()
    path = directory / _NAME

    def write(temporary: Path) -> None:
        with temporary.open("wb") as out:
            for item in items:
                try:
                    out.write(encoder.encode(item) + b"\n")
                except UnicodeEncodeError:
                    out.write(encoder.encode(repaired(msgspec.to_builtins(item))) + b"\n")

    with disk_errors(path):
        replace_with(path, write)


def read_items(directory: Path) -> tuple[Item, ...] | None:
    """The items of a run; None for one of a version that did not keep them.

    Raises RunDirError naming the line that is damaged.
    """
    path = directory / _NAME
    if not path.is_file():
        return None
    items = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            items.append(_DECODER.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            msg = f"Line {number} of {path} is damaged: {error}."
            raise RunDirError(msg, "Restore it from a copy.") from None
    return tuple(items)
