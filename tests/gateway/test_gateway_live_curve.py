from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.records import Domain, PowerSample
from perwatt.gateway.live_curve import LiveCurve

MS = 1_000_000


def domain(name: str, kind: str = "counter") -> Domain:
    return Domain(
        name=name,
        kind="counter" if kind == "counter" else "gauge",
        boundary="package",
        source="rapl",
        grade="B",
        device="d",
    )


def test_looks_at_a_slow_counter_that_say_nothing_new_make_no_tick() -> None:
    curve = LiveCurve([domain("a")])
    values = [0.0, 0.0, 0.0, 3.0, 3.0, 5.0]
    samples = [PowerSample(n * MS, "a", v, None) for n, v in enumerate(values)]
    ticks = curve.take(samples)
    assert [(t.start_ns, t.end_ns, t.energy_j) for t in ticks] == [
        (0, 3 * MS, 3.0),
        (3 * MS, 5 * MS, 2.0),
    ]


def test_a_gauge_is_integrated_and_a_gap_in_it_is_not_trusted() -> None:
    curve = LiveCurve([domain("g", "gauge")])
    first = curve.take([PowerSample(0, "g", None, 10.0), PowerSample(1000 * MS, "g", None, 20.0)])
    (tick,) = first
    assert (tick.energy_j, tick.trusted) == (15.0, True)
    failed = PowerSample(1500 * MS, "g", None, None, flag="read-failed")
    second = curve.take([failed, PowerSample(2000 * MS, "g", None, 20.0)])
    (tick,) = second
    assert (tick.energy_j, tick.trusted) == (20.0, False)


def test_a_reset_loses_its_tick() -> None:
    curve = LiveCurve([domain("a")])
    ticks = curve.take(
        [
            PowerSample(0, "a", 0.0, None),
            PowerSample(MS, "a", 1.0, None),
            PowerSample(2 * MS, "a", 1.0, None, flag="reset"),
            PowerSample(3 * MS, "a", 2.0, None),
        ]
    )
    assert [t.trusted for t in ticks] == [True, False, True]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1, 40), st.floats(0, 5)),
        min_size=2,
        max_size=40,
    ),
    st.integers(1, 7),
)
def test_any_batching_gives_the_same_joules_in_order(
    steps: list[tuple[str, int, float]], batch: int
) -> None:
    t_ns = dict.fromkeys("ab", 0)
    joules = dict.fromkeys("ab", 0.0)
    samples = []
    for name, gap, more in steps:
        t_ns[name] += gap * MS
        joules[name] += more
        samples.append(PowerSample(t_ns[name], name, joules[name], None))
    samples.sort(key=lambda s: s.t_ns)
    domains = [domain("a"), domain("b")]
    whole = LiveCurve(domains).take(samples)
    parts, curve = [], LiveCurve(domains)
    for n in range(0, len(samples), batch):
        parts += curve.take(samples[n : n + batch])
    assert sum(t.energy_j for t in parts) == pytest.approx(sum(t.energy_j for t in whole))
    for before, after in pairwise(parts):
        assert before.end_ns == after.start_ns
    if whole:
        assert (parts[0].start_ns, parts[-1].end_ns) == (whole[0].start_ns, whole[-1].end_ns)
        assert all(t.energy_j >= -1e-9 for t in parts)
