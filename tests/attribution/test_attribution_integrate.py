"""From samples to curves: what is trusted, what is interpolated, and how curves add."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perwatt.attribution.idle import idle_power
from perwatt.attribution.integrate import (
    Curve,
    curve_of,
    energy_at,
    energy_between,
    join_curves,
    sum_curves,
    total_curve,
)
from perwatt.core.records import Domain, PowerSample

S = 1_000_000_000
COUNTER = Domain(name="d", kind="counter", boundary="package", source="t", grade="B", device="test")
GAUGE = Domain(name="d", kind="gauge", boundary="package", source="t", grade="C", device="test")


def counted(*rows: tuple[float, float | None, str | None]) -> list[PowerSample]:
    return [PowerSample(round(t * S), "d", c, None, flag=f) for t, c, f in rows]


def gauged(*rows: tuple[float, float | None, str | None]) -> list[PowerSample]:
    return [PowerSample(round(t * S), "d", None, p, flag=f) for t, p, f in rows]


def curve(t_s: list[float], joules: list[float]) -> Curve:
    trusted = np.ones(len(t_s) - 1, dtype=np.bool_)
    return Curve((np.array(t_s) * S).astype(np.int64), np.array(joules), trusted)


def test_a_counter_is_read_linearly_between_samples() -> None:
    seen = curve_of(counted((1, 5, None), (2, 15, None), (3, 45, None)), COUNTER)
    assert seen is not None
    assert energy_between(seen, round(1.5 * S), round(2.5 * S)) == pytest.approx(5 + 15)
    assert energy_between(seen, 0, 2 * S) is None


def test_a_gauge_is_integrated_by_trapezoids() -> None:
    seen = curve_of(gauged((0, 10, None), (1, 30, None), (3, 30, None)), GAUGE)
    assert seen is not None
    assert energy_between(seen, 0, 3 * S) == pytest.approx(20 + 60)


def test_other_domains_are_left_alone_and_one_sample_is_no_curve() -> None:
    samples = [*counted((0, 0, None)), PowerSample(S, "other", 5.0, None)]
    assert curve_of(samples, COUNTER) is None


def test_a_counter_spans_failed_reads_and_glitches() -> None:
    rows = counted((0, 0, None), (1, None, "read-failed"), (2, None, "implausible"), (3, 30, None))
    seen = curve_of(rows, COUNTER)
    assert seen is not None
    assert seen.trusted.tolist() == [True]
    assert energy_between(seen, 0, 3 * S) == 30


def test_a_counter_does_not_span_a_reset() -> None:
    rows = counted((0, 0, None), (1, 10, None), (2, 10, "reset"), (3, 20, None))
    seen = curve_of(rows, COUNTER)
    assert seen is not None
    assert seen.trusted.tolist() == [True, False, True]


def test_a_gauge_spans_nothing() -> None:
    rows = gauged((0, 10, None), (1, None, "read-failed"), (2, 10, None), (3, 10, None))
    seen = curve_of(rows, GAUGE)
    assert seen is not None
    assert seen.trusted.tolist() == [False, True]
    late = curve_of(gauged((0, 10, None), (5, 10, "sampler-stalled"), (6, 10, None)), GAUGE)
    assert late is not None
    assert late.trusted.tolist() == [False, True]


def test_a_counter_slower_than_its_sampling_is_read_between_its_ticks() -> None:
    rows = [(k * 0.02, float(k // 5 * 10), None) for k in range(26)]  # 10 J each 100 ms: 100 W
    seen = curve_of(counted(*rows), COUNTER)
    assert seen is not None
    assert energy_between(seen, round(0.13 * S), round(0.27 * S)) == pytest.approx(14)


def test_a_counter_that_rests_is_idle_until_just_before_it_moves() -> None:
    rows = [(0.0, 0.0, None), *((k * 0.1, 5.0, None) for k in range(1, 21)), (2.1, 15.0, None)]
    seen = curve_of(counted(*rows), COUNTER)
    assert seen is not None
    assert energy_between(seen, round(0.1 * S), 2 * S) == 0
    assert energy_between(seen, 2 * S, round(2.1 * S)) == pytest.approx(10)


@given(st.lists(st.tuples(st.integers(1, 10**9), st.floats(0, 100)), min_size=1, max_size=30))
def test_a_curve_keeps_the_total(steps: list[tuple[int, float]]) -> None:
    t, joules = 0, 0.0
    samples = [PowerSample(0, "d", 0.0, None)]
    for dt, dj in steps:
        t, joules = t + dt, joules + dj
        samples.append(PowerSample(t, "d", joules, None))
    seen = curve_of(samples, COUNTER)
    assert seen is not None
    assert (np.diff(seen.t_ns) > 0).all()
    assert energy_between(seen, 0, t) == pytest.approx(joules)


def test_curves_add_on_the_time_they_share() -> None:
    total = sum_curves([curve([0, 1, 2], [0, 10, 20]), curve([0.5, 2.5], [100, 110])])
    assert total is not None
    assert total.t_ns.tolist() == [S // 2, S, 2 * S]
    assert energy_between(total, S, 2 * S) == pytest.approx(10 + 5)
    assert sum_curves([]) is None
    assert sum_curves([curve([0, 1], [0, 1]), curve([2, 3], [0, 1])]) is None


def test_a_sum_trusts_only_what_every_part_trusts() -> None:
    doubtful = curve([0, 1, 2], [0, 1, 2])._replace(trusted=np.array([True, False]))
    total = sum_curves([curve([0, 0.5, 2], [0, 1, 2]), doubtful])
    assert total is not None
    assert total.trusted.tolist() == [True, True, False]


def test_sessions_join_with_nothing_known_between_them() -> None:
    both = join_curves([curve([10, 11], [0, 7]), curve([0, 1], [0, 5])])
    assert both is not None
    assert both.trusted.tolist() == [True, False, True]
    assert both.energy_j.tolist() == [0, 5, 5, 12]
    assert join_curves([]) is None
    with pytest.raises(ValueError, match="overlap"):
        join_curves([curve([0, 2], [0, 1]), curve([1, 3], [0, 1])])


def test_a_session_that_misses_a_domain_is_unknown_not_smaller() -> None:
    other = Domain(
        name="e", kind="counter", boundary="package", source="t", grade="B", device="test"
    )

    def session(at: int, names: str) -> list[PowerSample]:
        return [PowerSample((at + k) * S, n, 10.0 * k, None) for n in names for k in range(3)]

    total = total_curve([session(0, "de"), session(10, "d"), session(20, "de")], [COUNTER, other])
    assert total is not None
    assert total.t_ns.tolist() == [0, S, 2 * S, 20 * S, 21 * S, 22 * S]
    assert energy_between(total, 0, 2 * S) == pytest.approx(40)
    assert total.trusted.tolist() == [True, True, False, True, True]
    assert total_curve([session(10, "d")], [COUNTER, other]) is None


def test_interpolation_is_exact_to_the_nanosecond_on_a_long_uptime() -> None:
    year_ns = 10 * 365 * 24 * 3600 * S
    seen = Curve(np.array([year_ns, year_ns + 10]), np.array([0.0, 10.0]), np.array([True]))
    assert energy_at(seen, np.array([year_ns + 3]))[0] == 3.0


def test_idle_power_is_that_of_whole_ticks_inside_the_phases() -> None:
    seen = curve([-1, 0, 1, 2, 3, 4, 5, 6], [-9, 0, 10, 22, 30, 130, 140, 141])
    idle = idle_power(seen, [(0, round(3.5 * S)), (4 * S, 5 * S)])
    assert idle is not None
    assert [idle.power_w, idle.ticks] == pytest.approx([10, 4])
    assert idle.sd_w == pytest.approx(np.std([10, 12, 8, 10], ddof=1))
    assert idle.age_s(8 * S) == 3.0


def test_the_curves_own_first_and_last_tick_are_not_whole() -> None:
    seen = curve([0, 1, 2, 3], [0, 99, 109, 109])
    idle = idle_power(seen, [(0, 3 * S)])
    assert idle is not None
    assert [idle.power_w, idle.ticks] == [10, 1]
    assert idle.error_w is None  # one tick says nothing of its scatter


def test_no_idle_phase_means_no_baseline() -> None:
    seen = curve([0, 1, 2], [0, 10, 20])
    assert idle_power(seen, []) is None
    assert idle_power(seen, [(S // 10, S // 2)]) is None
    assert idle_power(seen._replace(trusted=np.array([False, False])), [(0, 2 * S)]) is None
