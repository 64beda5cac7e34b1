"""Tables → RunSummary. Computed afresh each time: a definition can change without a rerun."""

from __future__ import annotations

from datetime import datetime
from itertools import combinations
from typing import Any

import msgspec
import numpy as np

from perwatt.core.records import SET_ASIDE, Columns, Domain, PairIdentity, SensorTiming, Verdict
from perwatt.core.summary import Comparison, EnergyLedger, RunSummary
from perwatt.metrics.glossary import metric_infos
from perwatt.metrics.summarise import compare_pairs, headline, summarise_pair
from perwatt.runner.queries import one_row_each
from perwatt.store.load import RunTables

__all__ = ["summarise_run"]


def summarise_run(tables: RunTables) -> RunSummary:
    """Every published number of one finished run. The same tables give the same numbers."""
    run = tables.run
    ledgers = {k: msgspec.convert(v, EnergyLedger) for k, v in run["ledgers"].items()}
    rng = np.random.default_rng(run["spec"]["seed"])
    attempted = {pair_id: _rows_of(tables.requests, pair_id) for pair_id in run["pairs"]}
    if run["spec"].get("per_query"):
        attempted = {pair_id: one_row_each(rows) for pair_id, rows in attempted.items()}
    pairs = tuple(
        summarise_pair(
            attempted[pair_id],
            msgspec.convert(identity, PairIdentity),
            ledgers.get(pair_id),
            rng=rng,
        )
        for pair_id, identity in run["pairs"].items()
    )
    comparisons: list[Comparison] = []
    for one, other in combinations(pairs, 2):
        a, b = attempted[one.identity.pair_id], attempted[other.identity.pair_id]
        comparisons += compare_pairs(a, b, one, other, rng=rng)
    return RunSummary(
        name=run["name"],
        perwatt_version=run["perwatt_version"],
        started=run["started"],
        duration_s=_duration_s(run),
        complete=run["status"] == "complete",
        workload=run["workload"],
        energy_line=run["energy"]["line"],
        headline=headline(pairs, comparisons),
        pairs=pairs,
        comparisons=tuple(comparisons),
        verdicts=tuple(msgspec.convert(run["verdicts"], list[Verdict])),
        metrics=metric_infos(),
        environment=run["environment"],
        spec=run["spec"],
        domains=msgspec.convert(run["energy"]["domains"], tuple[Domain, ...]),
        timings=msgspec.convert(run["energy"].get("timings", []), tuple[SensorTiming, ...]),
    )


def _rows_of(requests: Columns, pair_id: str) -> Columns:
    """The pair's attempted requests: a cancelled one was the user's doing, and is asked again."""
    keep = [
        n
        for n, (pair, status) in enumerate(
            zip(requests["pair_id"], requests["status"], strict=True)
        )
        if pair == pair_id and status not in SET_ASIDE
    ]
    return {name: [column[n] for n in keep] for name, column in requests.items()}


def _duration_s(run: dict[str, Any]) -> float:
    ended, started = (datetime.fromisoformat(run[key]) for key in ("ended", "started"))
    return (ended - started).total_seconds()
