"""Has a stage shown that the server gives no more? Pure.

With N in flight: more places brought less than 5% more answers a second, and each answer took
longer in proportion. With R a second: too few were answered, or answers came slower than questions
while the wait rose all through the stage, or the wait for the first token alone rose threefold.

Waits scatter widely far below saturation, so a rise counts only where it goes on through the whole
stage: of the medians of its six parts at most one of the fifteen pairs may be out of order. Over
queues with exponential times (M/M/1, M/M/4, M/M/16, 60 to 240 requests) that stops a stage at 70%
of what the server can do in at most 5% of cases, and one at 200% in 95 to 100%.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple

import msgspec

from perwatt.core.clock import seconds
from perwatt.core.load import Stage
from perwatt.core.records import SET_ASIDE, Request

__all__ = ["Outcome", "Rise", "outcome_of", "saturated"]

LEAST_GAIN = 0.05
KEEPS_UP = 0.95
LATER = 1.5
FAR_LATER = 3.0
PARTS, IN_ORDER = 6, 14 / 15
SHORTEST_WAIT_S = 0.02
"""Waits below this may grow for any reason."""
FEW = 20
"""Fewer requests than this tell nothing of a rate."""


class Rise(NamedTuple):
    """How a duration went through a stage, by the medians of its parts."""

    factor: float
    """The last third's median over the first third's."""
    in_order: float
    """Share of the pairs of parts of which the later is the longer."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage came to. None: it cannot be told."""

    load: Stage
    answered: int
    asked: int
    answered_per_s: float | None
    latency_s: float | None
    """Median from when a request was due to its end."""
    kept_up: float | None
    """Rate of ends over rate of arrivals, both over their middle four fifths."""
    latency: Rise | None
    wait: Rise | None
    """For the first chunk, from when it was due."""


def outcome_of(load: Stage, requests: Sequence[Request]) -> Outcome:
    """Of all requests of one stage, whatever their order.

    A stage that was cut and resumed is judged by its longest part: rates over a gap mean nothing.
    """
    counted = _longest_part([r for r in requests if r.reply.status not in SET_ASIDE])
    ok = [r for r in counted if r.reply.status == "ok"]
    span_s = (
        seconds(min(r.scheduled_ns for r in counted), max(r.reply.last_chunk_ns for r in counted))
        if counted
        else 0.0
    )
    return Outcome(
        load=load,
        answered=len(ok),
        asked=len(counted),
        answered_per_s=len(ok) / span_s if span_s > 0 else None,
        latency_s=median(_latency_s(r) for r in ok) if ok else None,
        kept_up=_kept_up(counted),
        latency=_rise(ok, _latency_s),
        wait=_rise(ok, _wait_s),
    )


def saturated(outcomes: Sequence[Outcome]) -> str | None:
    """Why the last of these stages is enough, in one sentence; None: go on."""
    if not outcomes:
        return None
    last = outcomes[-1]
    if last.asked >= FEW and last.answered < KEEPS_UP * last.asked:
        return f"{last.load.text}: only {last.answered} of {last.asked} requests were answered."
    if last.load.kind == "closed":
        return _no_gain(outcomes[-2], last) if len(outcomes) > 1 else None
    kept_up = last.kept_up
    # One long answer at the end also makes ends come slower; a queue makes all of them later.
    later = _rose(last.latency, LATER) or _rose(last.wait, LATER)
    if later and kept_up is not None and kept_up < KEEPS_UP:
        return f"{last.load.text}: answers came at {kept_up:.0%} of the rate of questions."
    if last.wait is not None and _rose(last.wait, FAR_LATER):
        return (
            f"{last.load.text}: the wait for the first token grew"
            f" {last.wait.factor:.1f} times through the stage."
        )
    return None


def _longest_part(requests: Sequence[Request]) -> list[Request]:
    parts: dict[str, list[Request]] = {}
    for request in requests:
        parts.setdefault(request.phase_id, []).append(request)
    return max(parts.values(), key=len, default=[])


def _no_gain(before: Outcome, last: Outcome) -> str | None:
    if not before.answered_per_s or not last.answered_per_s:
        return None
    if not before.latency_s or not last.latency_s:
        return None
    places = (last.load.in_flight or 1) / (before.load.in_flight or 1)
    gain = last.answered_per_s / before.answered_per_s - 1
    slower = last.latency_s / before.latency_s
    if gain >= LEAST_GAIN or slower < 1 + (places - 1) / 2:
        return None
    change = f"{gain:.0%} more" if gain > 0 else f"{-gain:.0%} fewer"
    return (
        f"{last.load.text}: {change} answers a second than with {before.load.in_flight}"
        f" in flight, each {slower:.1f} times as slow."
    )


def _rose(rise: Rise | None, factor: float) -> bool:
    return rise is not None and rise.factor > factor and rise.in_order >= IN_ORDER


def _latency_s(request: Request) -> float:
    return seconds(request.scheduled_ns, request.reply.last_chunk_ns)


def _wait_s(request: Request) -> float | None:
    first_ns = request.reply.first_chunk_ns
    return None if first_ns is None else seconds(request.scheduled_ns, first_ns)


def _kept_up(counted: Sequence[Request]) -> float | None:
    if len(counted) < FEW:
        return None
    due = _middle_ns([r.scheduled_ns for r in counted])
    ended = _middle_ns([r.reply.last_chunk_ns for r in counted])
    return due / ended if due > 0 and ended > 0 else None


def _middle_ns(marks: list[int]) -> int:
    ordered = sorted(marks)
    tenth = len(ordered) // 10
    return ordered[-1 - tenth] - ordered[tenth]


def _rise(ok: Sequence[Request], length_s: Callable[[Request], float | None]) -> Rise | None:
    ordered = sorted(ok, key=lambda r: r.scheduled_ns)
    lengths = [length for r in ordered if (length := length_s(r)) is not None]
    count = len(lengths)
    if count < FEW:
        return None
    parts = [median(lengths[count * n // PARTS : count * (n + 1) // PARTS]) for n in range(PARTS)]
    pairs = [earlier < later for earlier, later in combinations(parts, 2)]
    first, last = median(lengths[: count // 3]), median(lengths[-(count // 3) :])
    return Rise(last / max(first, SHORTEST_WAIT_S), sum(pairs) / len(pairs))
