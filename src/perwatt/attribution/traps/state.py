"""A machine that was not in the state which the baseline and the comparison take for granted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.idle import idle_power
from perwatt.attribution.traps.catalogue import Found
from perwatt.attribution.traps.look import Span, View, found

__all__ = ["hot_start", "neighbours", "stale_baseline", "throttled"]

STALE_S = 900.0
"""Room and silicon drift over a quarter of an hour by as much as idle itself wanders."""
HARD = ("thermal", "slowdown", "brake")
HARD_SHARE, SOFT_SHARE = 0.01, 0.2
"""Heat and brakes are faults; a power cap is how a busy GPU lives, until it is the rule."""
LONGEST_NS = 1_000_000_000
"""How long a sample can speak for the time after it."""
HOT_C = 15.0
"""A warm-up alone heats a die by 5 to 10 degrees; leakage grows by about 1% a degree."""
HOT_NS = 2_000_000_000
HOT_RATIO = 1.3
"""Just after load a device draws 10 to 25% more than before, while its clocks come down."""
NEIGHBOUR_SHARE = 0.05
"""As the run's own verdict on a busy machine has it."""


def stale_baseline(view: View) -> Iterator[Found]:
    """Load farther from any idle phase than idle can be trusted to last."""
    idle = view.phases("bare_idle", "loaded_idle", "after_idle")
    spans = [(p.start_ns, p.end_ns or p.start_ns, p.pair_id) for p in idle]
    for pair_id, (start, end) in view.loads:
        # A loaded engine's idle is its own; the bare machine's serves those that have none.
        own = [each for each in spans if each[2] == pair_id] or spans
        before = [start - b for _, b, _ in own if b <= start]
        after = [a - end for a, _, _ in own if a >= end]
        if not before and not after:
            continue
        sides = [min(side) for side in (before, after) if side]
        # Measured on both sides, the moment farthest from either lies half-way between them.
        age_ns = (sum(sides) + end - start) / len(sides)
        if age_ns / 1e9 > STALE_S:
            yield found("stale-baseline", pair_id=pair_id, span=(start, end), age_s=age_ns / 1e9)


def throttled(view: View) -> Iterator[Found]:
    """A summed domain held down by heat for 1% of the load, or by anything for 20%."""
    spans = [span for _, span in view.loads]
    for domain in view.counted:
        series = view.series.get(domain.name)
        if series is None or not any(series.throttle):
            continue
        lasts = np.minimum(np.diff(series.t_ns, append=series.t_ns[-1]), LONGEST_NS)
        inside = _inside(series.t_ns, spans)
        total = float(lasts[inside].sum())
        held: Counter[str] = Counter()
        any_ns = hard_ns = 0
        for k in np.flatnonzero(inside):
            reasons = series.throttle[k]
            if reasons:
                any_ns += int(lasts[k])
                hard_ns += int(lasts[k]) * any(word in reasons for word in HARD)
                for reason in reasons.split(","):
                    held[reason] += int(lasts[k])
        if total and (hard_ns / total > HARD_SHARE or any_ns / total > SOFT_SHARE):
            reasons = ", ".join(reason for reason, _ in held.most_common())
            share = any_ns / total
            yield found("throttling", domain=domain.name, words={"reasons": reasons}, share=share)


def hot_start(view: View) -> Iterator[Found]:
    """A load that began much hotter than the cold machine, or left idle far above what it was."""
    cold = [(p.start_ns, p.end_ns or p.start_ns) for p in view.phases("bare_idle")]
    for domain in view.counted:
        series = view.series.get(domain.name)
        if series is None:
            continue
        base_c = _mean(series.temperature_c[_inside(series.t_ns, cold)])
        for pair_id, span in view.loads:
            just_before = [(span[0] - HOT_NS, span[0])]
            start_c = _mean(series.temperature_c[_inside(series.t_ns, just_before)])
            if base_c is not None and start_c is not None and start_c - base_c > HOT_C:
                what = f"{start_c:.0f} °C when the load began, {base_c:.0f} °C cold"
                yield found(
                    "hot-start",
                    domain=domain.name,
                    pair_id=pair_id,
                    span=span,
                    words={"what": what},
                    start_c=start_c,
                    base_c=base_c,
                )
        yield from _hotter_idle(view, domain.name)


def _hotter_idle(view: View, name: str) -> Iterator[Found]:
    curve = view.curve(name)
    for pair_id in dict.fromkeys(pair for pair, _ in view.loads):
        sides = []
        for kind in ("loaded_idle", "after_idle"):
            phases = [p for p in view.phases(kind) if (p.pair_id or "") == pair_id]
            spans = [(p.start_ns, p.end_ns or p.start_ns) for p in phases]
            sides.append(idle_power(curve, spans) if curve is not None and spans else None)
        before, after = sides
        if before is None or after is None or before.power_w <= 0:
            continue
        error_w = sum((each.sd_w or 0.0) ** 2 / each.ticks for each in (before, after)) ** 0.5
        more_w = after.power_w - before.power_w
        if more_w > max(3 * error_w, (HOT_RATIO - 1) * before.power_w):
            what = f"{after.power_w:.3g} W idle after the load, {before.power_w:.3g} W before it"
            yield found(
                "hot-start",
                domain=name,
                pair_id=pair_id,
                words={"what": what},
                after_w=after.power_w,
                before_w=before.power_w,
            )


def neighbours(view: View) -> Iterator[Found]:
    """Load phases in which other processes took more than 5% of the CPU time."""
    for phase in view.phases("load"):
        share = phase.neighbour_share
        if share is not None and share > NEIGHBOUR_SHARE:
            assert phase.end_ns is not None
            span = (phase.start_ns, phase.end_ns)
            yield found("neighbour-load", pair_id=phase.pair_id, span=span, share=share)


def _inside(t_ns: NDArray[np.int64], spans: list[Span]) -> NDArray[np.bool_]:
    result = np.zeros(len(t_ns), dtype=np.bool_)
    for start, end in spans:
        result |= (t_ns >= start) & (t_ns <= end)
    return result


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
