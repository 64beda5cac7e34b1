"""Counters that wrap, start again, stand still, fall or say what cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from perwatt.attribution.traps.catalogue import Found
from perwatt.attribution.traps.look import Series, View, found, overlap_ns

__all__ = ["flagged", "frozen", "wrapped_unseen"]

FROZEN_S, FROZEN_TICKS = 2.0, 20
"""A sound counter is not late by twenty ticks; under 2 s a busy machine's sampler may be."""
NEVER_S = 10.0
"""For a counter of unknown tick: the slowest known, of wall plugs, count within seconds."""

CODES = {
    "wrap": "wrap",
    "reset": "reset",
    "backwards": "backwards",
    "zero": "zero-reads",
    "implausible": "absurd-value",
    "read-failed": "read-failures",
}
"""Flags of a sample → traps."""


def flagged(view: View) -> Iterator[Found]:
    """What the sampler flagged, domain by domain."""
    for name, series in view.series.items():
        flags = _without_lead_in(series.flag)
        for flag, code in CODES.items():
            at = [k for k, each in enumerate(flags) if each == flag]
            if at:
                span = (int(series.t_ns[at[0]]), int(series.t_ns[at[-1]]))
                yield found(code, domain=name, span=span, count=len(at))


def _without_lead_in(flags: list[str | None]) -> list[str | None]:
    """A reset is known by the readings before it, which are no traps of their own."""
    result = list(flags)
    for k, flag in enumerate(flags):
        if flag == "reset":
            before = k - 1
            while before >= 0 and flags[before] in {"backwards", "implausible", "zero"}:
                result[before] = None
                before -= 1
    return result


def frozen(view: View) -> Iterator[Found]:
    """A summed counter that was read, and stood still, while requests ran."""
    for domain in view.counted:
        series = view.series.get(domain.name)
        if domain.kind != "counter" or series is None or series.good.sum() < 3:
            continue
        limit_ns = _limit_s(view, domain.name) * 1e9
        worst = max(_still(series), key=lambda span: overlap_ns(span, view.busy), default=None)
        if worst is None:
            continue
        length_ns = overlap_ns(worst, view.busy)
        if length_ns > limit_ns:
            yield found("frozen-counter", domain=domain.name, span=worst, frozen_s=length_ns / 1e9)


def _limit_s(view: View, name: str) -> float:
    gaps = np.diff(view.changes_ns(name)) / 1e9
    if len(gaps) < 3:
        return NEVER_S
    return max(FROZEN_S, FROZEN_TICKS * float(np.median(gaps)))


def _still(series: Series) -> Iterator[tuple[int, int]]:
    """Stretches in which at least three looks in a row showed one value."""
    t, value = series.t_ns[series.good], series.value[series.good]
    edges = np.concatenate(([0], np.flatnonzero(np.diff(value) != 0) + 1, [len(t)]))
    for first, after in pairwise(edges):
        if after - first >= 3:
            yield int(t[first]), int(t[after - 1])


def wrapped_unseen(view: View) -> Iterator[Found]:
    """A gap between reads so long that the counter may have gone through all of its range."""
    for domain in view.counted:
        series = view.series.get(domain.name)
        if domain.kind != "counter" or domain.wrap_j is None or series is None:
            continue
        good = series.good
        t, joules = series.t_ns[good], series.value[good]
        seconds, rise = np.diff(t) / 1e9, np.diff(joules)
        ticked = rise > 0  # a counter that shows one value twice has not moved between
        if ticked.sum() < 3:
            continue
        # Over three ticks and more, so that one tick read late and the next early do not add up.
        whole = (joules[3:] - joules[:-3]) / ((t[3:] - t[:-3]) / 1e9)
        most_w = float(whole.max())
        longest = int(np.argmax(np.where(ticked, seconds, 0.0)))
        if seconds[longest] * most_w >= domain.wrap_j:
            span = (int(t[longest]), int(t[longest + 1]))
            yield found(
                "wrap-unseen",
                domain=domain.name,
                span=span,
                gap_s=float(seconds[longest]),
                range_j=domain.wrap_j,
            )
