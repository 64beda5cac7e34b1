"""Another tool's JSON read field by field: what is not as its schema says is named."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perwatt.core.errors import FileError
from perwatt.store.lines import repaired

__all__ = ["Fields", "parsed", "read_json", "read_lines", "whole_number"]

_MOST = 1e30
"""No tool's figure is above; its square is still a number."""
_MOST_TOKENS = 2**31 - 1
_MOST_NS = 2**62
_DAMAGED = "Fetch it again, or let the tool that writes it finish."


class Fields:
    """One JSON object and where it stands, such as `report.json at benchmarks[0]`.

    A missing field is None; one of another type raises FileError. Python's NaN and Infinity, which
    some tools write for what they do not know, are missing too.
    """

    def __init__(self, values: Any, place: str) -> None:
        self.place = place
        if not isinstance(values, dict):
            msg = f"{place} is {_kind(values)}, where an object is due."
            raise FileError(msg, _DAMAGED)
        self.values: dict[str, Any] = values

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def number(self, key: str) -> float | None:
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, "a number")
        try:
            number = float(value)
        except OverflowError:
            raise self._wrong(key, "a number") from None
        if math.isfinite(number) and abs(number) > _MOST:
            raise self._wrong(key, "a measured number")
        return number if math.isfinite(number) else None

    def tokens(self, key: str, most: int = _MOST_TOKENS) -> int | None:
        """A count. Some tools average theirs, so 8.0 is one too."""
        number = self.number(key)
        if number is None:
            return None
        if not 0 <= number <= most or number != int(number):
            raise self._wrong(key, "a count")
        return int(number)

    def ns(self, key: str, per_s: float) -> int | None:
        """A time or a span in nanoseconds, given in units of which a second has `per_s`."""
        number = self.number(key)
        if number is None:
            return None
        value = self.values[key]
        ns = value if isinstance(value, int) and per_s == 1e9 else round(number / per_s * 1e9)
        if abs(ns) > _MOST_NS:
            raise self._wrong(key, "a time")
        return ns

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._wrong(key, "text")
        return value

    def needed(self, key: str) -> str:
        value = self.text(key)
        if not value:
            raise self._wrong(key, "text")
        return value

    def inner(self, key: str) -> Fields:
        return Fields(self.values.get(key), self._at(key))

    def maybe(self, key: str) -> Fields | None:
        return self.inner(key) if key in self else None

    def items(self, key: str) -> list[Any]:
        """A list; empty where it is missing."""
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(key, "a list")
        return value

    def objects(self, key: str) -> Iterator[Fields]:
        for number, value in enumerate(self.items(key)):
            yield Fields(value, f"{self._at(key)}[{number}]")

    def _at(self, key: str) -> str:
        return f"{self.place}.{key}" if " at " in self.place else f"{self.place} at {key}"

    def _wrong(self, key: str, due: str) -> FileError:
        value = self.values.get(key)
        told = "no" if value is None else f"{_kind(value)} as its"
        return FileError(f"{self.place} has {told} {key}, where {due} is due.", _DAMAGED)


def read_json(path: Path) -> Any:
    """A JSON file. Raises FileError naming it, and the line where it breaks off."""
    return parsed(_text(path), str(path))


def read_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Each line of a JSON-lines file and its place. Raises FileError naming the line.

    A line ends with a newline alone: U+2028 and its like are text, which JSON need not escape.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    place = f"Line {number} of {path}"
                    yield place, parsed(_decoded(line, place), place)
    except OSError as error:
        raise _unreadable(path, error) from None


def _text(path: Path) -> str:
    try:
        return _decoded(path.read_bytes(), str(path))
    except OSError as error:
        raise _unreadable(path, error) from None


def _decoded(data: bytes, place: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{place} is no UTF-8 text: byte {error.start} is none."
        raise FileError(msg, _DAMAGED) from None


def _unreadable(path: Path, error: OSError) -> FileError:
    msg = f"{path} cannot be read: {error.strerror or error}."
    return FileError(msg, "Give the file that the other tool has written.")


def parsed(text: str, place: str) -> Any:
    """JSON text. Raises FileError naming `place`."""
    try:
        # The standard library's, because NaN is no JSON and Python tools write it all the same.
        values = json.loads(text, parse_int=whole_number)
        return repaired(values) if "\\ud" in text.lower() else values
    except RecursionError:
        msg = f"{place} is nested deeper than any tool writes."
    except ValueError as error:
        msg = f"{place} is no JSON: {error}."
    raise FileError(msg, _DAMAGED)


def whole_number(digits: str) -> int | float:
    """What no 64-bit number holds is no count of any tool; as a float it can still be named."""
    value = int(digits) if len(digits) <= 20 else 2**63
    return value if abs(value) < 2**63 else float(digits)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f"the text {value[:30]!r}"
        case int() | float():
            return f"the number {value!r:.30}"
        case list():
            return "a list"
        case _:
            return "an object"
