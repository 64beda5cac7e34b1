"""Clocks that jump or are not known well enough, a sampler that is late, a sensor that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from perwatt.attribution.traps.catalogue import Found
from perwatt.attribution.traps.look import View, found

__all__ = ["died", "stalled", "stepped", "unsynced"]

UNSYNCED = 0.1
"""An error of a tenth of a request puts up to a tenth of its joules on its neighbour."""
DEAD_S, DEAD_READS = 3.0, 10
"""Silence to the end of the load: of seconds, and of many times its usual distance."""


def stepped(view: View) -> Iterator[Found]:
    """Samples whose dates do not follow on."""
    for name, series in view.series.items():
        at = series.at("clock-step")
        if len(at):
            span = (int(series.t_ns[at[0]]), int(series.t_ns[at[-1]]))
            yield found("clock-step", domain=name, span=span, count=len(at))


def unsynced(view: View) -> Iterator[Found]:
    """Another machine's clock, known less well than a tenth of the median request."""
    for domain in view.counted:
        series = view.series.get(domain.name)
        if series is None or view.request_s is None:
            continue
        errors = series.clock_error_ns[~np.isnan(series.clock_error_ns)]
        if len(errors) and (error_s := float(np.median(errors)) / 1e9) > UNSYNCED * view.request_s:
            yield found(
                "clock-unsynced", domain=domain.name, error_s=error_s, request_s=view.request_s
            )


def stalled(view: View) -> Iterator[Found]:
    """The sampler came late while there was load. Said once: one thread reads all domains."""
    moments: dict[int, float] = {}
    for series in view.series.values():
        for k in series.at("sampler-stalled"):
            t_ns = int(series.t_ns[k])
            # Whatever was read last before it: the one before may be of the same late round.
            earlier = series.t_ns[:k]
            gap_s = (t_ns - int(earlier[-1])) / 1e9 if len(earlier) else 0.0
            if any(start < t_ns and t_ns - gap_s * 1e9 < end for _, (start, end) in view.loads):
                moments[t_ns] = gap_s
    if not moments:
        return
    late = sorted(moments)
    # Domains are read one after the other: one late round is several samples close together.
    rounds = 1 + sum((b - a) / 1e9 > moments[b] / 2 for a, b in pairwise(late))
    yield found(
        "sampler-stalled", span=(late[0], late[-1]), count=rounds, gap_s=max(moments.values())
    )


def died(view: View) -> Iterator[Found]:
    """A summed domain without a good reading to the end of the load, or that failed at the end."""
    loads = [span for _, span in view.loads]
    for domain in view.counted:
        series = view.series.get(domain.name)
        if series is None:
            continue
        flagged = len(series.at("sensor-died")) > 0
        start = min((span[0] for span in loads), default=int(series.t_ns[0]))
        end = max((span[1] for span in loads), default=start)
        if flagged:
            end = int(series.t_ns[-1])
        good = series.t_ns[series.good]
        last = int(good[-1]) if len(good) else start
        usual_s = float(np.median(np.diff(good))) / 1e9 if len(good) > 1 else 0.0
        lost_s = (end - last) / 1e9
        if flagged or lost_s > max(DEAD_S, DEAD_READS * usual_s):
            yield found("sensor-died", domain=domain.name, span=(last, end), lost_s=lost_s)
