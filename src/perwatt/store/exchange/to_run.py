"""What other tools measured as a run directory: to report, compare, study and score again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from perwatt import __version__
from perwatt.core.errors import PerwattError, SpecError, UnknownNameError
from perwatt.core.estimate import worst_grade
from perwatt.core.load import parse_load
from perwatt.core.records import Columns, Item, PairIdentity, Verdict
from perwatt.core.spec import RunSpec
from perwatt.store.exchange.foreign import Answer, Foreign
from perwatt.store.exchange.request_rows import (
    as_item,
    item_id,
    origin_ns,
    request_row,
    score_rows,
)
from perwatt.store.integrity import hashes_of
from perwatt.store.items import write_items
from perwatt.store.published import write_published
from perwatt.store.rundir import FORMAT, RunDir
from perwatt.store.tables import write_tables

__all__ = ["write_run"]

NO_ENERGY = "Energy is UNKNOWN: these scores were read from another tool's files"
Told = tuple[Foreign, Answer]


def write_run(foreign: Sequence[Foreign], out: Path, scorer: str | None = None) -> None:
    """One run of all files. `scorer`: whose word counts; default: each file's own headline.

    The same item of the same task is one item, whichever file or model it came from. Raises
    SpecError for a scorer that no file has or a figure that two files have, RunDirError where
    `out` is taken, FileError where it cannot be written; nothing is then left of the run.
    """
    answers = [(file, answer) for file in foreign for answer in file.answers]
    published = [(file, row) for file in foreign for row in file.published]
    known = sorted({s.scorer for _, answer in answers for s in answer.scores})
    if scorer is not None and scorer not in known:
        unknown = UnknownNameError("scorer in these files", scorer, known)
        raise SpecError(unknown.message, f"They have: {', '.join(known) or 'none'}.")
    _check_once(answers)
    _check_published_once(foreign)
    loads = list(dict.fromkeys(answer.load for _, answer in answers if answer.load))
    stages = {load: number for number, load in enumerate(loads)}
    items: dict[str, Item] = {}
    for _, answer in answers:
        items.setdefault(item_id(answer), as_item(answer))
    started = min((a.asked_s for _, a in answers if a.asked_s is not None), default=None)
    origins = {id(file): origin_ns(file) for file in foreign}
    rows = [
        request_row(
            file, answer, scorer, stages=stages, started_s=started, origin=origins[id(file)]
        )
        for file, answer in answers
    ]
    scores = [row for _, answer in answers for row in score_rows(answer, stages)]
    run = _run(foreign, answers, items, loads, known, started)
    run["name"] = out.resolve().name
    made = not out.exists()
    with RunDir.create(out) as run_dir:
        try:
            write_items(out, items.values())
            write_tables(out, requests=_columns(rows), power={}, scores=_columns(scores))
            if published:
                write_published(out, [row for _, row in published])
            run["files"] = hashes_of(out)
            run_dir.write_run(run)
        except BaseException:
            _discard(out, whole=made)
            raise


def _run(
    foreign: Sequence[Foreign],
    answers: Sequence[Told],
    items: dict[str, Item],
    loads: list[str],
    scorers: list[str],
    started: float | None,
) -> dict[str, Any]:
    """run.json, without `name` and `files`."""
    tools = list(dict.fromkeys(file.tool for file in foreign))
    files = [file.file for file in foreign]
    pairs = _pairs(foreign, answers, tools)
    workloads = sorted(
        {item.kind for item in items.values()}
        | {row.workload for file in foreign for row in file.published}
    )
    began = min((file.started_s for file in foreign if file.started_s is not None), default=None)
    began = began if started is None else started
    ended = max((a.answered_s for _, a in answers if a.answered_s is not None), default=None)
    return {
        "format": FORMAT,
        "perwatt_version": __version__,
        "run_id": uuid4().hex,
        "status": "complete",
        "started": _iso(began),
        "ended": _iso(began if ended is None else ended),
        "spec": _spec(list(pairs), loads),
        "imported": {
            "tools": tools,
            "files": files,
            "scorers": scorers,
            **({} if answers and not loads else {"loads": loads}),
            "energy": _energy_of_pairs(answers),
        },
        "workload": {
            "name": ", ".join(workloads),
            "version": "imported",
            "sha256": _sha256(items),
            "licence": "unknown",
            "source": ", ".join(files),
            "items": len(items),
            "items_asked": len(items),
        },
        "requests": len(answers),
        "environment": {},
        "pairs": {pair_id: msgspec.to_builtins(pair) for pair_id, pair in pairs.items()},
        "energy": _energy(foreign, tools),
        "ledgers": {},
        "phases": [],
        "sessions": 0,
        "client": [],
        "verdicts": msgspec.to_builtins(_verdicts(foreign, tools)),
        "traps": [],
    }


def _spec(models: list[str], loads: list[str]) -> dict[str, Any]:
    """`load` is left out where the tools do not say it, or perwatt's words cannot."""
    given: dict[str, Any] = {"model": models, "endpoint": "imported", "workload": "imported"}
    try:
        words = ",".join(loads)
        said = bool(loads) and [s.text for s in parse_load(words).stages] == loads
    except PerwattError:
        said = False
    spec = RunSpec.resolve({**given, "load": words} if said else given).to_json()
    if not said:
        del spec["load"]
    return spec


def _pairs(
    foreign: Sequence[Foreign], answers: Sequence[Told], tools: Sequence[str]
) -> dict[str, PairIdentity]:
    """Those that a file describes, and those that it only names."""
    pairs = {pair.pair_id: pair for file in reversed(foreign) for pair in reversed(file.pairs)}
    named = [answer.model for _, answer in answers]
    named += [row.pair_id for file in foreign for row in file.published]
    engine = f"as read from {', '.join(tools)}"
    return {
        name: pairs.get(name) or PairIdentity(pair_id=name, label=name, model=name, engine=engine)
        for name in dict.fromkeys(named)
    }


def _energy(foreign: Sequence[Foreign], tools: Sequence[str]) -> dict[str, Any]:
    told = [a.metered for file in foreign for a in file.answers if a.metered]
    figures = [row.estimate for file in foreign for row in file.published]
    grades = [one.grade for one in told] + [e.grade for e in figures if e.grade]
    boundaries = {one.boundary for one in told} | {e.boundary for e in figures if e.boundary}
    grade = worst_grade(grades)
    where = ", ".join(sorted(boundaries))
    line = f"Energy is as {', '.join(tools)} gave it: {where}, grade {grade} at worst"
    return {
        "line": line if grade else NO_ENERGY,
        "boundary": next(iter(boundaries)) if len(boundaries) == 1 else None,
        "grade": grade,
        "domains": [],
        "tried": [],
        "counted": {},
        "hosting": {},
        "refused": {},
        "timings": [],
    }


def _energy_of_pairs(answers: Sequence[Told]) -> dict[str, dict[str, Any]]:
    """Boundary and worst grade of each pair's joules; none of pairs with several boundaries."""
    found: dict[str, dict[str, Any]] = {}
    for pair_id in dict.fromkeys(answer.model for _, answer in answers):
        told = [a.metered for _, a in answers if a.model == pair_id and a.metered]
        boundaries = {one.boundary for one in told}
        if len(boundaries) == 1:
            grade = worst_grade([one.grade for one in told])
            found[pair_id] = {"boundary": boundaries.pop(), "grade": grade}
    return found


def _verdicts(foreign: Sequence[Foreign], tools: Sequence[str]) -> list[Verdict]:
    read = f"Read from files of {', '.join(tools)}: perwatt neither asked nor scored"
    joules = any(a.metered for file in foreign for a in file.answers)
    joules |= any(row.estimate.grade for file in foreign for row in file.published)
    known = "the joules are the tool's own" if joules else "no joules are known"
    sentence = f"{read}, and {known}."
    mend = "For joules of each request, let that tool ask through `perwatt serve`."
    found = [Verdict(code="imported", severity="note", sentence=sentence, mend=mend)]
    found += [
        Verdict(code="imported", severity="warning", sentence=note)
        for file in foreign
        for note in file.notes
    ]
    return list(dict.fromkeys([*found, *(v for file in foreign for v in file.verdicts)]))


def _check_once(answers: Sequence[Told]) -> None:
    seen: dict[tuple[str, str, int, str | None], str] = {}
    for file, answer in answers:
        key = (answer.model, item_id(answer), answer.repeat, answer.load)
        if key in seen:
            msg = f"The answer to {answer.item_id!r} of {answer.model} is in {seen[key]}"
            msg += f" and again in {file.file}."
            raise SpecError(msg, "Import the files apart, or tell the models or tasks apart.")
        seen[key] = file.file


def _check_published_once(foreign: Sequence[Foreign]) -> None:
    seen: dict[tuple[str, str, str, str], str] = {}
    for file in foreign:
        for row in file.published:
            key = (row.pair_id, row.workload, row.load, row.metric)
            if key in seen:
                msg = f"{row.metric} of {row.pair_id} under {row.load} is in {seen[key]}"
                raise SpecError(
                    f"{msg} and again in {row.source}.",
                    "Import the files into runs of their own: a study puts those side by side.",
                )
            seen[key] = row.source


def _discard(out: Path, *, whole: bool) -> None:
    """What was written of a run that could not be; the directory too, where it was made for it."""
    for name in ("run.json", "items.jsonl", "lock"):
        (out / name).unlink(missing_ok=True)
    for file in out.glob("*.parquet"):
        file.unlink(missing_ok=True)
    if whole and not any(out.iterdir()):
        out.rmdir()


def _columns(rows: Sequence[dict[str, Any]]) -> Columns:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _sha256(items: dict[str, Item]) -> str:
    encoder = msgspec.json.Encoder(order="deterministic")
    digest = hashlib.sha256()
    for item in items.values():
        digest.update(encoder.encode(item) + b"\n")
    return digest.hexdigest()


def _iso(moment_s: float | None) -> str:
    try:
        moment = datetime.now(UTC) if moment_s is None else datetime.fromtimestamp(moment_s, UTC)
    except (OverflowError, OSError, ValueError):  # a time that no calendar has
        moment = datetime.now(UTC)
    return moment.isoformat(timespec="seconds")
