"""Files read as many at once as there are cores: one alone leaves disk and threads waiting."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import duckdb

__all__ = ["abreast", "at_once", "cores"]

Thing = TypeVar("Thing")
Made = TypeVar("Made")


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def at_once(make: Callable[[Thing], Made], things: Sequence[Thing]) -> list[Made]:
    """`make(thing)` of each, in their order, as many at once as there are cores.

    The first error is raised once those that were begun have ended.
    """
    if len(things) < 2 or cores() < 2:
        return [make(thing) for thing in things]
    with ThreadPoolExecutor(cores(), thread_name_prefix="study") as pool:
        return list(pool.map(make, things))


def abreast(
    db: duckdb.DuckDBPyConnection,
    make: Callable[[duckdb.DuckDBPyConnection, Thing], Made],
    things: Sequence[Thing],
) -> list[Made]:
    """The same, each with a cursor of `db` of its own."""

    def one(thing: Thing) -> Made:
        with db.cursor() as cursor:
            return make(cursor, thing)

    return at_once(one, things)
