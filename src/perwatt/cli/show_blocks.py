"""A wide table in a narrow terminal: as many columns at a time as fit, and no number broken."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

__all__ = ["Head", "blocks"]

WORDS, NARROWEST = 26, 12
"""Widths at which words are broken: at most, and where the terminal leaves no more."""
EDGES = 3
"""Of a column: a line, and a space on each side."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A column: words stand left and may be broken, numbers stand right and are not."""

    title: str
    words: bool


def blocks(
    heads: Sequence[Head], rows: Sequence[Sequence[Text]], names: int, width: int
) -> list[Table]:
    """The columns, some at a time, each time beside the first `names`, which name the rows.

    rows: a cell for each of `heads`; a line break in one is kept. `width`: the terminal's.
    """
    most = max(NARROWEST, (width // 3 - EDGES * names) // names)
    widths = [
        _width(head, [row[n] for row in rows], most if n < names else WORDS)
        for n, head in enumerate(heads)
    ]
    room = width - 1 - sum(each + EDGES for each in widths[:names])
    made: list[Table] = []
    rest = list(range(names, len(heads)))
    while rest or not made:
        taken: list[int] = []
        left = room
        while rest and (not taken or left >= widths[rest[0]] + EDGES):
            left -= widths[rest[0]] + EDGES
            taken.append(rest.pop(0))
        table = Table(header_style="bold")
        shown = [*range(names), *taken]
        for n in shown:
            table.add_column(
                heads[n].title,
                justify="left" if heads[n].words else "right",
                overflow="fold",
                width=widths[n],
            )
        for row in rows:
            table.add_row(*(row[n] for n in shown))
        made.append(table)
    return made


def _width(head: Head, cells: Sequence[Text], most: int) -> int:
    title = max((cell_len(word) for word in head.title.split()), default=1)
    longest = max((cell_len(line) for cell in cells for line in cell.plain.split("\n")), default=1)
    return max(1, title, min(longest, most) if head.words else longest)
