"""Inspect's logs, `.eval` and `.json`, as answers and scores (inspect_ai.log, schema version 2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.errors import FileError
from perwatt.core.records import Message
from perwatt.store.exchange.foreign import Answer, Foreign, ForeignScore, as_value
from perwatt.store.exchange.zipped import Zipped
from perwatt.store.lines import repaired

__all__ = ["read_inspect"]

_ROLES = ("system", "user", "assistant")


class _Config(msgspec.Struct, frozen=True):
    task: str
    model: str
    packages: dict[str, str] = {}


class _Results(msgspec.Struct, frozen=True):
    scores: list[dict[str, Any]] = []
    headline: dict[str, Any] | None = None


class _Header(msgspec.Struct, frozen=True):
    eval: _Config
    status: str = "success"
    results: _Results | None = None


class _Usage(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Output(msgspec.Struct, frozen=True):
    choices: list[dict[str, Any]] = []
    completion: Any = None
    usage: _Usage | None = None


class _Score(msgspec.Struct, frozen=True):
    value: Any = None
    answer: Any = None
    explanation: str | None = None


class _Event(msgspec.Struct, frozen=True):
    event: str = ""
    timestamp: str | None = None
    completed: str | None = None


class _Sample(msgspec.Struct, frozen=True):
    id: int | str
    epoch: int
    input: Any
    target: str | list[str] = ""
    choices: list[str] | None = None
    output: _Output | None = None
    scores: dict[str, _Score] | None = None
    error: dict[str, Any] | None = None
    events: list[_Event] = []


class _Log(_Header, frozen=True):
    samples: list[_Sample] | None = None


def read_inspect(path: Path) -> Foreign:
    """A finished log. Raises FileError naming the file, and the sample that cannot be read.

    A sample's times are those of its model call, where it made just one.
    """
    if path.suffix == ".eval":
        with Zipped(path) as zipped:
            names = zipped.names()
            if "header.json" not in names:
                msg = f"{path} has no header.json: the evaluation has not ended."
                raise FileError(msg, "Let it finish, or go on with `inspect eval-retry`.")
            header = _decoded(path, "header.json", zipped.read("header.json"), _Header)
            members = sorted(name for name in names if name.startswith("samples/"))
            samples: Iterator[_Sample] | list[_Sample] = (
                _decoded(path, name, zipped.read(name), _Sample) for name in members
            )
            return _foreign(path, header, samples)
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise FileError(msg, "Give the log that Inspect has written.") from None
    log = _decoded(path, "the log", data, _Log)
    return _foreign(path, log, log.samples or [])


def _foreign(path: Path, header: _Header, samples: Iterator[_Sample] | list[_Sample]) -> Foreign:
    config = header.eval
    answers = tuple(_answer(sample, config) for sample in samples)
    if not answers:
        msg = f"{path} holds no sample."
        raise FileError(msg, "It was written with --no-log-samples: its scores are not in it.")
    results = header.results or _Results()
    first = results.scores[0].get("scorer") if results.scores else None
    version = config.packages.get("inspect_ai")
    early = f"{path.name} is of an evaluation whose status is {header.status}: it may lack samples."
    return Foreign(
        notes=() if header.status == "success" else (early,),
        tool=f"Inspect {version}" if version else "Inspect",
        file=path.name,
        answers=answers,
        scorer=(results.headline or {}).get("scorer") or first,
    )


def _answer(sample: _Sample, config: _Config) -> Answer:
    targets = [sample.target] if isinstance(sample.target, str) else sample.target
    output = sample.output or _Output()
    first = output.choices[0] if output.choices else {}
    text = output.completion
    if not isinstance(text, str):
        text = _text(first.get("message", {}).get("content", ""))
    usage = output.usage or _Usage()
    calls = [event for event in sample.events if event.event == "model"]
    alone = calls[0] if len(calls) == 1 else _Event()
    return Answer(
        item_id=str(sample.id),
        model=config.model,
        kind=config.task,
        repeat=sample.epoch - 1,
        messages=_messages(sample.input),
        reference=targets[0] if targets else "",
        accept=tuple(targets[1:]),
        choices=tuple(sample.choices or ()),
        text=text,
        finish_reason=first.get("stop_reason"),
        error=str(sample.error.get("message", "failed")) if sample.error else None,
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        asked_s=_seconds(alone.timestamp),
        answered_s=_seconds(alone.completed),
        scores=tuple(_scores(sample.scores or {})),
    )


def _scores(scores: dict[str, _Score]) -> Iterator[ForeignScore]:
    for name, score in scores.items():
        parts = score.value if isinstance(score.value, dict) else {None: score.value}
        for key, value in parts.items():
            found = as_value(value)
            why = score.explanation
            if found is None:
                why = f"its value {value!r} is no share from 0 to 1"
            unread = value == "N" or score.answer is None
            yield ForeignScore(
                scorer=name if key is None else f"{name}/{key}",
                value=found,
                extracted=None if unread else _text(score.answer),
                explanation=why,
            )


def _messages(given: Any) -> tuple[Message, ...]:
    turns = [{"role": "user", "content": given}] if isinstance(given, str) else given
    return tuple(
        msgspec.convert({"role": turn["role"], "content": _text(turn.get("content", ""))}, Message)
        for turn in turns
        if isinstance(turn, dict) and turn.get("role") in _ROLES
    )


def _text(content: Any) -> str:
    """Text as it is, the text parts of a list of parts, anything else as it is printed."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text", "") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return str(content)


def _seconds(stamp: str | None) -> float | None:
    try:
        return datetime.fromisoformat(stamp).timestamp() if stamp else None
    except ValueError:
        return None


def _decoded(path: Path, part: str, data: bytes, kind: Any) -> Any:
    """Inspect writes NaN for a score that was not given, which is no JSON: then the slower way."""
    try:
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            return msgspec.convert(repaired(json.loads(data)), type=kind)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        msg = f"{path} is no log of Inspect: {part}: {error}."
        raise FileError(msg, "Give an .eval or .json log of version 2.") from None
