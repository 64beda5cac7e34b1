"""Rows of requests.parquet, scores.parquet and items.jsonl from what a reader of files found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perwatt.core.records import Item
from perwatt.store.exchange.foreign import Answer, Foreign, ForeignScore, Marks

__all__ = ["OWN_SPLIT", "as_item", "item_id", "origin_ns", "request_row", "score_rows"]

OWN_SPLIT = "the tool's own"
"""The attribution of joules that another tool gave a request."""


def item_id(answer: Answer) -> str:
    return f"{answer.kind}/{answer.item_id}"


def as_item(answer: Answer) -> Item:
    options: dict[str, Any] = {"accept": list(answer.accept)} if answer.accept else {}
    if answer.choices:
        options["choices"] = list(answer.choices)
    return Item(
        id=item_id(answer),
        kind=answer.kind,
        messages=answer.messages,
        reference=answer.reference,
        scorer="none",  # it was scored elsewhere; `perwatt score --scorer` names one of ours
        options=options,
        category=answer.category,
    )


def origin_ns(file: Foreign) -> int:
    """The first mark of a file, from which all of its marks then count."""
    marks = [answer.marks for answer in file.answers if answer.marks]
    firsts = [m.dispatched_ns if m.scheduled_ns is None else m.scheduled_ns for m in marks]
    return min([*firsts, *(m.dispatched_ns for m in marks)], default=0)


def request_row(
    file: Foreign,
    answer: Answer,
    scorer: str | None,
    *,
    stages: Mapping[str, int],
    started_s: float | None,
    origin: int,
) -> dict[str, Any]:
    """`scorer`: whose word counts; None: the file's own headline. `stages`: of each load.

    `origin`: the mark of the file that is 0 here; `started_s`: likewise of its wall-clock times.
    """
    score = _headline(answer, scorer or file.scorer)
    stage = stages.get(answer.load or "", 0)
    return {
        "request_id": _request_id(answer, stage),
        "item_id": item_id(answer),
        "pair_id": answer.model,
        "workload": answer.kind,
        "kind": answer.kind,
        "category": answer.category,
        "repeat": answer.repeat,
        "status": _status(answer),
        "error_kind": "imported" if answer.error is not None else None,
        "error": answer.error,
        **_times(answer, started_s, origin),
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "reasoning_tokens": answer.reasoning_tokens,
        "cached_tokens": answer.cached_tokens,
        "finish_reason": answer.finish_reason,
        "text": answer.text,
        "score": score.value if score else None,
        "scorer": score.scorer if score else None,
        "extracted": score.extracted if score else None,
        "abstained": score is None or score.value is None,
        **_joules(answer),
        "group": item_id(answer),
        "phase_id": _phase_id(file, answer, stage),
        "stage": stage,
        "turn": 0,
        "attempt": 1,
    }


def score_rows(answer: Answer, stages: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "request_id": _request_id(answer, stages.get(answer.load or "", 0)),
            "item_id": item_id(answer),
            "scorer": score.scorer,
            "value": score.value,
            "extracted": score.extracted,
            "abstained": score.value is None,
            "explanation": score.explanation,
        }
        for score in answer.scores
    ]


def _request_id(answer: Answer, stage: int) -> str:
    plain = f"{answer.model}/{item_id(answer)}/{answer.repeat}"
    return f"{plain}/{stage}" if stage else plain


def _phase_id(file: Foreign, answer: Answer, stage: int) -> str:
    """What shares one clock and one load: rates are taken over such stretches, and summed."""
    if answer.marks is not None and answer.marks.alone:
        return _request_id(answer, stage)
    return f"{file.file}/{stage}"


def _status(answer: Answer) -> str:
    if answer.cancelled:
        return "cancelled"
    return "ok" if answer.error is None else "error"


def _headline(answer: Answer, scorer: str | None) -> ForeignScore | None:
    named = [s for s in answer.scores if s.scorer == scorer]
    return next(iter(named or answer.scores), None)


def _times(answer: Answer, started_s: float | None, origin: int) -> dict[str, Any]:
    if answer.marks is not None:
        return _marked(answer.marks, origin)
    asked = _ns(answer.asked_s, started_s)
    return {
        "scheduled_ns": asked,
        "dispatched_ns": asked,
        "first_chunk_ns": None,
        "first_answer_ns": None,
        "last_chunk_ns": _ns(answer.answered_s, started_s),
        "chunk_offsets_ns": [],
    }


def _marked(marks: Marks, origin: int) -> dict[str, Any]:
    due = marks.dispatched_ns if marks.scheduled_ns is None else marks.scheduled_ns
    at = {
        "scheduled_ns": due,
        "dispatched_ns": marks.dispatched_ns,
        "first_chunk_ns": marks.first_chunk_ns,
        "first_answer_ns": marks.first_answer_ns,
        "last_chunk_ns": marks.last_chunk_ns,
    }
    relative: dict[str, Any] = {k: None if v is None else v - origin for k, v in at.items()}
    return {**relative, "chunk_offsets_ns": list(marks.chunk_offsets_ns)}


def _ns(moment_s: float | None, started_s: float | None) -> int | None:
    if moment_s is None or started_s is None:
        return None
    return round((moment_s - started_s) * 1e9)


def _joules(answer: Answer) -> dict[str, Any]:
    """Gross alone: no tool read here measures idle, and none gives an interval."""
    own = answer.metered
    seconds = None
    if answer.marks is not None and answer.marks.last_chunk_ns is not None:
        seconds = (answer.marks.last_chunk_ns - answer.marks.dispatched_ns) / 1e9
    return {
        "energy_gross_j": own.energy_j if own else None,
        "prefill_j": own.prefill_j if own else None,
        "decode_j": own.decode_j if own else None,
        "power_mean_w": own.energy_j / seconds if own and seconds and seconds > 0 else None,
        "boundary": own.boundary if own else None,
        "grade": own.grade if own else None,
        "attribution": OWN_SPLIT if own else None,
        "flags": list(own.flags) if own else [],
    }
