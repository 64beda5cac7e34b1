"""The figures of arXiv 2511.07885v4 as perwatt's audit holds them, read for the simulator."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any, NamedTuple

__all__ = ["Cell", "column", "table"]

Row = tuple[str, ...]


class Cell(NamedTuple):
    """A printed number and how far its digits let the truth be."""

    value: float
    half: float

    @property
    def low(self) -> float:
        return self.value - self.half

    @property
    def high(self) -> float:
        return self.value + self.half

    def holds(self, value: float) -> bool:
        return self.low - 1e-9 <= value <= self.high + 1e-9


def table(name: str) -> dict[str, Any]:
    folder = files("perwatt.audit").joinpath("published")
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            for found in tomllib.loads(entry.read_text(encoding="utf-8"))["tables"]:
                if found["id"] == name:
                    return dict(found)
    msg = f"the audit's published tables have no {name!r}"
    raise LookupError(msg)


def column(name: str, role: str, **keys: str) -> dict[Row, Cell]:
    """The numbers of one column by row key: the column of that role whose own keys are those
    given. Words and ranges are left out."""
    found = table(name)
    width = len(found["keys"])
    at = [
        n
        for n, each in enumerate(found["columns"])
        if each["role"] == role and keys.items() <= each.get("keys", {}).items()
    ]
    if len(at) != 1:
        msg = f"{name} has {len(at)} columns of role {role} with {keys}, not one"
        raise LookupError(msg)
    cells = {}
    for row in found["rows"]:
        value = row[width + at[0]]
        if isinstance(value, int | float):
            decimals = len(str(value).partition(".")[2])
            cells[tuple(str(k) for k in row[:width])] = Cell(float(value), 0.5 * 10.0**-decimals)
    return cells
