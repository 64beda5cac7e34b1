"""The fit of a meter's watts to the sensors' watts of one host: meter = a + b × Σ sensors. Pure.

Weighted least squares over stretches of steady load, weights the stretches' seconds, so that every
quantity is exact for normal errors of a variance that falls as 1/seconds (any textbook, such as
Draper & Smith, Applied Regression Analysis, ch. 1 and 9). The residual sd holds what a straight
line misses: kinds and shapes of load that draw unlike watts at the same reading.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from perwatt.core.errors import PerwattError

Floats = NDArray[np.float64]

__all__ = ["Fit", "Stretch", "fit", "predict"]

MIN_LOADS = 4
"""Two loads always lie on a line and three nearly do; the fourth can tell that it is none."""
MIN_SPARE = 3
"""Stretches beyond the two constants: with fewer, Student's t makes any interval useless."""

_T_975: tuple[float, ...] = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t, two-sided 95%, for 1 to 30 degrees of freedom."""


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Mean watts of some seconds at one load."""

    load: float
    """Share of the cores asked for, 0 to 1."""
    kind: str
    """What was computed, and on which cores."""
    seconds: float
    sensors_w: float
    """Sum over the sensors' domains."""
    meter_w: float


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """meter_w = a_w + b × sensors_w, each with its 95% interval."""

    domains: tuple[str, ...] = ()
    """Whose watts are summed: `rapl:package-0`, `estimated:package-0`."""
    a_w: float
    a_low_w: float
    a_high_w: float
    b: float
    b_low: float
    b_high: float
    residual_sd_w: float
    """Of a stretch of mean length about the line."""
    t_975: float
    variance_a: float
    variance_b: float
    covariance: float
    n: int
    loads: int
    """Distinct loads among the stretches."""
    sensors_low_w: float
    sensors_high_w: float
    """The range of sensor watts that was seen; beyond it the line is a guess, and widens."""
    gain_low: float = 1.0
    gain_high: float = 1.0
    """The meter's own 95% range of truth over reading."""


def fit(
    stretches: Sequence[Stretch],
    *,
    domains: tuple[str, ...] = (),
    gain: tuple[float, float] = (1.0, 1.0),
) -> Fit:
    """Fit the line. Raises PerwattError where there is too little to fit, naming what is missing.

    `gain` is the meter's own range. Refused: fewer than four distinct loads or five stretches, a
    value that is no finite number, sensors that do not move, a meter that does not follow them.
    """
    x, y, weight = _arrays(stretches)
    mean_x, mean_y = float(np.average(x, weights=weight)), float(np.average(y, weights=weight))
    spread = float(np.sum(weight * (x - mean_x) ** 2))
    if spread <= 1e-9 * max(mean_x**2, 1e-9) * len(x):
        msg = f"The sensors read {mean_x:.3g} W at every load, so nothing follows them."
        raise PerwattError(msg, "Name sensors that follow the CPU's load: --sensors")
    b = float(np.sum(weight * (x - mean_x) * (y - mean_y))) / spread
    a = mean_y - b * mean_x
    spare = len(x) - 2
    variance = float(np.sum(weight * (y - a - b * x) ** 2)) / spare
    t = _student_975(spare)
    variance_b = variance / spread
    variance_a = variance * (1 / len(x) + mean_x**2 / spread)
    half_a, half_b = t * math.sqrt(variance_a), t * math.sqrt(variance_b)
    if b - half_b <= 0:
        msg = (
            f"The meter does not follow the sensors: {b:.2g} W [{b - half_b:.2g}, {b + half_b:.2g}]"
            f" more at the meter for each of theirs, over {float(np.ptp(x)):.3g} W."
        )
        mend = "Check that the meter feeds this host alone, or measure longer: --seconds 30"
        raise PerwattError(msg, mend)
    return Fit(
        domains=domains,
        a_w=a,
        a_low_w=a - half_a,
        a_high_w=a + half_a,
        b=b,
        b_low=b - half_b,
        b_high=b + half_b,
        residual_sd_w=math.sqrt(variance),
        t_975=t,
        variance_a=variance_a,
        variance_b=variance_b,
        covariance=-mean_x * variance_b,
        n=len(x),
        loads=_loads(stretches),
        sensors_low_w=float(x.min()),
        sensors_high_w=float(x.max()),
        gain_low=gain[0],
        gain_high=gain[1],
    )


def predict(line: Fit, sensors_w: float) -> tuple[float, float, float]:
    """(value, low, high) of the meter's watts at a reading of the sensors: a 95% interval.

    It holds the line's own doubt, the scatter of single stretches about it, which more seconds do
    not lessen since it is mostly what is computed, and the meter's gain.
    """
    value = line.a_w + line.b * sensors_w
    doubt = line.variance_a + 2 * sensors_w * line.covariance + sensors_w**2 * line.variance_b
    half = line.t_975 * math.sqrt(max(doubt, 0.0) + line.residual_sd_w**2)
    low = value - math.hypot(half, value * (1 - line.gain_low))
    high = value + math.hypot(half, value * (line.gain_high - 1))
    return max(value, 0.0), max(low, 0.0), max(high, 0.0)


def _arrays(
    stretches: Sequence[Stretch],
) -> tuple[Floats, Floats, Floats]:
    """sensors_w, meter_w and weights of mean 1, each (n,)."""
    loads = _loads(stretches)
    if loads < MIN_LOADS or len(stretches) < MIN_SPARE + 2:
        seen = ", ".join(f"{load:.0%}" for load in sorted({s.load for s in stretches})) or "none"
        msg = (
            f"A line needs {MIN_SPARE + 2} stretches at {MIN_LOADS} different loads; there are "
            f"{len(stretches)} at {loads} ({seen})."
        )
        raise PerwattError(msg, "Measure idle, 25%, 50% and 100% at least, and look for failures.")
    x = np.array([s.sensors_w for s in stretches])
    y = np.array([s.meter_w for s in stretches])
    seconds = np.array([s.seconds for s in stretches])
    for name, values, least in (("sensors", x, 0.0), ("meter", y, 0.0), ("length", seconds, 1e-9)):
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= least)))
        if len(bad):
            msg = f"The {name} of stretch {int(bad[0]) + 1} is {values[bad[0]]}, which cannot be."
            raise PerwattError(msg, "Leave that stretch out.")
    return x, y, seconds / seconds.mean()


def _loads(stretches: Sequence[Stretch]) -> int:
    return len({round(s.load, 2) for s in stretches})


def _student_975(spare: int) -> float:
    return _T_975[spare - 1] if spare <= len(_T_975) else 1.96 + 2.4 / spare
