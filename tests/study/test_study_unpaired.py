"""Two pairs from their sums alone: Welch's difference, and a ratio with two sensors' errors."""

from __future__ import annotations

import numpy as np
import pytest

from perwatt.stats.moments import COLUMNS, Moments, moments_of
from perwatt.stats.sample import Floats
from perwatt.study.unpaired import difference, unpaired_ratio

NAMES = list(COLUMNS)


def moments(joules: Floats, missing: int = 0) -> Moments:
    sums = np.zeros((len(NAMES), joules.size))
    sums[:2] = 1.0
    sums[NAMES.index("energy_gross_j")] = joules
    return moments_of(sums, np.zeros(len(NAMES)), missing={"energy_gross_j": missing})


def test_the_difference_holds_the_truth_in_about_95_of_100() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        a, b = moments(rng.normal(5, 1, 12)), moments(rng.normal(3, 4, 30))
        found = difference(a, b, "energy_gross_j", "J")
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 2 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_the_ratio_holds_the_truth_in_about_95_of_100_and_a_gain_widens_it() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        a, b = moments(rng.lognormal(1, 0.4, 60)), moments(rng.lognormal(0, 0.4, 60))
        found = unpaired_ratio(a, b, "energy_gross_j")
        wide = unpaired_ratio(a, b, "energy_gross_j", gain=(0.9, 1.1))
        assert None not in (found.low, found.high, wide.low, wide.high)
        assert wide.low < found.low < found.high < wide.high  # type: ignore[operator]
        hits += found.low <= np.e <= found.high  # type: ignore[operator]
    assert 0.92 <= hits / 400 <= 0.98


def test_what_cannot_be_compared_says_why() -> None:
    one, many = moments(np.array([2.0])), moments(np.array([1.0, 2.0, 3.0]))
    hole = moments(np.array([1.0, 2.0]), missing=1)
    assert difference(one, many, "energy_gross_j", "J").reason == "no interval: no spread is seen"
    assert unpaired_ratio(hole, many, "energy_gross_j").reason == "1 of 2 requests have no energy"
    nothing = moments(np.zeros(3))
    assert unpaired_ratio(many, nothing, "energy_gross_j").value is None
    assert unpaired_ratio(many, many, "energy_gross_j").value == pytest.approx(1.0)
