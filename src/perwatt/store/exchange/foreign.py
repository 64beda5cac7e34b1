"""What the readers of other tools' files make of them: answers, scores, and what was published."""

from __future__ import annotations

import msgspec

from perwatt.core.estimate import Grade
from perwatt.core.records import Boundary, Message, PairIdentity, Verdict
from perwatt.core.study import Published

__all__ = ["Answer", "Foreign", "ForeignScore", "Marks", "Metered", "as_value"]


class ForeignScore(msgspec.Struct, frozen=True, kw_only=True):
    """One scorer's word on one answer."""

    scorer: str
    """Its name there, such as `match` or `exact_match/strict-match`."""
    value: float | None
    """0 to 1; None: it gave none, or one that is no share."""
    extracted: str | None = None
    explanation: str | None = None


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """When what happened to one request, in nanoseconds of one clock that is the file's own."""

    dispatched_ns: int
    scheduled_ns: int | None = None
    first_chunk_ns: int | None = None
    first_answer_ns: int | None = None
    last_chunk_ns: int | None = None
    chunk_offsets_ns: tuple[int, ...] = ()
    alone: bool = False
    """The clock starts with this request: its place among the others is not known."""


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """Joules that the tool gave one request. Their split is the tool's own, without interval."""

    energy_j: float
    boundary: Boundary
    grade: Grade
    prefill_j: float | None = None
    decode_j: float | None = None
    flags: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of one pair at one item. Missing is None: a table of scores has no text."""

    item_id: str
    model: str
    """The model's name, or a key of `Foreign.pairs`."""
    kind: str
    """The task it belongs to there."""
    repeat: int = 0
    messages: tuple[Message, ...] = ()
    reference: str = ""
    accept: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    category: str | None = None
    text: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    cancelled: bool = False
    """It was stopped before its end, by the tool and not by a fault."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    asked_s: float | None = None
    """Wall-clock seconds since 1970 at which it was asked, and at which its answer was whole."""
    answered_s: float | None = None
    marks: Marks | None = None
    """In place of the two above, where the file has finer ones."""
    load: str | None = None
    """In perwatt's words where it can be said in them. None: the tool does not say."""
    metered: Metered | None = None
    scores: tuple[ForeignScore, ...] = ()


class Foreign(msgspec.Struct, frozen=True, kw_only=True):
    """One file, or one folder of files that belong together."""

    tool: str
    """Such as `Inspect 0.3.285`."""
    file: str
    """Its name without its folder."""
    answers: tuple[Answer, ...] = ()
    published: tuple[Published, ...] = ()
    """The tool's own figures, as it gives them."""
    pairs: tuple[PairIdentity, ...] = ()
    """Those that are known by more than a name."""
    scorer: str | None = None
    """The scorer whose word is the headline there."""
    started_s: float | None = None
    """Wall-clock seconds since 1970, where `marks` do not say."""
    notes: tuple[str, ...] = ()
    """What could not be carried over, a sentence each."""
    verdicts: tuple[Verdict, ...] = ()
    """What a reader must know of this tool's numbers before quoting them."""


def as_value(value: object) -> float | None:
    """Another tool's score as a share: C, I, P, N (Inspect), booleans, numbers from 0 to 1."""
    letters = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
    if isinstance(value, str):
        text = value.strip()
        if text in letters:
            return letters[text]
        if text.lower() in {"true", "false"}:
            return float(text.lower() == "true")
        try:
            value = float(text)
        except ValueError:
            return None
    if isinstance(value, bool | int | float) and 0 <= value <= 1:
        return float(value)
    return None
