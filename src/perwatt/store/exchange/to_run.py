"""Answers of another tool as a run directory: scores to compare and report, without joules."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from perwatt import __version__
from perwatt.core.errors import SpecError, UnknownNameError
from perwatt.core.records import Columns, Item, PairIdentity, Verdict
from perwatt.core.spec import RunSpec
from perwatt.store.exchange.foreign import Answer, Foreign, ForeignScore
from perwatt.store.integrity import hashes_of
from perwatt.store.items import write_items
from perwatt.store.rundir import RunDir
from perwatt.store.tables import write_tables

__all__ = ["write_run"]

NO_ENERGY = "Energy is UNKNOWN: these scores were read from another tool's files"


def write_run(foreign: Sequence[Foreign], out: Path, scorer: str | None = None) -> None:
    """One run of all files. `scorer`: whose word counts; default: each file's own headline.

    The same item of the same task is one item, whichever file or model it came from. Raises
    SpecError for a scorer that no file has or an answer that two files have, RunDirError where
    `out` is taken.
    """
    answers = [(file, answer) for file in foreign for answer in file.answers]
    known = sorted({s.scorer for _, answer in answers for s in answer.scores})
    if scorer is not None and scorer not in known:
        unknown = UnknownNameError("scorer in these files", scorer, known)
        raise SpecError(unknown.message, f"They have: {', '.join(known)}.")
    _check_once(answers)
    models = list(dict.fromkeys(answer.model for _, answer in answers))
    items: dict[str, Item] = {}
    for _, answer in answers:
        items.setdefault(_item_id(answer), _item(answer))
    started = min((a.asked_s for _, a in answers if a.asked_s is not None), default=None)
    ended = max((a.answered_s for _, a in answers if a.answered_s is not None), default=None)
    rows = [_row(file, answer, scorer, started) for file, answer in answers]
    scores = [row for file, answer in answers for row in _score_rows(answer)]
    spec = RunSpec.resolve({"model": models, "endpoint": "imported", "workload": "imported"})
    tools = list(dict.fromkeys(file.tool for file in foreign))
    files = [file.file for file in foreign]
    run: dict[str, Any] = {
        "format": 1,
        "perwatt_version": __version__,
        "name": out.resolve().name,
        "run_id": uuid4().hex,
        "status": "complete",
        "started": _iso(started),
        "ended": _iso(ended),
        "spec": spec.to_json(),
        "imported": {"tools": tools, "files": files, "scorers": known},
        "workload": {
            "name": ", ".join(sorted({item.kind for item in items.values()})),
            "version": "imported",
            "sha256": _sha256(items),
            "licence": "unknown",
            "source": ", ".join(files),
            "items": len(items),
            "items_asked": len(items),
        },
        "requests": len(rows),
        "environment": {},
        "pairs": {model: _identity(model, tools) for model in models},
        "energy": {
            "line": NO_ENERGY,
            "boundary": None,
            "grade": None,
            "domains": [],
            "tried": [],
            "counted": {},
            "hosting": {},
            "refused": {},
            "timings": [],
        },
        "ledgers": {},
        "phases": [],
        "sessions": 0,
        "client": [],
        "verdicts": msgspec.to_builtins(_verdicts(foreign, tools)),
        "traps": [],
    }
    with RunDir.create(out) as run_dir:
        write_items(out, items.values())
        write_tables(out, requests=_columns(rows), power={}, scores=_columns(scores))
        run["files"] = hashes_of(out)
        run_dir.write_run(run)


def _check_once(answers: Sequence[tuple[Foreign, Answer]]) -> None:
    seen: dict[tuple[str, str, int], str] = {}
    for file, answer in answers:
        key = (answer.model, _item_id(answer), answer.repeat)
        if key in seen:
            msg = f"The answer to {answer.item_id!r} of {answer.model} is in {seen[key]}"
            msg += f" and again in {file.file}."
            raise SpecError(msg, "Import the files apart, or tell the models or tasks apart.")
        seen[key] = file.file


def _item_id(answer: Answer) -> str:
    return f"{answer.kind}/{answer.item_id}"


def _item(answer: Answer) -> Item:
    options: dict[str, Any] = {"accept": list(answer.accept)} if answer.accept else {}
    if answer.choices:
        options["choices"] = list(answer.choices)
    return Item(
        id=_item_id(answer),
        kind=answer.kind,
        messages=answer.messages,
        reference=answer.reference,
        scorer="none",  # it was scored elsewhere; `perwatt score --scorer` names one of ours
        options=options,
        category=answer.category,
    )


def _row(
    file: Foreign, answer: Answer, scorer: str | None, started_s: float | None
) -> dict[str, Any]:
    score = _headline(answer, scorer or file.scorer)
    asked = _ns(answer.asked_s, started_s)
    request_id = f"{answer.model}/{_item_id(answer)}/{answer.repeat}"
    return {
        "request_id": request_id,
        "item_id": _item_id(answer),
        "pair_id": answer.model,
        "workload": answer.kind,
        "kind": answer.kind,
        "category": answer.category,
        "repeat": answer.repeat,
        "status": "error" if answer.error is not None else "ok",
        "error_kind": "imported" if answer.error is not None else None,
        "error": answer.error,
        "scheduled_ns": asked,
        "dispatched_ns": asked,
        "last_chunk_ns": _ns(answer.answered_s, started_s),
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "finish_reason": answer.finish_reason,
        "text": answer.text,
        "score": score.value if score else None,
        "scorer": score.scorer if score else None,
        "extracted": score.extracted if score else None,
        "abstained": score is None or score.value is None,
        "flags": [],
        "group": _item_id(answer),
        "stage": 0,
        "turn": 0,
        "attempt": 1,
    }


def _score_rows(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "request_id": f"{answer.model}/{_item_id(answer)}/{answer.repeat}",
            "item_id": _item_id(answer),
            "scorer": score.scorer,
            "value": score.value,
            "extracted": score.extracted,
            "abstained": score.value is None,
            "explanation": score.explanation,
        }
        for score in answer.scores
    ]


def _headline(answer: Answer, scorer: str | None) -> ForeignScore | None:
    named = [s for s in answer.scores if s.scorer == scorer]
    return next(iter(named or answer.scores), None)


def _identity(model: str, tools: Sequence[str]) -> dict[str, Any]:
    identity = PairIdentity(
        pair_id=model, label=model, model=model, engine=f"as read from {', '.join(tools)}"
    )
    return dict(msgspec.to_builtins(identity))


def _verdicts(foreign: Sequence[Foreign], tools: Sequence[str]) -> list[Verdict]:
    read = f"Answers and scores were read from files of {', '.join(tools)}"
    found = [
        Verdict(
            code="imported",
            severity="note",
            sentence=f"{read}: perwatt neither asked nor scored, and no joules are known.",
            mend="For joules beside these answers, let that tool ask through `perwatt serve`.",
        )
    ]
    found += [
        Verdict(code="imported", severity="warning", sentence=note)
        for file in foreign
        for note in file.notes
    ]
    return found


def _columns(rows: Sequence[dict[str, Any]]) -> Columns:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _sha256(items: dict[str, Item]) -> str:
    encoder = msgspec.json.Encoder(order="deterministic")
    digest = hashlib.sha256()
    for item in items.values():
        digest.update(encoder.encode(item) + b"\n")
    return digest.hexdigest()


def _ns(moment_s: float | None, started_s: float | None) -> int | None:
    if moment_s is None or started_s is None:
        return None
    return round((moment_s - started_s) * 1e9)


def _iso(moment_s: float | None) -> str:
    moment = datetime.now(UTC) if moment_s is None else datetime.fromtimestamp(moment_s, UTC)
    return moment.isoformat(timespec="seconds")
