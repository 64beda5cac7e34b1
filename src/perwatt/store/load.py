"""A finished run as tables."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.decoding import prepare
from perwatt.core.errors import RunDirError
from perwatt.core.records import Columns, Domain, PairIdentity, Phase, SensorTiming, Verdict
from perwatt.core.summary import EnergyLedger
from perwatt.store.rundir import read_run
from perwatt.store.tables import read_table

__all__ = ["RunTables", "check_fields", "load_tables"]


class RunTables(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished run directory holds."""

    requests: Columns
    power: Columns
    scores: Columns
    run: dict[str, Any]
    """run.json."""


class _Spec(msgspec.Struct):
    seed: int
    load: str | None = None
    slo: str | None = None


class _Workload(msgspec.Struct):
    name: str
    sha256: str


class _Energy(msgspec.Struct):
    line: str
    domains: tuple[Domain, ...]
    timings: tuple[SensorTiming, ...] = ()


class _File(msgspec.Struct):
    sha256: str
    bytes: int


class _Finished(msgspec.Struct, kw_only=True):
    """What run.json of a finished run has; more is read past."""

    format: int = 1
    name: str
    status: str
    started: datetime
    ended: datetime
    perwatt_version: str
    spec: _Spec
    workload: _Workload
    environment: dict[str, Any]
    energy: _Energy
    pairs: dict[str, PairIdentity]
    ledgers: dict[str, EnergyLedger]
    verdicts: tuple[Verdict, ...]
    phases: tuple[Phase, ...] = ()
    client: tuple[dict[str, Any], ...] = ()
    files: dict[str, _File] = {}


prepare(_Finished)


def load_tables(path: Path) -> RunTables:
    """Read a run. Needs no lock: tables appear whole or not at all.

    Raises RunDirError for a directory that is no run, that is unfinished, damaged or of a later
    format.
    """
    run = read_run(path)
    complete = run.get("status") == "complete"
    missing = [
        name for name in ("requests", "power", "scores") if not (path / f"{name}.parquet").is_file()
    ]
    if missing and complete:
        msg = f"The run in {path} has lost its {missing[0]}.parquet."
        raise RunDirError(msg, f"Make it again: perwatt score {path}")
    if missing:
        msg = f"The run in {path} is not finished: it has no {missing[0]}.parquet."
        raise RunDirError(msg, f"Finish it with: perwatt resume {path}")
    check_fields(path, run)
    return RunTables(
        requests=read_table(path / "requests.parquet"),
        power=read_table(path / "power.parquet"),
        scores=read_table(path / "scores.parquet"),
        run=run,
    )


def check_fields(path: Path, run: dict[str, Any]) -> None:
    """Raises RunDirError where run.json lacks what a summary takes from it, and names the field."""
    try:
        msgspec.convert(run, _Finished)
    except msgspec.ValidationError as error:
        msg = f"run.json in {path} has not the fields of a run: {error}."
        mend = "Restore it from a copy."
        if run.get("status") != "complete":
            mend = f"Finish it with: perwatt resume {path}"
        raise RunDirError(msg, mend) from None
