"""Memory and utilization of a pair's devices while it was under load, from power.parquet.

Samples of one device follow each other closely, so they are not independent: each load phase is
cut into stretches, and the interval is Student's t over the stretches' means (batch means; Law,
Simulation Modeling and Analysis, §9.5).
"""

from __future__ import annotations

import glob
import math
from typing import Any

import msgspec
import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyPair
from perwatt.stats.student import t_quantile
from perwatt.study.pairs import loads_of
from perwatt.study.runs import OpenRun
from perwatt.study.study import Study

__all__ = ["Watched", "watched"]

STRETCHES = 20


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """Time averages over a pair's load phases."""

    memory_bytes: Estimate
    """Summed over its devices."""
    utilization: Estimate
    """Mean over its devices, 0 to 1."""
    devices: int


def watched(study: Study, pair: StudyPair) -> Watched:
    """Over all runs of the pair, the domains of its ledger alone."""
    rows: list[tuple[float | None, float | None]] = []
    devices = 0
    for number in pair.runs:
        run = study.open_runs[number]
        ledger = run.ledgers.get(pair.pair_id)
        if ledger is None:
            continue
        devices = max(devices, len(ledger.domains))
        for phase in _phases(run, pair):
            rows += _stretches(study, run, ledger.domains, phase)
    return Watched(
        memory_bytes=_mean([row[0] for row in rows], "B", "memory"),
        utilization=_mean([row[1] for row in rows], "share", "utilization"),
        devices=devices,
    )


def _phases(run: OpenRun, pair: StudyPair) -> list[dict[str, Any]]:
    loads = loads_of(run.run)
    return [
        phase
        for phase in run.run.get("phases", [])
        if phase.get("kind") == "load"
        and phase.get("pair_id") == pair.pair_id
        and phase.get("end_ns") is not None
        and (phase.get("stage") or 0) < len(loads)
        and loads[phase.get("stage") or 0] == pair.load
    ]


def _stretches(
    study: Study, run: OpenRun, domains: tuple[str, ...], phase: dict[str, Any]
) -> list[tuple[float | None, float | None]]:
    """(bytes, utilization) of each stretch of one load phase; None: not read in it."""
    file = run.path / "power.parquet"
    if not file.is_file() or not domains:
        return []
    import duckdb

    start, end = phase["start_ns"], phase["end_ns"]
    path = glob.escape(str(file)).replace("'", "''")
    try:
        described = study.db.execute(f"DESCRIBE FROM read_parquet('{path}')").fetchall()
    except duckdb.Error:
        return []  # no table: then nothing was read, which is what the reason says
    columns = {row[0] for row in described}
    if not {"t_ns", "domain", "memory_bytes", "utilization"} <= columns:
        return []
    marks = ", ".join("?" for _ in domains)
    return study.db.execute(
        f"WITH by_domain AS (SELECT domain, avg(memory_bytes) AS bytes, avg(utilization) AS busy,"
        f" least({STRETCHES - 1}, (t_ns - ?) * {STRETCHES} // ?) AS stretch"
        f" FROM read_parquet('{path}') WHERE t_ns BETWEEN ? AND ? AND domain IN ({marks})"
        f" GROUP BY domain, stretch)"
        f" SELECT CASE WHEN count(bytes) = {len(domains)} THEN sum(bytes) END,"
        f" CASE WHEN count(busy) = {len(domains)} THEN avg(busy) END"
        f" FROM by_domain GROUP BY stretch ORDER BY stretch",
        [start, max(1, end - start), start, end, *domains],
    ).fetchall()


def _mean(values: list[float | None], unit: str, noun: str) -> Estimate:
    known = np.array([v for v in values if v is not None], dtype=np.float64)
    if not known.size:
        why = f"no sensor of this pair's devices read their {noun} under load"
        return Estimate(value=None, unit=unit, reason=why)
    value = float(known.mean())
    if known.size < STRETCHES // 2:
        why = f"no interval: {noun} was read in {known.size} stretches of the load alone"
        return Estimate(value=value, unit=unit, n=int(known.size), reason=why)
    half = t_quantile(0.975, known.size - 1) * float(known.std(ddof=1)) / math.sqrt(known.size)
    low, high = max(0.0, value - half), value + half
    return Estimate(
        value=value,
        low=low,
        high=min(1.0, high) if unit == "share" else high,
        unit=unit,
        method=f"batch means over {known.size} stretches of the load, Student's t",
        n=int(known.size),
    )
