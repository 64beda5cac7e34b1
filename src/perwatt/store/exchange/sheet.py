"""Published rows of one pair under one load, and a tool's load in perwatt's words."""

from __future__ import annotations

import math

from perwatt.core.estimate import Estimate, Grade
from perwatt.core.records import Boundary
from perwatt.core.study import Published

__all__ = ["Sheet", "as_closed", "as_rate"]


class Sheet:
    """Collects one configuration's figures. What the source does not say gets no row."""

    def __init__(
        self, *, tool: str, pair_id: str, workload: str, load: str, source: str, method: str
    ) -> None:
        self._tool, self._pair_id, self._workload = tool, pair_id, workload
        self._load, self._source, self._method = load, source, method
        self.rows: list[Published] = []

    def put(
        self,
        metric: str,
        value: float | None,
        unit: str,
        *,
        n: int | None = None,
        low: float | None = None,
        high: float | None = None,
        method: str | None = None,
        grade: Grade | None = None,
        boundary: Boundary | None = None,
        reason: str | None = None,
    ) -> None:
        """`metric`: the tool's own name, without prefix. `low` and `high`: both or none."""
        if value is None or not math.isfinite(value):
            return
        if low is None or high is None or not low <= high:
            low = high = None
        self.rows.append(
            Published(
                pair_id=self._pair_id,
                workload=self._workload,
                load=self._load,
                metric=f"{self._tool}.{metric}",
                estimate=Estimate(
                    value=value,
                    low=low,
                    high=high,
                    unit=unit,
                    method=method or self._method,
                    n=n or 0,
                    grade=grade,
                    boundary=boundary,
                    reason=reason,
                ),
                source=self._source,
            )
        )


def as_closed(in_flight: float) -> str:
    """N in flight, the next asked the moment one ends."""
    return f"closed:{in_flight:g}" if in_flight == int(in_flight) else f"{in_flight:g} in flight"


def as_rate(per_s: float, cv: float | None) -> str:
    """Requests a second; `cv`: of the gaps, None or 0 for even ones, 1 for Poisson."""
    number = f"{per_s:.9f}".rstrip("0").rstrip(".")
    if not cv:
        return f"constant:{number}"
    if abs(cv - 1) < 1e-9:
        return f"poisson:{number}"
    return f"gamma:{number}:{cv:.6f}".rstrip("0").rstrip(".")
