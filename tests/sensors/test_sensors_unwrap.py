"""Raw readings to joules: wraps, resets, glitches and zeros; and which samples are kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.attribution.integrate import curve_of, energy_at
from perwatt.core.records import Domain, PowerSample, Reading
from perwatt.sensors.sampler_changes import ChangePoints
from perwatt.sensors.unwrap import Unwrapper


def domain(**more: object) -> Domain:
    base: dict[str, object] = {
        "name": "d",
        "kind": "counter",
        "boundary": "package",
        "source": "test",
        "grade": "B",
        "device": "device",
    }
    return Domain(**{**base, **more})  # type: ignore[arg-type]


def feed(which: Domain, values: Sequence[float | None], step_s: float = 0.05) -> list[PowerSample]:
    unwrapper = Unwrapper(which)
    samples = []
    for k, value in enumerate(values):
        counter, power = (value, None) if which.kind == "counter" else (None, value)
        error = "gone" if value is None else None
        t_ns = round((k + 1) * step_s * 1e9)
        reading = Reading(domain="d", t_ns=t_ns, counter_j=counter, power_w=power, error=error)
        samples.append(unwrapper.take(reading, stalled=False))
    return samples


@given(
    st.lists(st.floats(0, 40), min_size=1, max_size=60),
    st.floats(0, 100),
)
def test_a_counter_that_wraps_gives_what_was_added(steps: list[float], start: float) -> None:
    wrap = 100.0
    raw, total = [start % wrap], 0.0
    for step in steps:
        raw.append((raw[-1] + step) % wrap or 1e-9)  # a 0 is never taken: see below
        total += step
    samples = feed(domain(wrap_j=wrap, max_power_w=1000.0), raw)
    assert samples[-1].counter_j == pytest.approx(total, abs=1e-6)
    falls = [b < a for a, b in pairwise(raw)]
    assert [s.flag for s in samples[1:]] == ["wrap" if fell else None for fell in falls]


def test_a_glitch_is_flagged_none_and_costs_nothing() -> None:
    samples = feed(domain(max_power_w=100.0), [10, 11, 0, 12, 9, 12, 9e9, 13, float("nan"), 14])
    assert [s.flag for s in samples] == [
        None, None, "zero", None, "backwards", None, "implausible", None, "implausible", None,
    ]  # fmt: skip
    assert [s.counter_j for s in samples] == [0, 1, None, 2, None, 2, None, 3, None, 4]


def test_a_counter_that_starts_again_is_a_reset() -> None:
    samples = feed(domain(max_power_w=100.0), [1000, 1001, 0.1, 0.2, 0.3, 1.3])
    assert [s.flag for s in samples] == [None, None, "backwards", "backwards", "reset", None]
    assert samples[4].counter_j == 1.0
    assert samples[5].counter_j == pytest.approx(2.0)


def test_zeros_are_never_a_reset_but_what_follows_them_may_be() -> None:
    samples = feed(domain(max_power_w=100.0), [1000, 0, 0, 0, 0, 1001, 0, 0, 0, 0.2, 0.3])
    assert [s.flag for s in samples] == [
        None, *["zero"] * 4, None, *["zero"] * 3, "reset", None,
    ]  # fmt: skip
    assert samples[5].counter_j == 1.0
    assert samples[-1].counter_j == pytest.approx(1.1)


def test_a_zero_where_the_counter_wraps_is_told_by_the_reading_after_it() -> None:
    wraps = feed(domain(wrap_j=10.0, max_power_w=100.0), [9, 0, 0.5])
    glitch = feed(domain(wrap_j=10.0, max_power_w=100.0), [9, 0, 9.5])
    assert (wraps[1].flag, wraps[2].flag, wraps[2].counter_j) == ("zero", "wrap", 1.5)
    assert (glitch[1].flag, glitch[2].flag, glitch[2].counter_j) == ("zero", None, 0.5)


def test_a_coarse_counter_may_jump_after_standing_still() -> None:
    watt_hours = [3600.0 * (k // 100) for k in range(300)]  # 720 W, at 20 Hz
    samples = feed(domain(max_power_w=1000.0), watt_hours)
    assert {s.flag for s in samples} == {None}
    assert samples[-1].counter_j == 7200.0


def test_a_counter_may_stand_at_zero_from_the_start() -> None:
    assert [s.flag for s in feed(domain(), [0, 0, 0, 1])] == [None] * 4


def test_a_powered_gauge_is_never_at_zero_but_one_that_has_been_may_be() -> None:
    gauge = domain(kind="gauge", max_power_w=100.0)
    assert [s.flag for s in feed(gauge, [30, 0, 30])] == [None, "zero", None]
    assert [s.flag for s in feed(gauge, [0, 5, 0])] == [None] * 3
    assert [s.flag for s in feed(gauge, [0.2, 5, 0])] == [None] * 3
    busy = Reading(domain="d", t_ns=1, power_w=0.0, utilization=0.5)
    assert Unwrapper(gauge).take(busy, stalled=False).flag == "zero"


def test_a_failed_read_is_none_and_never_zero() -> None:
    counters = feed(domain(), [5.0, None, 6.0])
    assert [(s.counter_j, s.flag) for s in counters] == [
        (0.0, None), (None, "read-failed"), (1.0, None),
    ]  # fmt: skip
    gauges = feed(domain(kind="gauge", max_power_w=100.0), [5.0, None, -3.0, 1e6, float("nan")])
    assert [(s.power_w, s.flag) for s in gauges] == [
        (5.0, None), (None, "read-failed"), *[(None, "implausible")] * 3,
    ]  # fmt: skip


def test_all_that_a_reading_says_is_carried_through() -> None:
    reading = Reading(
        domain="d",
        t_ns=1,
        counter_j=5.0,
        power_w=20.0,
        power_average_w=19.0,
        power_limit_w=400.0,
        throttle=("sw-power-cap", "hw-thermal"),
        clock_error_ns=3,
    )
    sample = Unwrapper(domain()).take(reading, stalled=False)
    assert (sample.power_average_w, sample.power_limit_w) == (19.0, 400.0)
    assert (sample.throttle, sample.clock_error_ns) == ("sw-power-cap,hw-thermal", 3)


flags = st.sampled_from([None] * 12 + ["read-failed", "reset", "sampler-stalled", "wrap"])


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 200), st.sampled_from([0, 0, 0, 1, 5]), flags), max_size=80),
    st.sampled_from(["counter", "gauge"]),
)
def test_the_curve_of_what_is_kept_is_the_curve_of_everything(
    looks: list[tuple[int, int, str | None]], kind: str
) -> None:
    """Each look: milliseconds since the last, joules since the last, flag."""
    which = domain(kind=kind)
    keeper = ChangePoints(which)
    everything: list[PowerSample] = []
    kept: list[PowerSample] = []
    t_ms, joules = 0, 0.0
    for k, (step_ms, rise, flag) in enumerate([*looks, (1, 0, None)]):
        t_ms += step_ms
        value = None if flag == "read-failed" else (joules := joules + rise)
        counter, power = (value, None) if kind == "counter" else (None, value)
        everything.append(PowerSample(t_ms * 1_000_000, "d", counter, power, flag=flag))
        kept += keeper.take(everything[-1], edge=k == len(looks))
    assert [s.t_ns for s in kept] == sorted(s.t_ns for s in kept)
    assert len(kept) + keeper.dropped == len(everything)
    a, b = curve_of(everything, which), curve_of(kept, which)
    if a is None or b is None:
        assert a is b
        return
    # Knots within a plateau at the end may differ; what the curves say at any moment may not.
    assert (a.t_ns[0], a.t_ns[-1]) == (b.t_ns[0], b.t_ns[-1])
    moments = np.union1d(a.t_ns, b.t_ns)
    assert np.allclose(energy_at(a, moments), energy_at(b, moments), rtol=0, atol=1e-9)
    middles = (moments[1:] + moments[:-1]) // 2
    trust = [c.trusted[np.searchsorted(c.t_ns, middles, side="right") - 1] for c in (a, b)]
    assert np.array_equal(trust[0], trust[1])
