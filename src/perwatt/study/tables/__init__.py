"""The tables of a study in the order a reader meets them. A new one: a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perwatt.core.study import StudyTable
from perwatt.study.study import Study

__all__ = ["TABLES"]

TABLES: Mapping[str, Callable[[Study], StudyTable | None]] = {}
"""By the name of the table that each makes; None where the study has nothing of it."""
