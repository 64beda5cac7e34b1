"""What this host's calibration makes of the CPU estimate: watts closer to a meter's, still grade D.

A meter of the package (RAPL read once as root, say) corrects the package's own watts. A wall meter
cannot: on hosts with RAPL the slope alone left the package's joules at 0.40× to 3.5× of it
(benchmarks/estimate_error.py), since what the package draws idle hides in the offset. So a wall
meter's line gives the watts of the whole host, as a domain beside the package.
"""

from __future__ import annotations

import msgspec

from perwatt.core.records import Boundary, Domain
from perwatt.sensors.calibrate import Fit, predict

__all__ = ["WALL", "Line"]

WALL = "wall-estimated"
"""Not `wall`: that is a meter's, which may be read in the same run."""
BUSY_LOAD = 0.25
"""The least load for which a package's gain range is stated: below it, watts are few and asleep."""


class Line:
    """A fit of the uncalibrated CPU estimate to a meter. `label` says when and against what."""

    def __init__(self, line: Fit, boundary: Boundary, label: str) -> None:
        self._line = line
        self._boundary = boundary
        self._label = label

    def apply(self, package: Domain) -> list[Domain]:
        """The domains that stand in for the uncalibrated package."""
        seen_low, seen_high = self._line.sensors_low_w, self._line.sensors_high_w
        if self._boundary == "package":
            busy = seen_low + BUSY_LOAD * (seen_high - seen_low)
            return [self._over(package, busy, package.note)]
        note = (
            "All this host draws from the wall, told by the CPU's load alone: an accelerator at "
            "work is in it only as far as it was at work then."
        )
        whole = msgspec.structs.replace(
            self._over(package, seen_low, note),
            name=WALL,
            boundary="system",
            covers=(package.name, "dram-0"),
        )
        return [package, whole]

    def watts(self, domain: str, curve_w: float) -> float:
        """Watts of a domain where the uncalibrated estimate says `curve_w`."""
        if domain != WALL and self._boundary != "package":
            return curve_w
        return predict(self._line, curve_w)[0]

    def _over(self, package: Domain, from_w: float, note: str | None) -> Domain:
        """The package's domain with the line's gain range over the sensors' watts from `from_w`."""
        looks = [predict(self._line, x) for x in (from_w, self._line.sensors_high_w)]
        # an offset below 0 can leave no watts at light loads, and a range of nothing says nothing
        looks = [look for look in looks if look[0] > 0]
        most = predict(self._line, package.max_power_w or self._line.sensors_high_w)[0]
        return msgspec.structs.replace(
            package,
            device=f"{package.device}, calibrated",
            gain_low=round(min(low / value for value, low, _ in looks), 2),
            gain_high=round(max(high / value for value, _, high in looks), 2),
            max_power_w=round(most, 3),
            note=f"{self._label} {note or ''}".strip(),
        )
