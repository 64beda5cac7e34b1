"""What is left of a plan when a journal holds some of it. Pure.

An item is asked again unless the request that counts for it has finished; a stage with a time limit
goes on for the time that is left; what a saturated sweep left out stays left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from perwatt.core.clock import seconds
from perwatt.core.records import Phase, Request
from perwatt.runner.plan import Job, Plan, Segment, Stretch
from perwatt.runner.saturation import Outcome, outcome_of, saturated

__all__ = ["Before", "Past", "what_is_left"]

Again = Mapping[tuple[str, str], int]

SHORTEST_S = 0.05
"""Less than this of a time limit is nothing worth going on for."""


class Past(msgspec.Struct, frozen=True):
    """What earlier sessions did."""

    done: Collection[str] = frozenset()
    """Ids of the requests that need not be asked again."""
    requests: tuple[Request, ...] = ()
    phases: tuple[Phase, ...] = ()
    again: Again = {}
    """(pair, item) → the number of the repeat to go on with, for items that have been asked but not
    often enough (`--per-query`)."""
    sweep: bool = False


class Before(msgspec.Struct):
    """What a sweep goes on from."""

    outcomes: dict[tuple[str, int], list[Outcome]] = {}
    """(pair, round) → what its stages came to, in order."""
    begun: dict[tuple[str, int, int], tuple[Request, ...]] = {}
    """(pair, round, stage) → what had been asked of a stage that was cut."""


def what_is_left(plan: Plan, past: Past) -> tuple[Plan, Before]:
    """The plan less what is done, and what a sweep needs to know of that."""
    again = dict(past.again)
    known = Before()
    segments = []
    for segment in plan.segments:
        left = []
        for stretch in segment.stretches:
            before = known.outcomes.setdefault((stretch.pair_id, stretch.round), [])
            if past.sweep and saturated(before):
                continue
            phases = _phases(stretch, past)
            rest = _left_of(stretch, phases, past.done, again)
            if rest is None:
                before.extend(_judged(stretch, phases, past))
            else:
                key = (stretch.pair_id, stretch.round, stretch.stage)
                known.begun[key] = _asked(phases, past)
                left.append(rest)
        if left:
            segments.append(Segment(segment.pair_id, segment.model, tuple(left)))
    return Plan(tuple(segments), plan.notes), known


def _left_of(
    stretch: Stretch,
    phases: Sequence[Phase],
    done: Collection[str],
    again: dict[tuple[str, str], int],
) -> Stretch | None:
    if stretch.load.for_s is None:
        jobs = tuple(
            following
            for job in stretch.jobs
            if (following := _following(stretch, job, done, again))
        )
        return msgspec.structs.replace(stretch, jobs=jobs) if jobs else None
    spent_s = sum(
        min(seconds(phase.start_ns, phase.end_ns), stretch.load.for_s)
        for phase in phases
        if phase.end_ns is not None
    )
    if stretch.load.for_s - spent_s < SHORTEST_S:
        return None
    return msgspec.structs.replace(stretch, spent_s=spent_s, done=frozenset(done))


def _following(
    stretch: Stretch, job: Job, done: Collection[str], again: dict[tuple[str, str], int]
) -> Job | None:
    if job.request_id not in done:
        return job
    number = again.pop((stretch.pair_id, job.item.id), None)
    return None if number is None else stretch.numbered(job.item, number)


def _judged(stretch: Stretch, phases: Sequence[Phase], past: Past) -> list[Outcome]:
    mine = _asked(phases, past)
    return [outcome_of(stretch.load, mine)] if mine else []


def _asked(phases: Sequence[Phase], past: Past) -> tuple[Request, ...]:
    ids = {phase.phase_id for phase in phases}
    return tuple(request for request in past.requests if request.phase_id in ids)


def _phases(stretch: Stretch, past: Past) -> list[Phase]:
    """The load phases of earlier sessions that were this stretch: told by what they asked."""
    block = {(job.item.id, job.repeat % stretch.repeats) for job in stretch.jobs}
    ids = {
        request.phase_id
        for request in past.requests
        if request.pair_id == stretch.pair_id
        and request.stage == stretch.stage
        and (request.item_id, request.repeat % stretch.repeats) in block
    }
    return [phase for phase in past.phases if phase.phase_id in ids]
