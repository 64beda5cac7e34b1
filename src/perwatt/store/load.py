"""A finished run as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.errors import RunDirError
from perwatt.core.records import Columns
from perwatt.store.rundir import read_run
from perwatt.store.tables import read_table

__all__ = ["RunTables", "load_tables"]


class RunTables(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished run directory holds."""

    requests: Columns
    power: Columns
    scores: Columns
    run: dict[str, Any]
    """run.json."""


def load_tables(path: Path) -> RunTables:
    """Read a run. Needs no lock: tables appear whole or not at all.

    Raises RunDirError for a directory that is no run, that is unfinished, or that is damaged.
    """
    run = read_run(path)
    missing = [
        name for name in ("requests", "power", "scores") if not (path / f"{name}.parquet").is_file()
    ]
    if missing:
        msg = f"The run in {path} is not finished: it has no {missing[0]}.parquet."
        raise RunDirError(msg, f"Finish it with: perwatt resume {path}")
    return RunTables(
        requests=read_table(path / "requests.parquet"),
        power=read_table(path / "power.parquet"),
        scores=read_table(path / "scores.parquet"),
        run=run,
    )
