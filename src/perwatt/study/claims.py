"""A table's finding is said of figures that there are, or not at all."""

from __future__ import annotations

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell

__all__ = ["claim", "known"]


def known(*cells: StudyCell) -> bool:
    """Has every one of them a value?"""
    values = (cell.value if isinstance(cell, Estimate) else cell for cell in cells)
    return all(value is not None for value in values)


def claim(sentence: str, *of: StudyCell) -> str:
    """`sentence`; empty where one of the figures that it tells is missing."""
    return sentence if known(*of) else ""
