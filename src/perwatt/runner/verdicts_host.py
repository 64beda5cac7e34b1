"""Who else used the machine, perwatt included?"""

from __future__ import annotations

from collections.abc import Iterable

from perwatt.core.clock import seconds
from perwatt.core.records import Phase, Verdict
from perwatt.runner.verdicts_evidence import Evidence

__all__ = ["host"]

BUSY_SHARE, BUSY_INVALID = 0.05, 0.25
OBSERVER_SHARE = 0.05


def host(seen: Evidence) -> Iterable[Verdict]:
    """CPU time of neighbours before the run and under load, and of perwatt itself."""
    before = _share([p for p in seen.phases if p.kind == "bare_idle"], "neighbour_share")
    if before is not None and before > BUSY_SHARE:
        yield Verdict(
            code="busy-machine",
            severity="warning",
            sentence=f"The machine was busy before the run began: {before:.0%} of its CPU time.",
            mend="Stop what else is running, and run again.",
        )
    for pair_id, identity in seen.pairs.items():
        load = [p for p in seen.phases if p.kind == "load" and p.pair_id == pair_id]
        neighbours = _share(load, "neighbour_share")
        if neighbours is not None and neighbours > BUSY_SHARE:
            grave = neighbours > BUSY_INVALID
            yield Verdict(
                code="busy-machine",
                severity="invalid" if grave else "warning",
                sentence=f"Other processes took {neighbours:.0%} of the CPU time while "
                f"{identity.label} was under load; its times and joules include that.",
                mend="Stop them, and run again.",
                pair_id=pair_id,
            )
        own = _share(load, "own_share")
        if own is not None and own > OBSERVER_SHARE:
            yield Verdict(
                code="observer-cost",
                severity="warning",
                sentence=f"perwatt itself took {own:.0%} of the CPU time while {identity.label} "
                "was under load.",
                mend="Lower --sample-hz or --workers, or drive the server from another machine.",
                pair_id=pair_id,
            )


def _share(phases: Iterable[Phase], field: str) -> float | None:
    """Mean share over phases, weighted by their length. None if any of them is unknown."""
    total = weight = 0.0
    for phase in phases:
        share = getattr(phase, field)
        if share is None or phase.end_ns is None:
            return None
        length = seconds(phase.start_ns, phase.end_ns)
        total += share * length
        weight += length
    return total / weight if weight else None
