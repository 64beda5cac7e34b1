"""`find_traps`: every detector over one look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from perwatt.attribution.traps import clocks, counters, power, scope, state, ticks
from perwatt.attribution.traps.catalogue import Found
from perwatt.attribution.traps.look import Look, View
from perwatt.core.records import Verdict

__all__ = ["find_traps", "verdicts_of"]

DETECTORS: tuple[Callable[[View], Iterator[Found]], ...] = (
    counters.flagged,
    counters.frozen,
    counters.wrapped_unseen,
    power.averaged,
    power.mismatched,
    power.idle_above_load,
    ticks.longer_than_request,
    ticks.too_few,
    ticks.in_step,
    ticks.uneven_repeats,
    scope.siblings,
    scope.overlapping,
    scope.rapl,
    scope.wider_than_it_seems,
    state.stale_baseline,
    state.throttled,
    state.hot_start,
    state.neighbours,
    clocks.stepped,
    clocks.unsynced,
    clocks.stalled,
    clocks.died,
)


def find_traps(look: Look) -> tuple[Found, ...]:
    """All traps that one sitting stepped into, gravest first. Pure: equal looks, equal answers."""
    view = View(look)
    order = {"invalid": 0, "warning": 1, "note": 2}
    every = [each for detector in DETECTORS for each in detector(view)]
    return tuple(sorted(every, key=lambda each: order[each.severity]))


def verdicts_of(every: Iterable[Found]) -> tuple[Verdict, ...]:
    """One verdict for each trap and pair; where several domains share one, the first speaks."""
    result: dict[tuple[str, str | None], Verdict] = {}
    for each in every:
        result.setdefault(
            (each.code, each.pair_id),
            Verdict(
                code=each.code,
                severity=each.severity,
                sentence=each.sentence,
                mend=each.mend,
                pair_id=each.pair_id,
            ),
        )
    return tuple(result.values())
