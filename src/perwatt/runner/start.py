"""Start a run, or go on with one: where command line, TOML file and Python call all end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from perwatt import __version__
from perwatt.core.errors import (
    GradeError,
    InterruptedRunError,
    PerwattError,
    RunDirError,
    SpecError,
)
from perwatt.core.records import PairIdentity, Served, Workload
from perwatt.core.registry import registry
from perwatt.core.spec import RunSpec
from perwatt.endpoints.engine_process import check_port
from perwatt.endpoints.models import check_model
from perwatt.runner.energy import find_energy
from perwatt.runner.environment import fingerprint
from perwatt.runner.events import EnergyFound, Listener, Stage
from perwatt.runner.fill import is_filled, measured_s
from perwatt.runner.finish import finish
from perwatt.runner.judging_judges import check_judges
from perwatt.runner.plan import Plan, make_plan, pair_ids
from perwatt.runner.plan_check import check_load, traces_for
from perwatt.runner.plan_left import Before, Past, what_is_left
from perwatt.runner.ranking import Ranking, check_ranking
from perwatt.runner.score import check_scorers
from perwatt.runner.session import MeasuredSoFar, Session
from perwatt.runner.session_endpoint import named
from perwatt.runner.traps import hosting
from perwatt.sensors.pick import Picked
from perwatt.store.items import write_items
from perwatt.store.journal import JournalWriter, read_journal
from perwatt.store.rundir import FORMAT, RunDir
from perwatt.workloads.classifier import label
from perwatt.workloads.load import load, sample

__all__ = ["resume", "start"]

SKIPPED_SHOWN = 20
"""Sentences about bad rows that run.json keeps; all are counted."""


def start(spec: RunSpec, listen: Listener) -> Path:
    """Do all that `spec` says and return the run's directory, complete.

    Raises a PerwattError before anything is asked if the spec cannot be done here;
    InterruptedRunError after Ctrl-C, with the directory that `resume` takes.
    """
    workload = _workload(spec)
    items = sample(workload, spec.limit, spec.seed, spec.sample).items
    check_scorers(items)
    _check_here(spec)
    check_load(spec, items)
    check_ranking(spec, items)
    if spec.judge and all(item.scorer != "judge" for item in items):
        msg = f"--judge is given, and no item of {spec.workload} has the scorer judge."
        raise SpecError(msg, "Leave it out; `perwatt score DIR --scorer judge` judges any run.")
    plan = make_plan(spec, items, traces_for(spec, workload, items))
    started = datetime.now(UTC)
    picked, line = _energy_of(spec)
    directory = spec.out or _free_name(spec, started)
    try:
        run_dir = RunDir.create(directory)
    except PerwattError:
        if picked:
            picked.close()
        raise
    try:
        write_items(run_dir.path, items)
        run_dir.write_run(
            {
                "format": FORMAT,
                "perwatt_version": __version__,
                "name": directory.resolve().name,
                "status": "running",
                "run_id": uuid4().hex,
                "started": started.isoformat(timespec="seconds"),
                "spec": spec.to_json(),
                "workload": _described(workload, len(items)),
                "requests": plan.total,
                "environment": fingerprint(),
                "pairs": {},
            }
        )
        asked = msgspec.structs.replace(workload, items=items)
        _sit(spec, asked, plan, run_dir, 1, (picked, line), listen)
    except InterruptedRunError:
        raise
    except PerwattError:
        run_dir.discard_if_nothing_was_asked()
        raise
    finally:
        run_dir.close()
    return directory


def resume(directory: Path, listen: Listener) -> None:
    """Ask what an interrupted run has not finished, then finish it. A complete one is left alone.

    Raises RunDirError where there is no run, where another process is at it, or where the items
    have changed since.
    """
    run_dir = RunDir.open(directory)
    try:
        run = run_dir.read_run()
        if run.get("status") == "complete":
            listen(Stage(f"{directory} is complete; nothing is left to ask"))
            return
        spec = RunSpec.resolve(run["spec"])
        workload = _workload(spec)
        if workload.sha256 != run["workload"]["sha256"]:
            msg = f"The items of the workload {spec.workload} have changed since {directory} began."
            raise RunDirError(msg, "Bring the old items back, or start a new run.")
        items = sample(workload, spec.limit, spec.seed, spec.sample).items
        JournalWriter(run_dir.journal).close()  # killed before its first line, it is not there yet
        journal = read_journal(run_dir.journal)
        so_far = measured_s(journal.requests) if spec.per_query else {}
        again = {
            key: times
            for key, (seconds_in_flight, times) in so_far.items()
            if not is_filled(seconds_in_flight, times, tick_s=0.0)
        }
        past = Past(
            done=journal.done,
            requests=journal.requests,
            phases=tuple(phase for phase in journal.phases if phase.kind == "load"),
            again=again,
            sweep=spec.parsed_load.sweep,
        )
        whole = make_plan(spec, items, traces_for(spec, workload, items))
        plan, known = what_is_left(whole, past)
        number = max((s.session for s in journal.sessions), default=0) + 1
        asked = msgspec.structs.replace(workload, items=items)
        _sit(spec, asked, plan, run_dir, number, _energy_of(spec), listen, so_far, known)
    finally:
        run_dir.close()


def _workload(spec: RunSpec) -> Workload:
    """All of it, or as many of each cell as --limit may need of a source of millions."""
    return load(
        spec.workload,
        skip_bad=spec.skip_bad,
        at_most=spec.limit,
        seed=spec.seed,
        label=label if spec.classify else None,
    )


def _check_here(spec: RunSpec) -> None:
    """All that can be known to be wrong before a directory is made or an engine started."""
    registry("attribution").get(spec.attribution)
    check_judges(spec)
    name, _ = named(spec.endpoint)
    registry("endpoint").get(name)
    if name == "llamacpp":
        check_port(spec.port)
        for model in spec.model:
            check_model(model, spec.accept_terms)


def _energy_of(spec: RunSpec) -> tuple[Picked | None, str]:
    """Its sensors: those of the machine of the address, whichever endpoint asks there."""
    _, address = named(spec.endpoint)
    if address is None or "://" not in address:
        return find_energy(spec)
    return find_energy(spec.model_copy(update={"endpoint": address}))


def _sit(
    spec: RunSpec,
    workload: Workload,
    plan: Plan,
    run_dir: RunDir,
    number: int,
    energy: tuple[Picked | None, str],
    listen: Listener,
    so_far: MeasuredSoFar | None = None,
    known: Before | None = None,
) -> None:
    """One session and what follows it. Says in run.json how it ended, whichever way it did."""
    picked, line = energy
    run = run_dir.read_run()
    identities = {k: msgspec.convert(v, PairIdentity) for k, v in run["pairs"].items()}

    def opened(served: Served, pids: Sequence[int], refused: str | None) -> None:
        identity = served.identity
        _same_as_before(identities.get(identity.pair_id), identity)
        identities[identity.pair_id] = identity
        order = pair_ids(spec.model)
        run["pairs"] = {k: msgspec.to_builtins(identities[k]) for k in order if k in identities}
        if picked:  # narrowed by now to the devices that host this pair
            counted = () if refused else picked.counted
            run["energy"]["counted"][identity.pair_id] = [d.name for d in counted]
            run["energy"]["hosting"][identity.pair_id] = hosting(picked.domains, pids)
        if refused:
            run["energy"]["refused"][identity.pair_id] = refused
        run_dir.write_run(run)

    try:
        run["energy"] = _energy_record(picked, line, run.get("energy", {}))
        run["status"] = "running"
        run_dir.write_run(run)
        listen(EnergyFound(line))
        with JournalWriter(run_dir.journal) as journal:
            ranking = _ranking(spec, workload, run, journal)
            session = Session(
                spec,
                workload,
                plan,
                run_dir,
                journal,
                number,
                picked,
                opened,
                listen,
                so_far,
                known,
                ranking,
            )
            if plan.segments:
                session.run()
                run["energy"]["timings"] = msgspec.to_builtins(session.timings)
            if ranking:
                ranking()  # once more, where the last stretch was not looked at
                run["ranking"] = ranking.record(session.stopped, run["requests"])
            finish(run_dir, run, workload, journal, listen)
    except KeyboardInterrupt:
        run_dir.write_run({**run, "status": "interrupted"})
        msg = f"Stopped; {run_dir.path} holds all that had finished."
        raise InterruptedRunError(msg, f"Go on with: perwatt resume {run_dir.path}") from None
    except PerwattError:
        _say_failed(run_dir, run)
        raise
    finally:
        if picked:
            picked.close()


def _ranking(
    spec: RunSpec, workload: Workload, run: Mapping[str, Any], journal: JournalWriter
) -> Ranking | None:
    if spec.rank is None:
        return None
    items = {item.id: item for item in workload.items}
    return Ranking(spec, items, run, lambda: read_journal(journal.path), journal.append)


def _say_failed(run_dir: RunDir, run: Mapping[str, Any]) -> None:
    try:
        run_dir.write_run({**run, "status": "failed"})
    except PerwattError:
        return  # a full disk: the error being raised already says so, and run.json stays as it was


def _same_as_before(before: PairIdentity | None, now: PairIdentity) -> None:
    if before is not None and before.model_sha256 != now.model_sha256:
        msg = f"The weights of {now.label} are not those this run began with."
        raise SpecError(msg, "Bring the old file back, or start a new run.")


def _free_name(spec: RunSpec, started: datetime) -> Path:
    pairs = "-".join(pair_ids(spec.model)[:2])
    text = f"{started:%Y%m%d-%H%M%S}-{pairs}-{Path(spec.workload).stem}"
    name = re.sub(r"[^A-Za-z0-9._@-]+", "-", text)
    numbered = (name if n == 1 else f"{name}-{n}" for n in count(1))
    return next(path for each in numbered if not (path := Path("runs", each)).exists())


def _described(workload: Workload, asked: int) -> dict[str, Any]:
    return {
        "name": workload.name,
        "version": workload.version,
        "sha256": workload.sha256,
        "licence": workload.licence,
        "source": workload.source,
        "items": workload.total or len(workload.items),
        "items_asked": asked,
        "skipped": len(workload.skipped),
        "skipped_first": list(workload.skipped[:SKIPPED_SHOWN]),
    }


def _energy_record(picked: Picked | None, line: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """run.json's `energy`. A resumed run must go on being measured as it began."""
    if picked is None:
        record: dict[str, Any] = {
            "line": line,
            "boundary": None,
            "grade": None,
            "domains": [],
            "tried": [],
        }
    else:
        record = {
            "line": line,
            "boundary": picked.boundary,
            "grade": picked.grade,
            "domains": msgspec.to_builtins(picked.domains),
            "tried": msgspec.to_builtins(picked.tried),
        }
    if before and (before["grade"], before["boundary"]) != (record["grade"], record["boundary"]):
        msg = (
            f"This run began with energy of grade {before['grade']}, and now has {record['grade']}."
        )
        raise GradeError(msg, "Make the same sensors readable again, or start a new run.")
    kept = {name: before.get(name, {}) for name in ("counted", "hosting", "refused")}
    return {**record, **kept, "timings": before.get("timings", [])}
