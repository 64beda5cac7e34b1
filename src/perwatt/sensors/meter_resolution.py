"""How fine a figure is, told from how it was written: `3.185` is in thousandths."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["FINE_J", "Figure", "read_figure"]

FINE_J = 10.0
"""A meter's counter with steps no larger than this is read rather than its gauge."""


class Figure(NamedTuple):
    """A number as it stands in an answer."""

    value: float
    step: float
    """What one unit of its last written digit is worth."""


def read_figure(text: bytes | str) -> Figure | None:
    """None where it is no finite number, or written with an exponent.

    >>> read_figure("3.185"), read_figure(b"120"), read_figure("null")
    (Figure(value=3.185, step=0.001), Figure(value=120.0, step=1.0), None)
    """
    written = text.decode() if isinstance(text, bytes) else text
    try:
        value = float(written)
    except ValueError:
        return None
    if not math.isfinite(value) or "e" in written.lower():
        return None
    return Figure(value, 10.0 ** -len(written.strip().partition(".")[2]))
