"""Sensors whose tick is too long for what is asked of them, or in step with the requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.integrate import energy_at
from perwatt.attribution.traps.catalogue import Found
from perwatt.attribution.traps.look import Mark, View, found

__all__ = ["in_step", "longer_than_request", "too_few", "uneven_repeats"]

SHORT_SHARE = 0.1
"""Fewer short requests than this are a tail that means hardly depend on."""
FEW_TICKS = 20
"""Both edges of a window of n ticks are uncertain by 1/(n√6) of its joules: 2% at 20."""
FAST_TICK_S = 0.01
"""Duty cycles were found on sensors that refresh every 20 to 100 ms (arXiv 2312.02741); below
10 ms a request holds so many that their phase hardly matters."""
IN_STEP_LOG_P = 13.8
"""Rayleigh's test for a phase that is not uniform, n·R² > 13.8: p < 1e-6."""
IN_STEP = 0.5
"""Mean resultant length: half the starts or more at one phase of the tick."""
STANDS_STILL = 0.3
"""Share of looks that show nothing new, above which the tick itself is seen and not our rate."""
REPEATS = 5
UNEVEN = 0.15
"""Equal work repeats within a few per cent on a steady device."""
UNEVEN_TICKS = 3.0
"""Times the spread that the tick's edges explain."""


def longer_than_request(view: View) -> Iterator[Found]:
    """A summed domain whose values are farther apart than a tenth of the requests are long."""
    lengths = np.array([(m.end_ns - m.start_ns) / 1e9 for m in view.look.marks])
    for domain in view.counted:
        tick_s = view.resolution_s(domain.name)
        if tick_s is None or not len(lengths):
            continue
        share = float((lengths < tick_s).mean())
        if share >= SHORT_SHARE:
            yield found("tick-longer-than-request", domain=domain.name, share=share, tick_s=tick_s)


def too_few(view: View) -> Iterator[Found]:
    """A load that holds fewer than 20 ticks of a summed domain."""
    for domain in view.counted:
        if domain.name not in view.series or domain.grade == "D":
            continue
        tick_s = view.resolution_s(domain.name)
        changes = view.changes_ns(domain.name)
        for pair_id in dict.fromkeys(pair for pair, _ in view.loads):
            spans = [span for pair, span in view.loads if pair == pair_id]
            seconds = sum(end - start for start, end in spans) / 1e9
            if domain.kind == "counter":
                ticks = sum(int(((changes >= a) & (changes <= b)).sum()) for a, b in spans)
            elif tick_s is None:
                continue
            else:
                ticks = int(seconds / tick_s)
            if ticks < FEW_TICKS:
                yield found(
                    "too-few-ticks",
                    domain=domain.name,
                    pair_id=pair_id,
                    ticks=ticks,
                    load_s=seconds,
                    edge=min(1.0, 1 / (max(ticks, 1) * 6**0.5)),
                )


def in_step(view: View) -> Iterator[Found]:
    """Requests, one at a time, whose starts keep to one phase of a summed domain's tick.

    The rule: with the tick's exact length, taken from all its changes, the starts' phases within it
    have a mean resultant length above 0.5 that chance would give once in a million (Rayleigh).
    """
    starts = np.array([mark.start_ns for mark in _alone(view)], dtype=np.int64)
    for domain in view.counted:
        tick_s = _seen_tick_s(view, domain.name)
        if tick_s is None or tick_s < FAST_TICK_S or len(starts) < REPEATS:
            continue
        phase = 2 * np.pi * ((starts - starts[0]) / 1e9 / tick_s % 1.0)
        length = float(abs(np.exp(1j * phase).mean()))
        if length > IN_STEP and len(starts) * length**2 > IN_STEP_LOG_P:
            yield found(
                "duty-aliasing",
                domain=domain.name,
                words={"what": f"{len(starts)} requests start at one phase"},
                tick_s=tick_s,
                resultant=length,
            )


def uneven_repeats(view: View) -> Iterator[Found]:
    """Equal work, done alone, whose watts differ by more than the tick's edges can explain."""
    groups: dict[Hashable, list[Mark]] = defaultdict(list)
    for mark in _alone(view):
        if mark.work is not None:
            groups[mark.pair_id, mark.work].append(mark)
    for domain in view.counted:
        tick_s, curve = view.resolution_s(domain.name), view.curve(domain.name)
        if tick_s is None or curve is None:
            continue
        worst = 0.0
        for marks in groups.values():
            seconds = np.array([(m.end_ns - m.start_ns) / 1e9 for m in marks])
            if len(marks) < REPEATS or np.median(seconds) < 2 * tick_s:
                continue
            ends = np.array([(m.start_ns, m.end_ns) for m in marks], dtype=np.int64)
            watts = np.diff(energy_at(curve, ends)).ravel() / seconds
            spread = _spread(watts[~np.isnan(watts)])
            explained = tick_s / (6**0.5 * float(np.median(seconds)))
            if spread > max(UNEVEN, UNEVEN_TICKS * explained):
                worst = max(worst, spread)
        if worst:
            yield found(
                "duty-aliasing",
                domain=domain.name,
                words={"what": f"Equal work differs by {worst:.0%}, more than by the edges"},
                tick_s=tick_s,
                spread=worst,
            )


def _spread(watts: NDArray[np.float64]) -> float:
    """Standard deviation over the median, by the quartiles: one odd repeat in five is none."""
    if len(watts) < REPEATS or (middle := float(np.median(watts))) <= 0:
        return 0.0
    low, high = np.quantile(watts, [0.25, 0.75])
    return float(high - low) / 1.349 / middle


def _alone(view: View) -> list[Mark]:
    """Requests during which no other was in flight."""
    marks = sorted(view.look.marks, key=lambda mark: mark.start_ns)
    result = []
    latest_ns = 0
    for k, mark in enumerate(marks):
        after = marks[k + 1].start_ns if k + 1 < len(marks) else None
        if mark.start_ns >= latest_ns and (after is None or after >= mark.end_ns):
            result.append(mark)
        latest_ns = max(latest_ns, mark.end_ns)
    return result


def _seen_tick_s(view: View, name: str) -> float | None:
    """The tick to one part in thousands: all the time between changes over whole ticks in it."""
    series = view.series.get(name)
    rough_s = view.tick_s(name)
    if series is None or rough_s is None or rough_s <= 0:
        return None
    if name not in view.timings or view.timings[name].tick_s is None:
        value = series.value[series.good]
        if len(value) < 2 or float((np.diff(value) == 0).mean()) < STANDS_STILL:
            return None  # the changes come at our own rate: the tick is not seen
    gaps = np.diff(view.changes_ns(name)) / 1e9
    whole = np.round(gaps / rough_s)
    return float(gaps.sum() / whole.sum()) if whole.sum() > 0 else rough_s
