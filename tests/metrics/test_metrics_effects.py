"""Effect sizes and the paired interval of shares against what books and arithmetic say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.metrics.effects import cohens_h, standardised_difference, superiority
from perwatt.metrics.share_gaps import share_gap, share_ratio
from perwatt.stats.intervals import Interval
from perwatt.stats.paired_share import tango_bounds
from perwatt.stats.sample import Column

Z = 1.959963984540054


def column(values: list[float], *, share: bool = False) -> Column:
    numbers = np.array(values, dtype=np.float64)
    return Column(numbers, np.arange(numbers.size), "value", share=share)


def test_dz_is_the_mean_in_standard_deviations() -> None:
    found = standardised_difference(np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.value == pytest.approx(2.5 / math.sqrt(5 / 3))
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(
        2 * Z * math.sqrt(1 / 4 + (2.5 / math.sqrt(5 / 3)) ** 2 / 8)
    )


def test_dz_of_a_constant_difference_has_no_value() -> None:
    found = standardised_difference(np.full(5, 0.3))
    assert found.value is None
    assert "same for every item" in (found.reason or "")


def test_h_is_cohens_table() -> None:
    # Cohen 1988, Table 6.2.2: φ(.70) − φ(.50) = 1.982 − 1.571.
    a = column([1.0] * 50 + [0.0] * 50, share=True)
    b = column([1.0] * 70 + [0.0] * 30, share=True)
    found = cohens_h(a, b, 100)
    assert found.value is not None
    assert found.low is not None
    assert found.value == pytest.approx(1.982 - 1.571, abs=1e-3)
    assert 0 < found.low < found.value
    assert cohens_h(b, a, 100).value == pytest.approx(-found.value)


def test_h_against_none_right_has_a_value_and_no_interval() -> None:
    found = cohens_h(column([0.0] * 4, share=True), column([0.0, 1.0, 0.0, 1.0], share=True), 4)
    assert found.value == pytest.approx(math.pi / 2)
    assert found.low is None


def test_superiority_counts_ties_half_and_knows_what_is_better() -> None:
    a, b = column([1.0, 2.0, 3.0, 4.0]), column([0.0, 2.0, 4.0, 5.0])
    assert superiority(a, b, 4, lower_is_better=False).value == pytest.approx(2.5 / 4)
    assert superiority(a, b, 4, lower_is_better=True).value == pytest.approx(1.5 / 4)


def test_superiority_is_over_items_that_both_have() -> None:
    a, b = column([1.0, math.nan, 3.0]), column([2.0, 9.0, 4.0])
    found = superiority(a, b, 3, lower_is_better=False)
    assert (found.value, found.n) == (1.0, 2)


def test_tango_without_any_unlike_item_is_z_squared() -> None:
    low, high = tango_bounds(0, 0, 506)
    assert high == pytest.approx(Z**2 / (506 + Z**2))
    assert low == pytest.approx(-high)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_tango_holds_what_was_seen_and_is_mcnemars_at_zero(one: int, other: int, more: int) -> None:
    n = one + other + more + 1
    low, high = tango_bounds(one, other, n)
    assert -1 <= low <= (one - other) / n <= high <= 1
    turned = tango_bounds(other, one, n)
    assert turned == pytest.approx((-high, -low), abs=1e-9)
    if one != other:
        rejected = abs(one - other) / math.sqrt(one + other) > Z
        assert rejected == (low > 0 or high < 0)


def test_tango_refuses_more_unlike_items_than_there_are() -> None:
    with pytest.raises(ValueError, match="of 3 items"):
        tango_bounds(2, 2, 3)


def test_repeats_that_all_agree_still_have_an_interval() -> None:
    """Bootstrapped, they would be alike to the last digit."""
    twice = Column(np.array([1.0, 0.0] * 10), np.repeat(np.arange(10), 2), "score", share=True)
    seen = Interval(value=0.0, n=10, reason="no interval: every item gives 0")
    gap = share_gap(twice, twice, 10, seen)
    assert gap.high == pytest.approx(Z**2 / (10 + Z**2))
    ratio = share_ratio(Interval(value=1.0, low=1.0, high=1.0, n=10), gap, 0.5)
    assert ratio.high == pytest.approx(1 + 2 * Z**2 / (10 + Z**2))


@pytest.mark.parametrize(("one", "other"), [(0.1, 0.1), (0.2, 0.05), (0.02, 0.02), (0.4, 0.1)])
def test_tango_holds_the_truth_as_often_as_it_says(one: float, other: float) -> None:
    """Summed over every outcome of 40 items, not drawn: a gate fails by chance once in 40."""
    n, held, below = 40, 0.0, 0.0
    for a in range(n + 1):
        for b in range(n + 1 - a):
            ways = math.comb(n, a) * math.comb(n - a, b)
            chance = ways * one**a * other**b * (1 - one - other) ** (n - a - b)
            if chance < 1e-7:
                continue
            low, high = tango_bounds(a, b, n)
            held += chance * (low <= one - other <= high)
            below += chance * (high < one - other)
    assert held > 0.94
    assert below < 0.032
