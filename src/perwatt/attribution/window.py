"""Joules of one stretch of time, such as a command or a block of code, with their interval.

Two ways, and the caller knows which is right. *Padded*: nothing else ran just before and after, so
the counter is read from settled idle to settled idle and the idle of the pads is taken off again;
where in a tick the work began and ended then no longer matters. *Interpolated*: something ran on
either side, so the two ticks that the marks cut are split, and the split has an error.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.integrate import Curve
from perwatt.attribution.ledger import combined_gain

__all__ = ["Baseline", "Window", "mean_windows", "sum_windows", "window_energy"]

Floats = NDArray[np.float64]
Z_95 = 1.96
NEAR = 8
"""Ticks on either side of a mark that tell how rough the power is there."""


class Baseline(NamedTuple):
    """Idle watts, the standard error of that mean, and how many seconds it was taken over."""

    power_w: float
    se_w: float
    seconds: float

    def error_w(self, over_s: float) -> float:
        """Standard error of the idle watts of another stretch, which wander as much again.

        The variance of a mean falls with its length, so over `over_s` it is se² · seconds / over_s.
        How much idle wanders is told by about four stretches of the baseline (`idle_power`), hence
        Student's t with four degrees of freedom, as a multiple of 1.96.
        """
        if over_s <= 0:
            return 0.0
        return self.se_w * math.sqrt(1 + self.seconds / over_s) * _student_95(4) / Z_95


class Window(NamedTuple):
    """Joules of one domain, or of several summed, between two marks."""

    seconds: float
    gross_j: float
    gross_low_j: float
    gross_high_j: float
    net_j: float | None
    """Gross less idle; None without a baseline."""
    net_low_j: float | None
    net_high_j: float | None
    random_j: float
    """Standard error of gross that would be drawn anew in a repeat: tick edges, part-time looks."""
    net_random_j: float
    """The same of net, without the baseline's error, which repeats share."""
    baseline_j: float
    """Standard error that the baseline brings into net."""
    gain: tuple[float, float]
    """The true joules lie in [low, high] × the reading, 95%."""
    ticks: int
    """Changes of the counter within the window; samples for a gauge."""
    trusted: bool
    """Were all its ticks sound?"""
    padded: bool


def window_energy(
    curve: Curve,
    start_ns: int,
    end_ns: int,
    *,
    baseline: Baseline | None = None,
    padded: bool = False,
    lag_ns: int = 0,
    knot_error_s: float = 0.0,
    duty: float | None = None,
    clock_error_ns: int = 0,
    gain: tuple[float, float] = (1.0, 1.0),
) -> Window | None:
    """Joules between two marks; None where the curve does not reach around them.

    `padded` needs a baseline, and a curve that goes on until a tick after `end_ns + lag_ns`.
    `knot_error_s`: how far the moment of a tick may be off, full width, such as the time between
    two looks at the counter. `duty`: share of the time in which the device looks at its power.
    Raises ValueError for a window that ends before it starts, or for padding without a baseline.

    Interval: tick edges, part-time looks and the baseline as standard errors × 1.96, and the gain
    as a range, in quadrature (GUM 5.1.2 for independent parts).
    """
    if end_ns < start_ns:
        msg = f"the window ends {start_ns - end_ns} ns before it starts"
        raise ValueError(msg)
    if padded and baseline is None:
        msg = "a padded window needs the idle watts of its pads"
        raise ValueError(msg)
    seconds = (end_ns - start_ns) / 1e9
    # A counter shows the tick before the look, so a padded end waits for one that is all after it.
    late_ns = lag_ns + (round(knot_error_s * 1e9) if padded else 0)
    first, last = _span(curve, start_ns + (0 if padded else lag_ns), end_ns + late_ns)
    if first is None or last is None:
        return None
    noise = _part_time(curve, first, last, duty, ends=padded)
    if padded and baseline is not None:
        joules = float(curve.energy_j[last] - curve.energy_j[first])
        length = float(curve.t_ns[last] - curve.t_ns[first]) / 1e9
        net: float | None = joules - baseline.power_w * length
        gross = joules - baseline.power_w * (length - seconds)
        pad_se = baseline.error_w(length - seconds) * (length - seconds)
        idle_se = baseline.error_w(length) * length
        edge = 2 * (baseline.power_w * knot_error_s) ** 2 / 12
        variance = edge + noise + pad_se**2
        net_variance = edge + noise
    else:
        at_start, start_var = _edge(curve, start_ns + lag_ns, knot_error_s)
        at_end, end_var = _edge(curve, end_ns + lag_ns, knot_error_s)
        gross = at_end - at_start
        clock = _step_w(curve, start_ns + lag_ns) ** 2 + _step_w(curve, end_ns + lag_ns) ** 2
        variance = start_var + end_var + noise + clock * (clock_error_ns / 1e9) ** 2 / 3
        net_variance = variance
        net, idle_se = None, 0.0
        if baseline is not None:
            net = gross - baseline.power_w * seconds
            idle_se = baseline.error_w(seconds) * seconds
    low, high = _interval(gross, variance, gain)
    low = min(max(low, 0.0), gross)
    bounds = (None, None) if net is None else _interval(net, net_variance + idle_se**2, gain)
    inner = (curve.t_ns > start_ns + lag_ns) & (curve.t_ns <= end_ns + lag_ns)
    return Window(
        seconds=seconds,
        gross_j=gross,
        gross_low_j=low,
        gross_high_j=high,
        net_j=net,
        net_low_j=bounds[0],
        net_high_j=bounds[1],
        random_j=math.sqrt(variance),
        net_random_j=math.sqrt(net_variance),
        baseline_j=idle_se,
        gain=gain,
        ticks=int(inner.sum()),
        trusted=bool(curve.trusted[first:last].all()),
        padded=padded,
    )


def sum_windows(parts: list[Window]) -> Window:
    """Several domains over the same stretch. Gains are taken as shared, the rest as independent."""
    nets = [part.net_j for part in parts if part.net_j is not None]
    return _combined(
        parts,
        seconds=parts[0].seconds,
        gross_j=sum(part.gross_j for part in parts),
        net_j=sum(nets) if len(nets) == len(parts) else None,
        random_j=math.hypot(*(part.random_j for part in parts)),
        net_random_j=math.hypot(*(part.net_random_j for part in parts)),
        baseline_j=math.hypot(*(part.baseline_j for part in parts)),
        ticks=min(part.ticks for part in parts),
    )


def mean_windows(repeats: list[Window]) -> Window:
    """The mean of one piece of work done n times: joules of one repeat.

    Its random error is the repeats' own spread, s·t/√n (Student, n − 1 degrees of freedom, given
    here as a standard error of 1/1.96 of its 95% half-width), and no less than what their edges
    alone would leave. Gain and baseline are shared by all repeats, and do not average out.
    """
    n = len(repeats)
    nets = [each.net_j for each in repeats if each.net_j is not None]
    whole = len(nets) == n
    return _combined(
        repeats,
        seconds=sum(each.seconds for each in repeats) / n,
        gross_j=sum(each.gross_j for each in repeats) / n,
        net_j=sum(nets) / n if whole else None,
        random_j=_repeated([e.gross_j for e in repeats], [e.random_j for e in repeats]),
        net_random_j=_repeated(nets, [e.net_random_j for e in repeats]) if whole else 0.0,
        baseline_j=sum(each.baseline_j for each in repeats) / n,
        ticks=sum(each.ticks for each in repeats),
    )


def _combined(
    parts: list[Window],
    *,
    seconds: float,
    gross_j: float,
    net_j: float | None,
    random_j: float,
    net_random_j: float,
    baseline_j: float,
    ticks: int,
) -> Window:
    gain = combined_gain([(abs(part.gross_j), part.gain) for part in parts])
    low, high = _interval(gross_j, random_j**2, gain)
    low = min(max(low, 0.0), gross_j)
    bounds: tuple[float | None, float | None] = (None, None)
    if net_j is not None:
        bounds = _interval(net_j, net_random_j**2 + baseline_j**2, gain)
    return Window(
        seconds=seconds,
        gross_j=gross_j,
        gross_low_j=low,
        gross_high_j=high,
        net_j=net_j,
        net_low_j=bounds[0],
        net_high_j=bounds[1],
        random_j=random_j,
        net_random_j=net_random_j,
        baseline_j=baseline_j,
        gain=gain,
        ticks=ticks,
        trusted=all(part.trusted for part in parts),
        padded=all(part.padded for part in parts),
    )


def _repeated(values: list[float], errors: list[float]) -> float:
    n = len(values)
    edges = math.hypot(*errors) / n
    if n < 2:
        return edges
    spread = float(np.std(values, ddof=1)) / math.sqrt(n)
    return max(spread * _student_95(n - 1) / Z_95, edges)


def _student_95(degrees: int) -> float:
    """Two-sided 95% point of Student's t: exact for 1 and 2, else Abramowitz & Stegun 26.7.5."""
    if degrees <= 2:
        return (12.706, 4.303)[degrees - 1]
    z, v = 1.959964, float(degrees)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / v + second / v**2 + third / v**3


def _span(curve: Curve, start_ns: int, end_ns: int) -> tuple[int | None, int | None]:
    """The last knot at or before the start, and the first at or after the end."""
    first = int(np.searchsorted(curve.t_ns, start_ns, side="right")) - 1
    last = int(np.searchsorted(curve.t_ns, end_ns, side="left"))
    return (first if first >= 0 else None), (last if last < len(curve.t_ns) else None)


def _edge(curve: Curve, mark_ns: int, knot_error_s: float) -> tuple[float, float]:
    """Joules drawn by a mark inside a tick, and their variance.

    A mark is where the power is likely to step. Read from the left, the power before it went on
    until the mark; from the right, the power after it held since. Each errs by its distance to the
    mark times how rough the power is, so they are weighed by distance squared. For steady power
    both agree with the straight line; for one clean step both are exact, and the line is not.
    """
    k = int(np.clip(np.searchsorted(curve.t_ns, mark_ns, side="right") - 1, 0, len(curve.t_ns) - 2))
    left_s = (mark_ns - int(curve.t_ns[k])) / 1e9
    right_s = (int(curve.t_ns[k + 1]) - mark_ns) / 1e9
    e0, e1 = float(curve.energy_j[k]), float(curve.energy_j[k + 1])
    tick_w = _tick_watts(curve)
    before = float(tick_w[max(k - 1, 0)])
    after = float(tick_w[min(k + 1, len(tick_w) - 1)])
    late = knot_error_s**2 / 12
    if left_s <= 0 or right_s <= 0:
        return (e0, before**2 * late) if left_s <= 0 else (e1, after**2 * late)
    rough = _roughness(tick_w, k)
    from_left = e0 + before * left_s
    from_right = e1 - after * right_s
    weight = right_s**2 / (left_s**2 + right_s**2)
    value = weight * from_left + (1 - weight) * from_right
    value = min(max(value, min(e0, e1)), max(e0, e1))
    spread = rough**2 * (left_s * right_s) ** 2 / (left_s**2 + right_s**2)
    # Where the two do not meet, the power did something else within the tick than step at the mark.
    miss = weight * (1 - weight) * (from_left - from_right) ** 2
    timing = ((weight * before) ** 2 + ((1 - weight) * after) ** 2) * late
    return value, spread + miss + timing


def _tick_watts(curve: Curve) -> Floats:
    result: Floats = np.diff(curve.energy_j) / (np.diff(curve.t_ns) / 1e9)
    return result


def _roughness(tick_w: Floats, k: int) -> float:
    """Watts by which neighbouring ticks differ on either side of tick k, the step itself left out.

    Median of |differences| / 0.6745 / √2: the sd of one tick about its neighbours' level.
    """
    left = np.abs(np.diff(tick_w[max(0, k - NEAR) : k]))
    right = np.abs(np.diff(tick_w[k + 1 : k + 1 + NEAR]))
    both = np.concatenate([left, right])
    return float(np.median(both)) / 0.6745 / math.sqrt(2) if len(both) else 0.0


def _step_w(curve: Curve, mark_ns: int) -> float:
    """Watts by which the power differs before and after a mark."""
    tick_w = _tick_watts(curve)
    k = int(np.clip(np.searchsorted(curve.t_ns, mark_ns, side="right") - 1, 0, len(tick_w) - 1))
    return float(abs(tick_w[min(k + 1, len(tick_w) - 1)] - tick_w[max(k - 1, 0)]))


def _part_time(curve: Curve, first: int, last: int, duty: float | None, ends: bool) -> float:
    """Variance of a sum of ticks of which only the share `duty` was looked at.

    A tick's reading stands for the whole of it. Inside the window its unseen part errs by
    √(1 − duty) of a tick's own scatter, told by successive differences (von Neumann 1941). In the
    two ticks that a mark cuts, power steps by D and the look falls to one side of the step or the
    other: variance (D·T)²·(1 − duty)²/6 over a uniform place; half of that where the tick is split
    (`ends` False), since then on average half of it is in the window.
    """
    if duty is None or duty >= 1 or last - first < 2:
        return 0.0
    lo, hi = max(first - 1, 0), min(last + 1, len(curve.t_ns) - 1)
    seconds = np.diff(curve.t_ns[lo : hi + 1]) / 1e9
    watts = np.diff(curve.energy_j[lo : hi + 1]) / seconds
    begin, stop = first - lo, last - lo  # ticks begin … stop − 1 are those of the window
    inner_w, inner_s = watts[begin + 1 : stop - 1], seconds[begin + 1 : stop - 1]
    jumps = np.diff(inner_w) ** 2 * inner_s[1:] * inner_s[:-1]
    level = inner_w if len(inner_w) else watts[begin:stop]
    cut = float((level[0] - watts[max(begin - 1, 0)]) * seconds[begin]) ** 2
    cut += float((level[-1] - watts[min(stop, len(watts) - 1)]) * seconds[stop - 1]) ** 2
    cut *= 1.0 if ends else 0.5
    if len(jumps) > 2:  # one jump far above the rest is a step too: prefill to decode, say
        highest = int(np.argmax(jumps))
        rest = np.delete(jumps, highest)
        if jumps[highest] > 9 * rest.mean():
            cut += float(jumps[highest])
            jumps = rest
    # n − 1 differences stand for n ticks.
    scatter = float(jumps.mean()) / 2 * len(inner_w) if len(jumps) else 0.0
    return scatter * (1 - duty) + cut * (1 - duty) ** 2 / 6


def _interval(value: float, variance: float, gain: tuple[float, float]) -> tuple[float, float]:
    random = Z_95 * math.sqrt(variance)
    below = abs(value) * (1.0 - min(gain[0], 1.0))
    above = abs(value) * (max(gain[1], 1.0) - 1.0)
    if value < 0:
        below, above = above, below
    return value - math.hypot(random, below), value + math.hypot(random, above)
