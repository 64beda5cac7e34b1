"""The tables of a study in the order a reader meets them. A new one: a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perwatt.core.study import StudyTable
from perwatt.study.study import Study
from perwatt.study.tables.batches import batches
from perwatt.study.tables.best_of import best_of
from perwatt.study.tables.carbon import carbon
from perwatt.study.tables.cost import cost
from perwatt.study.tables.coverage import coverage
from perwatt.study.tables.difficulty import difficulty
from perwatt.study.tables.efficientllm import efficientllm
from perwatt.study.tables.gdp import gdp
from perwatt.study.tables.local_cloud import local_cloud
from perwatt.study.tables.pairs import pairs_table
from perwatt.study.tables.pass_at import pass_at_k
from perwatt.study.tables.precision import precision_table
from perwatt.study.tables.progress import progress
from perwatt.study.tables.progress_split import progress_split
from perwatt.study.tables.published import published
from perwatt.study.tables.savings import savings, savings_steps
from perwatt.study.tables.slices import (
    categories_table,
    kinds_table,
    levels_table,
    workloads_table,
)
from perwatt.study.tables.win_tie import win_tie

__all__ = ["TABLES"]

TABLES: Mapping[str, Callable[[Study], StudyTable | None]] = {
    "pairs": pairs_table,
    "precision": precision_table,
    "batches": batches,
    "local_cloud": local_cloud,
    "coverage": coverage,
    "best_of": best_of,
    "pass_at": pass_at_k,
    "win_tie": win_tie,
    "difficulty": difficulty,
    "workloads": workloads_table,
    "kinds": kinds_table,
    "levels": levels_table,
    "categories": categories_table,
    "gdp": gdp,
    "progress": progress,
    "progress_split": progress_split,
    "efficientllm": efficientllm,
    "savings": savings,
    "savings_steps": savings_steps,
    "carbon": carbon,
    "cost": cost,
    "published": published,
}
"""By the name of the table that each makes; None where the study has nothing of it."""
