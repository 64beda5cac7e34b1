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
    groups: dict[tuple[str, str | None], list[Found]] = {}
    for each in every:
        groups.setdefault((each.code, each.pair_id), []).append(each)
    return tuple(_verdict(group) for group in groups.values())


def _verdict(group: list[Found]) -> Verdict:
    first = group[0]
    others = dict.fromkeys(e.domain for e in group if e.domain not in (None, first.domain))
    also = f" The same holds for {', '.join(str(name) for name in others)}." if others else ""
    return Verdict(
        code=first.code,
        severity=first.severity,
        sentence=first.sentence + also,
        mend=first.mend,
        pair_id=first.pair_id,
    )
