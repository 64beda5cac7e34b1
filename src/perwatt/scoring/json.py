"""`json`: the JSON in an answer, compared with the reference value by value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.extract import without_thinking
from perwatt.scoring.known_options import takes

__all__ = ["MISSING", "find_json", "json_match", "same_json"]

_FENCE = re.compile(r"```[\w-]*\s*\n(.*?)(?:```|\Z)", re.DOTALL)
_STARTS = re.compile(r"[\[{]")
_MOST_STARTS = 100
_MOST_CHARS = 200_000
MISSING = object()
"""What `find_json` gives when there is none: None would be JSON's null."""


@takes("casefold", "extra", "partial")
def json_match() -> Scorer:
    """Scores 1 when the answer's JSON equals the reference, else 0 (or a share, see `partial`).

    Key order is free and 1 equals 1.0; true is not 1. Fences and prose around are stepped over; the
    first value of the reference's type counts. Options: `partial`, true to score the share of the
    reference's leaves that are right; `extra`, true to allow keys that were not asked for;
    `casefold`, true to compare strings without case and outer space. A reference of the shape
    `{"name": …, "arguments": {…}}` also accepts the OpenAI wrappings of a tool call.
    """

    def score(item: Item, text: str) -> Judgement:
        try:
            right = json.loads(item.reference)
        except ValueError:
            why = f"the reference of the item {item.id!r} is not JSON"
            return Judgement(value=None, abstained=True, explanation=why)
        found = find_json(without_thinking(text), type(right))
        if found is MISSING:
            return Judgement(value=0.0, explanation="no JSON of the right type found")
        if isinstance(right, dict) and set(right) == {"name", "arguments"}:
            found = _unwrap_call(found)
        options = item.options
        fold = bool(options.get("casefold"))
        extra = bool(options.get("extra"))
        try:
            same = _equal(right, found, fold, extra)
            shown = json.dumps(found, ensure_ascii=False)
            paths = list(_leaves(right)) if options.get("partial") and not same else []
            hits = sum(_equal(value, _at(found, path), fold, extra) for path, value in paths)
        except RecursionError:
            return Judgement(value=0.0, explanation="JSON nested too deeply")
        return Judgement(value=1.0 if same else hits / max(len(paths), 1), extracted=shown)

    return score


def same_json(right: Any, found: Any) -> bool:
    """Equal value by value: 1 is 1.0, true is not 1, the order of keys is free."""
    return _equal(right, found, fold=False, extra=False)


def find_json(text: str, kind: type = dict, whole: bool = False) -> Any:
    """The first JSON value of this type: the whole text, in a fence, or amid prose.

    `whole`: only if the text is nothing but that value, bare or in one fence.
    """
    text = text[:_MOST_CHARS]
    alone = _FENCE.fullmatch(text.strip())
    fenced = ([alone[1]] if alone else []) if whole else _FENCE.findall(text)
    for candidate in (text, *fenced):
        value = _parse(candidate.strip())
        if value is not MISSING and isinstance(value, kind):
            return value
    if whole:
        return MISSING
    decoder = json.JSONDecoder()
    for tried, start in enumerate(_STARTS.finditer(text)):
        if tried == _MOST_STARTS:
            break
        try:
            value, _ = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(value, kind):
            return value
    return MISSING


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return MISSING


def _unwrap_call(found: Any) -> Any:
    if isinstance(found.get("tool_calls"), list) and len(found["tool_calls"]) == 1:
        found = found["tool_calls"][0]
    if isinstance(found, dict) and isinstance(found.get("function"), dict):
        found = found["function"]
    if not isinstance(found, dict):
        return found
    call = {("arguments" if key == "parameters" else key): value for key, value in found.items()}
    if isinstance(call.get("arguments"), str):  # OpenAI sends arguments as a JSON string
        inner = _parse(call["arguments"])
        call["arguments"] = call["arguments"] if inner is MISSING else inner
    return call


def _equal(right: Any, found: Any, fold: bool, extra: bool) -> bool:
    if isinstance(right, bool) or isinstance(found, bool) or right is None:
        return type(right) is type(found) and bool(right == found)
    if isinstance(right, int | float):
        return isinstance(found, int | float) and bool(right == found)
    if isinstance(right, str):
        if not isinstance(found, str):
            return False
        return right == found or (fold and right.strip().casefold() == found.strip().casefold())
    if isinstance(right, list):
        if not isinstance(found, list) or len(right) != len(found):
            return False
        return all(_equal(r, f, fold, extra) for r, f in zip(right, found, strict=True))
    if not isinstance(found, dict) or not (
        set(right) <= set(found) if extra else set(right) == set(found)
    ):
        return False
    return all(_equal(value, found[key], fold, extra) for key, value in right.items())


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path, value


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return MISSING
        value = value[key]
    return value
