"""Each pair's joules per right answer, and what is proportional to them: carbon, electricity."""

from __future__ import annotations

import msgspec

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyPair
from perwatt.stats.intervals import Interval
from perwatt.stats.moments import Moments, ratio_interval
from perwatt.study.cells import rolled
from perwatt.study.footing import footing_of
from perwatt.study.study import Study

__all__ = ["J_PER_KWH", "estimate_of", "j_per_correct", "pair_moments", "scaled"]

J_PER_KWH = 3.6e6


def pair_moments(study: Study) -> list[tuple[StudyPair, Moments]]:
    """Every pair that was asked anything, in the study's order, over all of its answers."""
    sums = rolled(study.cells(), by=("pair",))
    return [(pair, sums[(number,)]) for number, pair in enumerate(study.pairs) if (number,) in sums]


def j_per_correct(pair: StudyPair, moments: Moments) -> Estimate:
    """Σ E / Σ a, gross, over all answers asked for."""
    footing = footing_of([pair])
    if footing.why_not:
        return Estimate(value=None, unit="J", n=moments.clusters, reason=footing.why_not)
    found = ratio_interval(
        moments, "energy_gross_j", "score", footing.gain, zero="no answer was right"
    )
    return estimate_of(found, "J", pair)


def estimate_of(found: Interval, unit: str, pair: StudyPair | None = None) -> Estimate:
    """An interval as a published number; with `pair`, one of its joules."""
    return Estimate(
        value=found.value,
        low=found.low,
        high=found.high,
        unit=unit,
        method=found.method,
        n=found.n,
        grade=pair.grade if pair else None,
        boundary=pair.boundary if pair else None,
        reason=found.reason,
    )


def scaled(estimate: Estimate, factor: float, unit: str) -> Estimate:
    """The same number in another unit, `factor` ≥ 0 being taken as exact."""
    parts = {
        name: None if value is None else value * factor
        for name, value in (
            ("value", estimate.value),
            ("low", estimate.low),
            ("high", estimate.high),
        )
    }
    return msgspec.structs.replace(estimate, unit=unit, **parts)
