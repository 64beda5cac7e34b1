"""Tables of facts in TOML, and finding the one entry that a name stands for."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from perwatt.core.errors import FileError, SpecError, UnknownNameError

__all__ = ["Key", "Named", "built_in", "entries", "find", "read_toml"]


class Named(Protocol):
    """What an entry of a catalogue has."""

    @property
    def name(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...


Entry = TypeVar("Entry", bound=Named)
Key = Callable[[str], str]
"""Brings two spellings of one name together, and no two names."""


def find(text: str, catalogue: Iterable[Entry], key: Key) -> Entry | None:
    """The entry whose name or alias has the key of `text`; None where none has, or several do."""
    wanted = key(text)
    if not wanted:
        return None
    found = [e for e in catalogue if any(key(name) == wanted for name in (e.name, *e.aliases))]
    return found[0] if len(found) == 1 else None


def built_in(file: str, table: str, kind: type[Entry]) -> tuple[Entry, ...]:
    """Entries of a file that comes with the package."""
    text = files("perwatt.predict").joinpath(file).read_text(encoding="utf-8")
    return entries(tomllib.loads(text).get(table, []), kind, table, Path(file))


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """A user's file; FileError names it where it cannot be read or is no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"There is no file of {what} {path}."
        raise FileError(msg, "Check its name.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"The file of {what} {path} is not TOML: {error}."
        raise FileError(msg, "Mend that line.") from None
    except OSError as error:
        msg = f"The file of {what} {path} cannot be read: {error.strerror or error}."
        raise FileError(msg, "Check its kind and its permissions.") from None


def entries(rows: object, kind: type[Entry], table: str, path: Path) -> tuple[Entry, ...]:
    """[[table]] of a file as structs. SpecError names file, entry and key of what is wrong."""
    if not isinstance(rows, list):
        msg = f"{path} has a single table [{table}]."
        raise SpecError(msg, f"Write [[{table}]] above each entry.")
    return tuple(_entry(row, kind, table, path, number) for number, row in enumerate(rows, 1))


def _entry(row: object, kind: type[Entry], table: str, path: Path, number: int) -> Entry:
    named = row.get("name") if isinstance(row, Mapping) else None
    place = f"[[{table}]] {named!r}" if isinstance(named, str) else f"[[{table}]] number {number}"
    known: Sequence[str] = kind.__struct_fields__  # type: ignore[attr-defined]
    for key in row if isinstance(row, Mapping) else ():
        if key not in known:
            unknown = UnknownNameError(f"key of [[{table}]]", key, known)
            msg = f"{path} has an unknown key {key!r} in {place}."
            raise SpecError(msg, unknown.mend)
    try:
        return msgspec.convert(row, kind)
    except (msgspec.ValidationError, ValueError) as error:
        msg = f"{path} has a bad value in {place}: {error}."
        raise SpecError(msg, f"Keys of an entry: {', '.join(known)}.") from None
