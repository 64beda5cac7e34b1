"""Watts that are not those of the moment, or not those of the counter beside them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from perwatt.attribution.idle import idle_power
from perwatt.attribution.integrate import energy_between
from perwatt.attribution.traps.catalogue import Found
from perwatt.attribution.traps.look import Series, View, found

__all__ = ["averaged", "idle_above_load", "mismatched"]

ENOUGH_WINDOWS = 15
"""A 1 s mean is 3% low over a window of 15 s, 9% over 5 s, 46% over 1 s (docs/sensors.md)."""
SLOW_S = 0.25
"""A gauge that lags by more is a mean over twice that; others lag by one tick of 20 to 100 ms."""
MISMATCH = 0.05
MISMATCH_S = 10.0
"""Over less, the two sources' ticks and lags alone make some per cent."""
SKIP_NS = 1_000_000_000
"""The longest averaging window known (NVML): a phase's first second holds watts of before it."""


def averaged(view: View) -> Iterator[Found]:
    """A summed gauge that is a running mean, integrated over requests shorter than it can show."""
    request_s = view.request_s
    for domain in view.counted:
        if domain.kind != "gauge" or request_s is None:
            continue
        window_s = domain.power_window_s
        timing = view.timings.get(domain.name)
        if window_s is None and timing is not None and (timing.lag_s or 0.0) > SLOW_S:
            window_s = 2 * (timing.lag_s or 0.0)
        if window_s is not None and request_s < ENOUGH_WINDOWS * window_s:
            yield found(
                "averaged-power",
                domain=domain.name,
                window_s=window_s,
                request_s=request_s,
                enough_s=ENOUGH_WINDOWS * window_s,
            )


def mismatched(view: View) -> Iterator[Found]:
    """A counter and the power beside it, more than 5% apart over 10 s or more."""
    kinds = ("bare_idle", "loaded_idle", "load", "after_idle")
    for name, series in view.series.items():
        if view.domains[name].kind != "counter":
            continue
        worst: Found | None = None
        for phase in view.phases(*kinds):
            assert phase.end_ns is not None
            each = _compare(view, name, series, phase.start_ns + SKIP_NS, phase.end_ns)
            if each and (worst is None or each.numbers["apart"] > worst.numbers["apart"]):
                worst = each
        if worst:
            yield worst


def _compare(view: View, name: str, series: Series, start_ns: int, end_ns: int) -> Found | None:
    inside = (series.t_ns >= start_ns) & (series.t_ns <= end_ns) & ~np.isnan(series.power_w)
    t, watts = series.t_ns[inside], series.power_w[inside]
    curve = view.curve(name)
    if len(t) < 10 or curve is None or (t[-1] - t[0]) / 1e9 < MISMATCH_S:
        return None
    joules = energy_between(curve, int(t[0]), int(t[-1]))
    seconds = (t[-1] - t[0]) / 1e9
    if joules is None or joules <= 0:
        return None
    gauge_w = float((np.diff(t) / 1e9 * (watts[1:] + watts[:-1]) / 2).sum()) / seconds
    counter_w = joules / seconds
    # What looks at moments errs by: watts that swing from look to look average out slowly, and a
    # running mean of the longest window known shows both edges half of it late.
    looks_w = 2 * float(np.diff(watts).std()) / np.sqrt(2 * len(watts))
    edges_w = float(np.ptp(watts)) * (SKIP_NS / 2e9) / seconds
    noise_w = looks_w + edges_w
    apart = (abs(gauge_w - counter_w) - noise_w) / max(counter_w, gauge_w)
    if apart <= MISMATCH:
        return None
    return found(
        "counter-power-mismatch",
        domain=name,
        span=(int(t[0]), int(t[-1])),
        window_s=seconds,
        counter_w=counter_w,
        gauge_w=gauge_w,
        apart=abs(gauge_w - counter_w) / max(counter_w, gauge_w),
    )


def idle_above_load(view: View) -> Iterator[Found]:
    """A summed domain that drew clearly more at idle than under load."""
    idle = [(p.start_ns, p.end_ns or p.start_ns) for p in view.phases("bare_idle", "loaded_idle")]
    for domain in view.counted:
        curve = view.curve(domain.name)
        if curve is None:
            continue
        base = idle_power(curve, idle)
        load = idle_power(curve, [span for _, span in view.loads])
        if base is None or load is None:
            continue
        error_w = sum((each.sd_w or 0.0) ** 2 / each.ticks for each in (base, load)) ** 0.5
        if base.power_w - load.power_w > max(3 * error_w, MISMATCH * base.power_w):
            yield found(
                "idle-above-load", domain=domain.name, load_w=load.power_w, idle_w=base.power_w
            )
