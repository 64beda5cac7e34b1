"""From the journal to the three tables: score, attribute, write. Marks in, derived columns out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from perwatt.core.records import Domain, Item, Score, Workload
from perwatt.core.spec import RunSpec
from perwatt.core.summary import EnergyLedger
from perwatt.runner.client_view import client_views
from perwatt.runner.conversation import settled
from perwatt.runner.events import Listener, Stage
from perwatt.runner.judging import SCORER
from perwatt.runner.judging_report import judge_verdicts
from perwatt.runner.ranking import ranking_verdicts
from perwatt.runner.rows import EnergyShare, columns, power_rows, request_row, score_row
from perwatt.runner.score import Answer, answers_of
from perwatt.runner.score_judged import Scores, Wanted
from perwatt.runner.score_run import score_run, scorer_named
from perwatt.runner.shares import share_out
from perwatt.runner.traps import flagged, traps_of, verdicts_from
from perwatt.runner.verdicts import (
    abstention_verdicts,
    by_gravity,
    evidence_of,
    find_verdicts,
    skipped_verdicts,
)
from perwatt.runner.worker_overlap import in_flight_of_all
from perwatt.store.integrity import hashes_of
from perwatt.store.journal import Journal, JournalWriter, read_journal
from perwatt.store.rundir import RunDir
from perwatt.store.score_cache import score_cache_path
from perwatt.store.tables import write_tables

__all__ = ["finish", "settled_journal", "write_results"]


def finish(
    run_dir: RunDir,
    run: dict[str, Any],
    workload: Workload,
    writer: JournalWriter,
    listen: Listener,
) -> None:
    """Score what is not scored yet, share out the joules, write the tables, close run.json."""
    items = {item.id: item for item in workload.items}
    journal = settled_journal(run_dir, items)
    scores = {(score.request_id, score.scorer): score for score in journal.scores}

    def keep(score: Score) -> None:
        writer.append(score)
        scores[score.request_id, score.scorer] = score

    listen(Stage("Scoring the answers"))
    named = scorer_named(run)
    answers = answers_of(journal.requests, items)
    judges = run["spec"].get("judge")

    def waits(answer: Answer) -> bool:
        score = scores.get((answer.request_id, named(items[answer.item_id])))
        # What was scored before the load ended, to rank pairs, was scored without a judge.
        unjudged = score and score.scorer == SCORER and not score.judgement.detail.get("judges")
        return score is None or bool(judges and unjudged and score.judgement.abstained)

    waiting = [answer for answer in answers if waits(answer)]
    wanted = Wanted(RunSpec.resolve(run["spec"]) if judges else None, score_cache_path())
    score_run(
        run, waiting, items, scores, keep, wanted, run_dir.path / "logs", listen, others=answers
    )
    listen(Stage("Sharing out the joules and writing the tables"))
    write_results(run_dir, run, workload, journal, scores)
    run["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
    run["status"] = "complete"
    run_dir.write_run(run)


def settled_journal(run_dir: RunDir, items: dict[str, Item]) -> Journal:
    """The journal; turns of conversations that were cut set aside; in flight over all workers."""
    journal = read_journal(run_dir.journal)
    requests = in_flight_of_all(settled(journal.requests, items))
    return msgspec.structs.replace(journal, requests=requests)


def write_results(
    run_dir: RunDir, run: dict[str, Any], workload: Workload, journal: Journal, scores: Scores
) -> None:
    """The tables, and in `run` all that follows from them; whoever calls writes run.json."""
    items = {item.id: item for item in workload.items}
    named = scorer_named(run)
    shares, ledgers = _energy(run, journal)
    traps = traps_of(journal, run["energy"])
    shares = flagged(shares, traps, journal.requests)
    domains = {d["name"]: msgspec.convert(d, Domain) for d in run["energy"]["domains"]}
    phases = {phase.phase_id: phase for phase in journal.phases}
    write_tables(
        run_dir.path,
        requests=columns(
            request_row(
                request,
                items[request.item_id],
                scores.get((request.request_id, named(items[request.item_id]))),
                shares.get(request.request_id),
                workload.name,
                phases.get(request.phase_id),
            )
            for request in journal.requests
        ),
        power=columns(power_rows(journal.power, domains)),
        scores=columns(score_row(score) for score in scores.values()),
    )
    run["files"] = hashes_of(run_dir.path)
    run["ledgers"] = msgspec.to_builtins(ledgers)
    run["phases"] = msgspec.to_builtins(journal.phases)
    run["sessions"] = len(journal.sessions)
    run["client"] = msgspec.to_builtins(
        client_views(run["pairs"], journal.requests, journal.phases, journal.audits)
    )
    evidence = evidence_of(run, journal, items, shares, ledgers)
    said = [*find_verdicts(evidence), *verdicts_from(traps, run["energy"]["grade"])]
    if "judges" in run.get("judge", {}) and SCORER in {named(item) for item in workload.items}:
        said += judge_verdicts(run["judge"], run["spec"].get("model", ()))
    said += [*ranking_verdicts(run), *skipped_verdicts(run)]
    counted = (
        (request.pair_id, score)
        for request in journal.requests
        if (score := scores.get((request.request_id, named(items[request.item_id]))))
    )
    said += abstention_verdicts(run["pairs"], counted)
    run["verdicts"] = msgspec.to_builtins(by_gravity(said))
    run["traps"] = msgspec.to_builtins(traps)


def _energy(
    run: dict[str, Any], journal: Journal
) -> tuple[dict[str, EnergyShare], dict[str, EnergyLedger]]:
    """Shares of all pairs' requests, and the ledgers of the pairs that were measured."""
    known = {d["name"]: msgspec.convert(d, Domain) for d in run["energy"]["domains"]}
    shares: dict[str, EnergyShare] = {}
    ledgers: dict[str, EnergyLedger] = {}
    for pair_id in run["pairs"]:
        counted = [known[name] for name in run["energy"]["counted"].get(pair_id, ())]
        own, ledger = share_out(journal, pair_id, counted, run["spec"]["attribution"])
        shares |= own
        if ledger:
            ledgers[pair_id] = ledger
    return shares, ledgers
