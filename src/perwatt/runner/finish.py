"""From the journal to the three tables: score, attribute, write. Raw marks in, derived columns out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from perwatt.attribution.idle import idle_power
from perwatt.attribution.integrate import Curve, curve_of, sum_curves
from perwatt.attribution.ledger import Attributed, attribute
from perwatt.core.records import Domain, Item, Phase, Request, Score, Workload
from perwatt.core.registry import registry
from perwatt.core.summary import EnergyLedger
from perwatt.runner.events import Listener, Stage
from perwatt.runner.score import score_all
from perwatt.runner.verdicts import find_verdicts
from perwatt.store.journal import Journal, JournalWriter, read_journal
from perwatt.store.rundir import RunDir
from perwatt.store.tables import write_tables

__all__ = ["finish"]

Row = dict[str, Any]


def finish(
    run_dir: RunDir,
    run: dict[str, Any],
    workload: Workload,
    writer: JournalWriter,
    listen: Listener,
) -> None:
    """Score what is not scored yet, share out the joules, write the tables, close run.json."""
    items = {item.id: item for item in workload.items}
    journal = read_journal(run_dir.journal)
    scores = {score.request_id: score for score in journal.scores}

    def keep(score: Score) -> None:
        writer.append(score)
        scores[score.request_id] = score

    listen(Stage("Scoring the answers"))
    score_all(journal.requests, items, set(scores), keep)
    listen(Stage("Sharing out the joules and writing the tables"))
    energies, ledgers = _energies(run, journal)
    rows = [
        _row(r, items[r.item_id], scores.get(r.request_id), run, energies) for r in journal.requests
    ]
    domains = msgspec.convert(run["energy"]["domains"], list[Domain])
    write_tables(
        run_dir.path,
        requests=_columns(rows),
        power=_power_columns(journal, domains),
        scores=_columns([_score_row(score) for score in scores.values()]),
    )
    run["ledgers"] = msgspec.to_builtins(ledgers)
    run["phases"] = msgspec.to_builtins(journal.phases)
    run["sessions"] = len(journal.sessions)
    run["verdicts"] = msgspec.to_builtins(find_verdicts(run, journal, ledgers))
    run["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
    run["status"] = "complete"
    run_dir.write_run(run)
