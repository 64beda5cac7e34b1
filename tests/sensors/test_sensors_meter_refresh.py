"""Dates of a refreshed counter's changes: the truth lies within the bound they carry."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.records import Reading
from perwatt.sensors.meter_refresh import Refreshes

S = 1_000_000_000


def look(t_ns: int, joules: float | None, power_w: float | None = 100.0) -> Reading:
    error = "away" if joules is None else None
    return Reading(
        domain="wall", t_ns=t_ns, counter_j=joules, power_w=power_w, clock_error_ns=1, error=error
    )


@settings(max_examples=40, deadline=None)
@given(
    refresh_ns=st.integers(S // 20, 40 * S),
    poll_ns=st.integers(S // 20, 2 * S),
    phase_ns=st.integers(0, 40 * S),
    misses=st.sets(st.integers(0, 99), max_size=15),
)
def test_each_change_is_dated_within_its_bound(
    refresh_ns: int, poll_ns: int, phase_ns: int, misses: set[int]
) -> None:
    """100 W: a value is the joules at its refresh, so it tells the true moment itself."""
    refreshes = Refreshes()
    handed: list[Reading] = []
    for k in range(100):
        t_ns = k * poll_ns
        refreshed_ns = (t_ns + phase_ns) // refresh_ns * refresh_ns - phase_ns
        joules = None if k in misses else 100.0 * refreshed_ns / S
        got = refreshes.take(look(t_ns, joules))
        if got is not None and got.counter_j is not None:
            handed.append(got)
    values = [reading.counter_j for reading in handed]
    assert len(set(values)) == len(values)  # each value once
    for reading in handed:
        assert reading.counter_j is not None
        assert reading.clock_error_ns is not None
        true_ns = reading.counter_j / 100 * S
        assert abs(reading.t_ns - true_ns) <= reading.clock_error_ns + 1000


def test_the_first_value_may_be_old_and_is_not_handed_on() -> None:
    refreshes = Refreshes()
    assert refreshes.take(look(0, 5.0)) is None
    assert refreshes.take(look(S, 5.0)) is None
    changed = refreshes.take(look(2 * S, 9.0))
    assert changed is not None
    assert (changed.t_ns, changed.counter_j) == (3 * S // 2, 9.0)
    assert changed.clock_error_ns == S // 2 + 2


def test_a_counter_that_is_always_new_lies_at_the_edge_of_its_bound() -> None:
    refreshes = Refreshes()
    for k in range(5):
        reading = refreshes.take(look(k * S, float(k)))
        if reading is not None:
            assert reading.clock_error_ns is not None
            assert reading.t_ns + reading.clock_error_ns >= k * S


@pytest.mark.parametrize(("power_w", "handed"), [(0.0, True), (0.4, True), (2.0, False)])
def test_standing_still_is_believed_only_where_nothing_flows(power_w: float, handed: bool) -> None:
    refreshes = Refreshes()
    refreshes.take(look(0, 5.0, power_w))
    assert (refreshes.take(look(S, 5.0, power_w)) is not None) is handed


def test_a_failed_look_passes_and_widens_the_bound() -> None:
    refreshes = Refreshes()
    refreshes.take(look(0, 5.0))
    failed = refreshes.take(look(S, None))
    assert failed is not None
    assert failed.error == "away"
    changed = refreshes.take(look(2 * S, 6.0))
    assert changed is not None
    assert changed.clock_error_ns == S + 2
