"""lm-eval's `samples_TASK_TIME.jsonl` (--log_samples) as answers and scores (lm_eval 0.4)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.errors import FileError
from perwatt.core.records import Message
from perwatt.store.exchange.fields import read_lines
from perwatt.store.exchange.foreign import Answer, Foreign, ForeignScore, as_value

__all__ = ["read_lmeval"]

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT\d[\d.:-]*)")


class _Row(msgspec.Struct, frozen=True):
    doc_id: int
    target: Any
    resps: list[Any]
    arguments: Any = None
    filtered_resps: list[Any] = []
    filter: str = "none"
    metrics: list[str] = []
    doc: Any = None


def read_lmeval(path: Path) -> Foreign:
    """One task's samples. The model's name is in the `results_…json` beside it, where that is.

    A document has a row for each filter: their metrics become scorers `metric/filter`. Raises
    FileError naming the line that cannot be read.
    """
    named = _NAME.fullmatch(path.stem)
    task = named["task"] if named else path.stem
    results = _results(path, named["time"] if named else None)
    model = str(results.get("model_name") or path.parent.name or "model")
    answers: dict[int, Answer] = {}
    first: str | None = None
    for place, row, values in _rows(path):
        scores = tuple(_scores(row, values))
        first = first or (scores[0].scorer if scores else None)
        known = answers.get(row.doc_id)
        if known is not None:
            scores = known.scores + scores
            answers[row.doc_id] = msgspec.structs.replace(known, scores=scores)
            continue
        try:
            answers[row.doc_id] = _answer(row, task, model, scores)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            msg = f"{place} is no sample of lm-eval: {error}."
            raise FileError(msg, "Write it again with --log_samples.") from None
    if not answers:
        msg = f"{path} holds no sample."
        raise FileError(msg, "Write it with: lm_eval … --log_samples --output_path DIR.")
    version = results.get("lm_eval_version")
    return Foreign(
        tool=f"lm-eval {version}" if version else "lm-eval",
        file=path.name,
        answers=tuple(answers.values()),
        scorer=first,
    )


def _rows(path: Path) -> Iterator[tuple[str, _Row, dict[str, Any]]]:
    """Each row and its place. A metric without a value is NaN in them, which `read_lines` reads."""
    for place, values in read_lines(path):
        try:
            yield place, msgspec.convert(values, _Row), values
        except msgspec.ValidationError as error:
            msg = f"{place} is no sample of lm-eval: {error}."
            raise FileError(msg, "Give a samples_….jsonl, written with --log_samples.") from None


def _answer(row: _Row, task: str, model: str, scores: tuple[ForeignScore, ...]) -> Answer:
    said = row.resps[0]
    likelihoods = isinstance(said, list) and said and isinstance(said[0], list)
    return Answer(
        item_id=str(row.doc_id),
        model=model,
        kind=task,
        messages=_messages(row.arguments),
        reference=row.target if isinstance(row.target, str) else json.dumps(row.target),
        text=json.dumps(row.resps) if likelihoods else str(said[0] if said else ""),
        scores=scores,
    )


def _scores(row: _Row, values: dict[str, Any]) -> Iterator[ForeignScore]:
    found = row.filtered_resps[0] if row.filtered_resps else None
    while isinstance(found, list) and found:
        found = found[0]
    unread = found is None or found in ("", "[invalid]", [])
    for metric in row.metrics:
        value = as_value(values.get(metric))
        yield ForeignScore(
            scorer=metric if row.filter == "none" else f"{metric}/{row.filter}",
            value=value,
            extracted=None if unread else str(found),
            explanation=None
            if value is not None
            else f"its value {values.get(metric)!r} is no share from 0 to 1",
        )


def _messages(arguments: Any) -> tuple[Message, ...]:
    """The prompt of the first request: plain text, or a chat as JSON."""
    first = arguments
    if isinstance(first, dict):
        first = next(iter(first.values()), None)
        first = first.get("arg_0") if isinstance(first, dict) else first
    while isinstance(first, list) and first:
        first = first[0]
    if not isinstance(first, str):
        return ()
    try:
        return msgspec.json.decode(first, type=tuple[Message, ...])
    except msgspec.DecodeError:
        return (Message(role="user", content=first),)


def _results(path: Path, time: str | None) -> dict[str, Any]:
    files = sorted(path.parent.glob(f"results_{time}*.json")) if time else []
    try:
        return msgspec.json.decode(files[0].read_bytes(), type=dict[str, Any]) if files else {}
    except (OSError, msgspec.DecodeError):
        return {}
