"""False alarms on stationary series, independent and not, and the changes that must be seen."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.stats.steady import LEAST, Floats, change_of, settled_at

Series = Callable[[np.random.Generator, int], Floats]


def autoregressive(coefficient: float) -> Series:
    def series(rng: np.random.Generator, n: int) -> Floats:
        noise = rng.normal(size=n + 100)
        for i in range(1, n + 100):
            noise[i] += coefficient * noise[i - 1]
        kept: Floats = np.exp(0.3 * noise[100:])
        return kept

    return series


def queue(load: float, servers: int, cv: float) -> Series:
    """Sojourn times of a stationary M/G/k queue: a long run from empty, cut at random."""
    rng = np.random.default_rng(7)
    m = 60_000
    gaps = rng.exponential(1 / (load * servers), m)
    variance = np.log(1 + cv**2)
    service = rng.lognormal(-variance / 2, np.sqrt(variance), m)
    free, now = [0.0] * servers, 0.0
    times = np.empty(m)
    for i in range(m):
        now += gaps[i]
        start = max(heapq.heappop(free), now)
        heapq.heappush(free, start + service[i])
        times[i] = start + service[i] - now

    def series(rng: np.random.Generator, n: int) -> Floats:
        cut = int(rng.integers(5_000, m - n))
        return times[cut : cut + n]

    return series


STATIONARY = {
    "independent": autoregressive(0.0),
    "autoregression of 0.5": autoregressive(0.5),
    "one server at half load": queue(0.5, 1, 1.0),
    "four servers at half load, long service times": queue(0.5, 4, 1.5),
    "eight servers at 70%": queue(0.7, 8, 1.0),
}


@pytest.mark.parametrize("name", STATIONARY)
def test_stationary_series_raise_few_false_alarms(name: str) -> None:
    rng = np.random.default_rng(3)
    found = [
        change_of(STATIONARY[name](rng, n), rng=rng) is not None
        for n in (30, 60, 120, 500)
        for _ in range(25)
    ]
    assert np.mean(found) <= 0.05


def ramp(rng: np.random.Generator, n: int) -> Floats:
    series: Floats = np.exp(rng.normal(0, 0.3, n) + np.log(3) * np.linspace(0, 1, n))
    return series


def cold_start(rng: np.random.Generator, n: int) -> Floats:
    series: Floats = np.exp(rng.normal(0, 0.3, n))
    series[: n // 5] *= 2
    return series


@pytest.mark.parametrize("series", [ramp, cold_start])
def test_a_change_is_seen(series: Series) -> None:
    rng = np.random.default_rng(4)
    assert np.mean([change_of(series(rng, 100), rng=rng) is not None for _ in range(25)]) > 0.75
    assert all(change_of(series(rng, 400), rng=rng) is not None for _ in range(20))


def test_where_and_how_much_it_changed() -> None:
    rng = np.random.default_rng(5)
    series = np.concatenate([rng.normal(3, 0.2, 120), rng.normal(1, 0.2, 280)])
    change = change_of(series, rng=rng)
    assert change is not None
    assert change.at == pytest.approx(120, abs=8)
    assert change.before == pytest.approx(3, abs=0.1)
    assert change.after == pytest.approx(1, abs=0.1)
    assert change.p < 0.005
    assert settled_at(series) == pytest.approx(120, abs=5)


def test_a_clear_change_too_small_to_matter_is_none() -> None:
    rng = np.random.default_rng(6)
    series = np.concatenate([rng.normal(1, 0.01, 200), rng.normal(1.05, 0.01, 200)])
    assert change_of(series, rng=rng) is None
    assert change_of(series, rng=rng, material=0.01) is not None


def test_too_few_or_all_equal_say_nothing() -> None:
    rng = np.random.default_rng(8)
    assert change_of(np.linspace(1, 9, LEAST - 1), rng=rng) is None
    assert change_of(np.ones(200), rng=rng) is None
    assert settled_at(np.linspace(1, 9, 19)) is None


def test_a_steady_series_needs_no_cut_and_a_late_change_never_settles() -> None:
    assert settled_at(np.tile([1.0, 2.0, 3.0, 2.0, 1.0], 40)) == 0
    assert settled_at(np.concatenate([np.full(150, 9.0), np.full(50, 1.0)])) is None


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0, 1e9), min_size=0, max_size=150),
)
def test_any_series_is_answered_and_by_one_seed_alike(values: list[float]) -> None:
    series = np.array(values)
    one = change_of(series, rng=np.random.default_rng(1))
    assert one == change_of(series, rng=np.random.default_rng(1))
    if one is not None:
        assert 0 < one.at < len(values)
        assert 0 <= one.p < 0.005
    cut = settled_at(series)
    assert cut is None or 0 <= cut <= len(values) / 2 + 5
