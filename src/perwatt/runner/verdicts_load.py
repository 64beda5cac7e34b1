"""Was the load what it says it was? Requests on time, held back, stalled, and as many in flight."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from perwatt.core.clock import seconds
from perwatt.core.records import Request, Verdict
from perwatt.runner.client_marks import latency_s, mean_in_flight, quantile, ttft_s
from perwatt.runner.verdicts_evidence import Evidence, Loaded

__all__ = [
    "client_queued",
    "few_requests",
    "in_flight_not_reached",
    "late_dispatch",
    "over_saturated",
    "stalled",
]

LATE_S, LATE_OF_TTFT = 0.001, 0.05
LATE_SHARE, LATE_GRAVE = 0.01, 0.1
QUEUED_SHARE = 0.1
STALL_TIMES, STALL_S = 10, 0.1
"""A silence is a stall when it is so many times the longest that a request usually meets."""
CORRECTED = 1.2
REACHED, ROUNDS = 0.9, 3
FEW = 30
BEHIND, GROWN = 0.95, 1.5
LEAST_BACKLOG = 5
WINDOWS = 5
"""Requests are known to fall behind only in a stage that lasts for so many of them in a row."""


def late_dispatch(seen: Evidence, load: Loaded) -> Iterable[Verdict]:
    """By the clock: requests that the client was too late to send."""
    first = _first(load)
    if not load.by_the_clock or not first:
        return
    usual = quantile((ttft_s(r.reply) for r in first), 0.5)
    held = _held_back(seen, load)
    late = [
        _lag_s(r)
        for r in first
        if r.request_id not in held
        and _lag_s(r) > max(LATE_S, LATE_OF_TTFT * (ttft_s(r.reply) or usual or 0.0))
    ]
    share = len(late) / len(first)
    if share > LATE_SHARE:
        yield Verdict(
            code="late-dispatch",
            severity="invalid" if share > LATE_GRAVE else "warning",
            sentence=f"{len(late)} of {len(first)} requests to {load.label} left late, the worst "
            f"by {max(late):.3g} s, because the client was busy: times from dispatch leave that "
            "out, times from schedule hold it.",
            mend="Quote the times from schedule, and ask with more processes (--workers).",
            pair_id=load.pair_id,
        )


def client_queued(seen: Evidence, load: Loaded) -> Iterable[Verdict]:
    """By the clock: requests that --max-in-flight held back."""
    first, kept = _first(load), _held_back(seen, load)
    held = [_lag_s(r) for r in first if r.request_id in kept]
    if held:
        yield Verdict(
            code="client-queued",
            severity="warning" if len(held) > QUEUED_SHARE * len(first) else "note",
            sentence=f"--max-in-flight {seen.max_in_flight} held back {len(held)} of {len(first)} "
            f"requests to {load.label}, for {quantile(held, 0.99):.3g} s at p99: times from "
            "dispatch leave that wait out.",
            mend="Quote the times from schedule, or raise --max-in-flight.",
            pair_id=load.pair_id,
        )


def stalled(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """Closed loop: a pause of the server that few requests saw, since no more were sent meanwhile.

    What a client that did not wait would have seen is filled in at the usual rate, as HdrHistogram
    and wrk2 do (Tene, "How NOT to Measure Latency").
    """
    closed = load.load is not None and load.load.kind == "closed"
    if not closed or len(load.answered) < FEW:
        return
    usual_s = quantile((_silence_s(r) for r in load.answered), 0.5) or 0.0
    limit_s = max(STALL_TIMES * usual_s, STALL_S)
    pauses = [pause for phase in load.phases for pause in _pauses(load, phase.phase_id, limit_s)]
    if not pauses:
        return
    latencies = np.array([latency_s(r.reply) for r in load.answered])
    span_s = sum(seconds(p.start_ns, p.end_ns) for p in load.phases if p.end_ns is not None)
    lost_s = sum(pauses)
    if span_s <= lost_s:
        return
    per_s = len(load.attempts) / (span_s - lost_s)
    unseen = [
        length - at + float(np.median(latencies))
        for length in pauses
        for at in np.arange(0, length, 1 / per_s)
    ]
    raw = quantile(latencies, 0.99)
    corrected = quantile([*latencies, *unseen], 0.99)
    if raw and corrected and corrected > CORRECTED * raw:
        yield Verdict(
            code="coordinated-omission",
            severity="warning",
            sentence=f"{load.label} fell silent {len(pauses)} time(s), for {max(pauses):.3g} s at "
            f"most, and in a closed loop only those in flight saw it: the p99 of latency is "
            f"{raw:.3g} s, and {corrected:.3g} s for callers who do not wait for each other.",
            mend="Use arrivals by the clock (--load poisson:R), and quote times from schedule.",
            pair_id=load.pair_id,
        )


def in_flight_not_reached(seen: Evidence, load: Loaded) -> Iterable[Verdict]:
    """Closed loop of N: fewer than N were in flight."""
    if load.load is None or load.load.kind != "closed" or seen.per_query:
        return
    places = load.load.in_flight or 1
    asked, mean = load.attempts, mean_in_flight(load.attempts)
    if len(asked) < ROUNDS * places * len(load.phases):
        if places > 1:
            yield Verdict(
                code="in-flight-not-reached",
                severity="note",
                sentence=f"{load.label} was asked {len(asked)} times at {places} in flight: most "
                "of that is filling and emptying the places.",
                mend=f"Ask {ROUNDS * places} or more (--limit, --repeats, or a time as in "
                f"closed:{places}@60s).",
                pair_id=load.pair_id,
            )
    elif mean is not None and mean < REACHED * places:
        yield Verdict(
            code="in-flight-not-reached",
            severity="warning",
            sentence=f"Only {mean:.3g} of {places} requests were in flight under "
            f"{load.label} on average: the rest of the time the client was between two requests.",
            mend="Ask with more processes (--workers), or for longer answers.",
            pair_id=load.pair_id,
        )


def over_saturated(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """By the clock: more came in than went out, so that times depend on how long one looked."""
    if any(phase.stopped == "saturated" for phase in load.phases):
        yield Verdict(
            code="saturated",
            severity="note",
            sentence=f"The sweep ended at {load.label}: more load brought no more throughput.",
            pair_id=load.pair_id,
        )
    if not load.by_the_clock or len(load.ended) < FEW:
        return
    due = np.sort(np.array([r.scheduled_ns for r in load.ended], dtype=np.int64))
    left = np.sort(np.array([r.reply.last_chunk_ns for r in load.ended], dtype=np.int64))
    early = quantile((latency_s(r.reply) for r in load.ended[: len(load.ended) // 4]), 0.5) or 0.0
    if seconds(int(due[0]), int(due[-1])) < WINDOWS * early:
        return
    at = np.linspace(due[0], due[-1], 101)
    backlog = np.searchsorted(due, at, "right") - np.searchsorted(left, at, "right")
    before, after = float(backlog[25:50].mean()), float(backlog[75:].mean())
    served = float(np.searchsorted(left, due[-1], "right")) / len(due)
    if served < BEHIND and after > GROWN * before + LEAST_BACKLOG:
        yield Verdict(
            code="over-saturated",
            severity="warning",
            sentence=f"{load.label} could not keep up: while requests arrived it finished "
            f"{served:.0%} of them, and those waiting grew from {before:.3g} to {after:.3g}; its "
            "times only say how long the stage lasted.",
            mend="Lower the rate; `--load sweep:A/s..B/s` finds the highest that holds.",
            pair_id=load.pair_id,
        )


def few_requests(seen: Evidence, load: Loaded) -> Iterable[Verdict]:
    """A stage whose speeds rest on a handful."""
    if len({r.item_id for r in seen.requests}) < FEW:
        return  # `few-items` says so of the whole run
    if 0 < len(load.answered) < FEW:
        yield Verdict(
            code="few-requests",
            severity="note",
            sentence=f"Only {len(load.answered)} requests to {load.label} count for its speeds: "
            "its p99 is its slowest.",
            mend="Give the stage more time, or leave less of it out as warm-up.",
            pair_id=load.pair_id,
        )


def _lag_s(request: Request) -> float:
    return seconds(request.scheduled_ns, request.reply.dispatched_ns)


def _first(load: Loaded) -> list[Request]:
    return [r for r in load.attempts if r.attempt == 1 and r.turn == 0]


def _held_back(seen: Evidence, load: Loaded) -> set[str]:
    """Ids of requests that fell due while --max-in-flight others had not ended, and left later."""
    if seen.max_in_flight is None or not load.by_the_clock:
        return set()
    due = np.sort(np.array([r.scheduled_ns for r in load.ended], dtype=np.int64))
    left = np.sort(np.array([r.reply.last_chunk_ns for r in load.ended], dtype=np.int64))
    return {
        r.request_id
        for r in _first(load)
        if _lag_s(r) > LATE_S
        and np.searchsorted(due, r.scheduled_ns, "right")
        - np.searchsorted(left, r.scheduled_ns, "right")
        > seen.max_in_flight
    }


def _silence_s(request: Request) -> float:
    reply = request.reply
    marks = [0, *reply.chunk_offsets_ns, reply.last_chunk_ns - reply.dispatched_ns]
    return max(np.diff(marks)) / 1e9


def _pauses(load: Loaded, phase_id: str, limit_s: float) -> list[float]:
    """Seconds of each silence in which everything in flight waited, longer than `limit_s`."""
    replies = [r.reply for r in load.attempts if r.phase_id == phase_id]
    chunks = [x.dispatched_ns + np.array(x.chunk_offsets_ns, dtype=np.int64) for x in replies]
    ends_of = [[x.dispatched_ns, x.last_chunk_ns] for x in replies]
    events = np.sort(np.concatenate([np.array(ends_of, dtype=np.int64).ravel(), *chunks]))
    starts = np.sort(np.array([x.dispatched_ns for x in replies], dtype=np.int64))
    ends = np.sort(np.array([x.last_chunk_ns for x in replies], dtype=np.int64))
    lengths = np.diff(events) / 1e9
    waiting = np.searchsorted(starts, events[:-1], "right") - np.searchsorted(
        ends, events[:-1], "right"
    )
    return [float(length) for length in lengths[(lengths > limit_s) & (waiting > 0)]]
