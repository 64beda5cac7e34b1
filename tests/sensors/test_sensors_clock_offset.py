"""The bound holds whatever the network does: unequal ways, drift, queues; steps are found."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.sensors.clock_offset import Exchange, fit_clock, tightest

S = 1_000_000_000


class Remote:
    """A clock that runs at (1 + drift) of ours, `ahead_ns` ahead at our 0, set on by steps."""

    def __init__(self, ahead_ns: int, drift: float) -> None:
        self.ahead_ns, self.drift = ahead_ns, drift

    def at(self, ours_ns: int) -> int:
        return ours_ns + self.ahead_ns + round(self.drift * ours_ns)


def exchanges_with(
    clock: Remote, seed: int, n: int, every_s: float, out_ms: float, back_ms: float
) -> list[Exchange]:
    """n bursts of 4; both ways have a least delay and now and then a long queue."""
    rng = random.Random(seed)
    found = []
    for k in range(n):
        burst = []
        for _ in range(4):
            sent = round(k * every_s * S + rng.uniform(0, 1e7))
            queue = rng.expovariate(1 / 3e6) * (rng.random() < 0.5)
            read = sent + round(out_ms * 1e6 * rng.uniform(1, 1.3) + queue)
            back = read + round(back_ms * 1e6 * rng.uniform(1, 1.3) + queue * rng.random())
            burst.append(Exchange(sent, clock.at(read), back))
        found.append(tightest(burst))
    return found


@settings(max_examples=60, deadline=None)
@given(
    ahead_ns=st.integers(-(10**18), 10**18),
    drift_ppm=st.floats(-100, 100),
    seed=st.integers(0, 10**6),
    out_ms=st.floats(0.05, 40),
    back_ms=st.floats(0.05, 40),
    n=st.integers(1, 12),
)
def test_the_truth_lies_within_the_bound(
    ahead_ns: int, drift_ppm: float, seed: int, out_ms: float, back_ms: float, n: int
) -> None:
    clock = Remote(ahead_ns, drift_ppm * 1e-6)
    fit = fit_clock(exchanges_with(clock, seed, n, 10.0, out_ms, back_ms))
    assert not fit.stepped
    for ours in range(0, (n + 1) * 10 * S, 3 * S):
        dated, error = fit.date(clock.at(ours))
        assert abs(dated - ours) <= error
    # Near an exchange the bound is not much more than half of its round trip.
    _, error = fit.date(clock.at((n - 1) * 10 * S))
    assert error <= (out_ms + back_ms) * 1.3e6 + 2.2 * MAX_NS


MAX_NS = 3e6 + 200e-6 * 1e7
"""A queue's mean, and the drift within a burst."""


@pytest.mark.parametrize("drift_ppm", [-100.0, -20.0, 0.0, 50.0, 100.0])
def test_drift_is_found_on_a_quiet_network(drift_ppm: float) -> None:
    clock = Remote(123_456_789_000, drift_ppm * 1e-6)
    fit = fit_clock(exchanges_with(clock, 1, 12, 10.0, 0.15, 0.15))
    assert fit.drift * 1e6 == pytest.approx(-drift_ppm, abs=1.0)
    dated, error = fit.date(clock.at(115 * S))  # between two bursts
    assert abs(dated - 115 * S) < 50_000
    assert error < 2_000_000


def test_a_day_away_the_bound_is_honest() -> None:
    clock = Remote(0, 80e-6)
    fit = fit_clock(exchanges_with(clock, 2, 3, 10.0, 0.2, 0.2))
    dated, error = fit.date(clock.at(86_400 * S))
    assert abs(dated - 86_400 * S) <= error
    assert error >= 80e-6 * 86_000 * S


@settings(max_examples=30, deadline=None)
@given(step_ns=st.integers(200_000_000, 10**15), forward=st.booleans(), seed=st.integers(0, 999))
def test_a_step_is_found_and_what_came_before_it_forgotten(
    step_ns: int, forward: bool, seed: int
) -> None:
    before = Remote(0, 10e-6)
    after = Remote(step_ns if forward else -step_ns, 10e-6)
    early = exchanges_with(before, seed, 5, 10.0, 1, 2)
    late = [
        Exchange(e.sent_ns + 50 * S, after.at(e.sent_ns + 50 * S + 10**6), e.received_ns + 50 * S)
        for e in exchanges_with(before, seed + 1, 3, 10.0, 1, 2)
    ]
    fit = fit_clock([*early, *late])
    assert fit.stepped
    assert fit.kept == tuple(late)
    for ours in (50 * S, 75 * S):
        dated, error = fit.date(after.at(ours))
        assert abs(dated - ours) <= error


def test_nothing_to_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="no exchange"):
        fit_clock([])
