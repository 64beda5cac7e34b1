"""Did latency, throughput or watts hold their level over a stage?"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from perwatt.attribution.integrate import energy_at
from perwatt.core.clock import seconds
from perwatt.core.records import Verdict
from perwatt.runner.client_marks import latency_s
from perwatt.runner.verdicts_evidence import Evidence, Loaded
from perwatt.stats.steady import LEAST, Change, Floats, change_of, settled_at

__all__ = ["not_steady"]

PER_BIN = 5
"""Answers to a bin of throughput: fewer are mostly chance."""
TICKS_PER_BIN = 4
"""Ticks of the energy sensor to a bin of watts: fewer show its own steps."""
MOST_BINS = 100


def not_steady(seen: Evidence, load: Loaded) -> Iterable[Verdict]:
    """The level of one of the three changed; the suggestion is by MSER-5 on latency."""
    if load.load is None or load.load.kind == "burst" or seen.per_query:
        return  # what others asked, a queue that empties, one item again and again: never level
    rng = np.random.default_rng(0)  # the same run is always judged alike
    latency = np.array([latency_s(r.reply) for r in load.answered])
    found = [
        (name, change, unit)
        for name, values, unit in (
            ("latency", latency, "s"),
            ("throughput", _throughput_per_s(load), "requests/s"),
            ("power", _power_w(seen, load), "W"),
        )
        if len(values) >= LEAST and (change := change_of(values, rng=rng)) is not None
    ]
    if not found:
        return
    said = "; ".join(
        f"{name} went from {c.before:.3g} to {c.after:.3g} {unit}" for name, c, unit in found
    )
    yield Verdict(
        code="not-steady",
        severity="warning",
        sentence=f"{load.label} was not steady under load: {said} (medians before and after the "
        "clearest change). Figures over the whole stage mix the two.",
        mend=_mend(load, latency, [change for _, change, _ in found]),
        pair_id=load.pair_id,
    )


def _mend(load: Loaded, latency: Floats, changes: list[Change]) -> str:
    cut = settled_at(latency) if len(latency) >= LEAST else None
    if cut and len(load.phases) == 1 and changes[0].at < len(latency) // 2:
        start_ns = load.phases[0].start_ns
        warm_s = seconds(start_ns, load.answered[cut].scheduled_ns)
        return f"It settles: leave the start out with --warmup-s {math.ceil(warm_s)}."
    return "Run for longer, and look for what changed: caches, clocks, a backlog, other load."


def _throughput_per_s(load: Loaded) -> Floats:
    """Answers in equal bins, from the first answer to the last dispatch: no filling or emptying."""
    traced = load.load is not None and load.load.kind == "trace"  # its rate is its own
    if traced or len(load.phases) != 1 or not load.answered:
        return np.empty(0)
    ends = np.sort(np.array([r.reply.last_chunk_ns for r in load.answered], dtype=np.int64))
    last = load.answered[-1].reply.dispatched_ns
    bins = min(MOST_BINS, int(np.searchsorted(ends, last)) // PER_BIN)
    if bins < LEAST or last <= ends[0]:
        return np.empty(0)
    counts, edges = np.histogram(ends, bins=bins, range=(float(ends[0]), float(last)))
    rate: Floats = counts / (np.diff(edges) / 1e9)
    return rate


def _power_w(seen: Evidence, load: Loaded) -> Floats:
    """Mean watts in equal bins over the time in which what is counted was asked and answered."""
    curve = seen.curves.get(load.pair_id)
    if curve is None or len(load.phases) != 1 or not load.answered:
        return np.empty(0)
    start = load.answered[0].reply.dispatched_ns
    end = load.answered[-1].reply.dispatched_ns
    moved = curve.t_ns[1:][np.diff(curve.energy_j) > 0]
    ticks = int(np.count_nonzero((moved > start) & (moved < end)))
    bins = min(MOST_BINS, ticks // TICKS_PER_BIN)
    if bins < LEAST:
        return np.empty(0)
    edges = np.linspace(start, end, bins + 1).astype(np.int64)
    joules = energy_at(curve, edges)
    watts: Floats = np.diff(joules) / (np.diff(edges) / 1e9)
    return watts if np.isfinite(watts).all() else np.empty(0)
