"""Machines: sizes, loads and standby worked out by hand, and the waterfall that adds them up."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from perwatt.core.errors import SpecError
from perwatt.routing.savings import Router, idealised, simulate
from perwatt.routing.savings_curve import BatchCurve, BatchPoint
from perwatt.routing.savings_mix import Mix
from perwatt.routing.savings_plant import (
    CloudPlant,
    LocalPlant,
    Plant,
    erlang_c,
    use_cloud,
    use_local,
)
from perwatt.routing.savings_waterfall import waterfall
from perwatt.routing.trace_demand import demand_of, level_demand, shaped_demand

ORACLE = idealised(1.0)
CURVE = BatchCurve(
    (
        BatchPoint(in_flight=1.0, energy_j=100.0, seconds=1.0),
        BatchPoint(in_flight=4.0, energy_j=50.0, seconds=2.0),
        BatchPoint(in_flight=16.0, energy_j=25.0, seconds=4.0),
    )
)
"""1, 2 and 4 queries a second: twice the load twice, half the joules twice."""


def mix(share: float = 0.75) -> Mix:
    return Mix.uniform(
        share,
        local={"energy_j": 5.0, "flop": 1.0},
        cloud={"energy_j": 25.0, "flop": 10.0},
        local_s=10.0,
        cloud_s=4.0,
    )


def test_between_points_a_curve_is_straight_on_logarithms() -> None:
    assert CURVE.energy_j(2.0) == pytest.approx(100 / np.sqrt(2))
    assert CURVE.in_flight_at(2.0) == pytest.approx(4.0)
    assert CURVE.in_flight_at(2 * np.sqrt(2)) == pytest.approx(8.0)


def test_beyond_its_points_a_curve_stands_still_and_says_so() -> None:
    assert CURVE.energy_j(64.0) == pytest.approx(25.0)
    assert CURVE.beyond(64.0)
    assert not CURVE.beyond(16.0)
    assert CURVE.in_flight_at(0.0) == 1.0
    assert CURVE.in_flight_at(9.0) == pytest.approx(16.0)


def test_more_in_flight_than_helps_only_waits() -> None:
    full = BatchCurve((*CURVE.points, BatchPoint(in_flight=32.0, energy_j=40.0, seconds=16.0)))
    assert full.in_flight_at(100.0) == pytest.approx(16.0)


@pytest.mark.parametrize(
    "points",
    [
        (),
        (BatchPoint(in_flight=1.0, energy_j=0.0, seconds=1.0),),
        (CURVE.points[1], CURVE.points[0]),
        (CURVE.points[0], CURVE.points[0]),
    ],
)
def test_impossible_curves_are_refused(points: tuple[BatchPoint, ...]) -> None:
    with pytest.raises(SpecError):
        BatchCurve(points)


def test_the_cloud_is_sized_by_its_peak() -> None:
    demand = shaped_demand(86_400.0 * 5, [1, 9], "two halves")
    plant = CloudPlant(curve=CURVE, measured_at=16.0, full_at=16.0, standby_w=10.0)
    use = use_cloud(plant, demand, np.array(demand.per_s))
    # 1 and 9 a second; a machine does 4 at its fullest, so there are 3, doing 1/3 and 3 each.
    assert use.machines == 3
    assert use.in_flight_peak == pytest.approx(4 * 4 ** np.log2(1.5))
    # At 1/3 a second each machine is alone with a query, and idle two thirds of half the day.
    assert use.standby_j == pytest.approx(10.0 * 3 * (2 / 3) * 43_200 / demand.queries)
    peak_j = 50.0 / 2 ** np.log2(1.5)
    assert use.scale == pytest.approx((1 * 100 + 9 * peak_j) / 10 / 25)
    assert not use.beyond


def test_a_given_number_of_machines_that_is_too_small_is_said() -> None:
    plant = CloudPlant(curve=CURVE, measured_at=16.0, full_at=16.0, machines=1)
    savings = simulate(mix(), ORACLE, Plant(cloud=plant), level_demand(86_400.0 * 40))
    assert savings.routed.machines == 1
    assert any("outside the measured batch curve" in note for note in savings.notes)


def test_a_cloud_that_is_asked_less_costs_more_a_query() -> None:
    """Four fifths of the queries leave; what stays on one machine keeps it less full."""
    plant = Plant(cloud=CloudPlant(curve=CURVE, measured_at=16.0, full_at=16.0))
    demand = level_demand(86_400.0 * 4)
    with_load = simulate(mix(0.75), ORACLE, plant, demand)
    # 4 a second fill one machine (25 J); the fourth that stays is alone on it (100 J).
    assert with_load.all_cloud.used["energy_j"] == pytest.approx(25.0)
    assert with_load.routed.used["energy_j"] == pytest.approx(0.75 * 5 + 0.25 * 100)
    assert with_load.saved("energy_j") == pytest.approx(1 - 28.75 / 25)
    assert with_load.saved("flop") == pytest.approx(0.675)


def test_local_devices_are_sized_and_wait() -> None:
    demand = level_demand(86_400.0)
    use = use_local(LocalPlant(standby_w=2.0, busiest=0.5), demand, np.full(24, 0.75), 10.0)
    assert use.devices == 15
    assert use.busy == pytest.approx(0.5)
    assert use.standby_j == pytest.approx(7.5 * 2.0)
    assert use.taken == 1.0


def test_what_local_devices_cannot_take_goes_to_the_cloud() -> None:
    plant = Plant(local=LocalPlant(devices=3))
    savings = simulate(mix(), ORACLE, plant, level_demand(86_400.0))
    # 7.5 devices would be busy and there are 3: 0.3 a second stay of 0.75.
    assert savings.routed.local_share == pytest.approx(0.3)
    assert savings.routed.cloud_share == pytest.approx(0.7)
    assert savings.routed.used["energy_j"] == pytest.approx(0.3 * 5 + 0.7 * 25)
    assert savings.routed.right == pytest.approx(1.0)
    assert savings.routed.local_wait_s is None


@pytest.mark.parametrize("p", [0.0, 1e-9])
def test_devices_that_are_sent_nothing_draw_their_standby(p: float) -> None:
    plant = Plant(local=LocalPlant(standby_w=2.0, devices=5))
    routed = simulate(mix(), idealised(p), plant, level_demand(86_400.0)).routed
    assert routed.devices == 5
    assert routed.standby_j == pytest.approx(10.0)  # 5 × 2 W, at one query a second
    assert routed.used["energy_j"] == pytest.approx(35.0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_where_one_place_answers_all_the_other_has_no_machines(share: float) -> None:
    plant = Plant(
        cloud=CloudPlant(curve=CURVE, measured_at=16.0, full_at=16.0, standby_w=9.0),
        local=LocalPlant(standby_w=2.0),
    )
    routed = simulate(mix(share), ORACLE, plant, shaped_demand(1e5, [0, 1, 0, 3], "gaps")).routed
    assert bool(routed.devices) == bool(share)
    assert bool(routed.machines) == (share == 0.0)
    assert routed.right == 1.0


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "given_", "sentence"),
    [
        (CloudPlant, {"full_at": 0.0}, "full_at is a number of requests above 0"),
        (CloudPlant, {"measured_at": NAN}, "measured_at is a number of requests above 0"),
        (CloudPlant, {"standby_w": -5.0}, "A cloud's standby_w is a number that is not negative"),
        (CloudPlant, {"machines": 0}, "A cloud's machines are 1 or more, got 0"),
        (LocalPlant, {"busiest": 0.0}, "busiest is a share above 0 and up to 1"),
        (LocalPlant, {"busiest": 1.5}, "busiest is a share above 0 and up to 1"),
        (LocalPlant, {"standby_w": INF}, "local plant's standby_w is a number"),
        (LocalPlant, {"devices": -1}, "local plant's devices are 0 or more, got -1"),
        (level_demand, {"queries": 5.0, "hours": 0.0}, "spread over some hours, not 0"),
        (level_demand, {"queries": NAN}, "needs bins of some length"),
        (demand_of, {"arrivals_s": [0.0, NAN], "source": "t"}, "an arrival that is no time"),
    ],
)
def test_impossible_plants_and_demands_are_refused(
    kind: type, given_: dict[str, object], sentence: str
) -> None:
    whole = {"curve": CURVE, "measured_at": 4.0, "full_at": 4.0} if kind is CloudPlant else {}
    with pytest.raises(SpecError, match=sentence):
        kind(**{**whole, **given_})


def test_a_trace_in_no_order_has_the_same_rates() -> None:
    assert demand_of([34.0, 10.0, 12.0, 11.0], "a", bin_s=12.0).per_s == pytest.approx(
        demand_of([10.0, 11.0, 12.0, 34.0], "b", bin_s=12.0).per_s
    )


def test_erlang_by_hand() -> None:
    assert erlang_c(1, 0.5) == pytest.approx(0.5)
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="steady"):
        erlang_c(2, 2.0)


def test_local_seconds_are_needed_to_count_devices() -> None:
    bare = Mix.uniform(0.5, local={}, cloud={})
    with pytest.raises(SpecError, match="seconds"):
        simulate(bare, ORACLE, Plant(local=LocalPlant()))


plants = st.builds(
    Plant,
    cloud=st.none()
    | st.builds(
        CloudPlant,
        curve=st.just(CURVE),
        measured_at=st.sampled_from([1.0, 4.0, 16.0]),
        full_at=st.sampled_from([1.0, 8.0, 16.0]),
        standby_w=st.sampled_from([0.0, 30.0]),
    ),
    local=st.none()
    | st.builds(LocalPlant, standby_w=st.floats(0, 10), devices=st.none() | st.integers(1, 9)),
)
routers = st.builds(
    Router,
    false_cloud=st.floats(0, 1),
    false_local=st.floats(0, 1),
    noticed=st.floats(0, 1),
    energy_j=st.sampled_from([0.0, 1.5]),
)


@given(st.floats(0, 1), routers, plants, st.floats(1e3, 1e6))
@settings(max_examples=80)
def test_the_waterfall_sums_to_the_whole(
    share: float, router: Router, plant: Plant, queries: float
) -> None:
    demand = shaped_demand(queries, [1, 3, 2], "three")
    steps = waterfall(mix(share), router, plant, demand)
    whole = simulate(mix(share), router, plant, demand)
    for resource in ("energy_j", "flop"):
        parts = sum(step.change[resource] for step in steps)
        assert parts == pytest.approx(whole.saved(resource), abs=1e-9)
    assert sum(step.right_lost for step in steps) == pytest.approx(whole.right_lost, abs=1e-9)


@given(st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=40)
def test_no_standby_and_no_errors_are_the_idealised_router(share: float, p: float) -> None:
    """A cloud whose joules do not depend on its load, and devices that draw nothing idle."""
    flat = BatchCurve((BatchPoint(in_flight=1.0, energy_j=25.0, seconds=4.0),))
    plant = Plant(
        cloud=CloudPlant(curve=flat, measured_at=1.0, full_at=1.0),
        local=LocalPlant(standby_w=0.0),
    )
    real = simulate(mix(share), Router(false_cloud=1 - p, false_local=0.0), plant)
    ideal = simulate(mix(share), idealised(p))
    assert real.saved("energy_j") == pytest.approx(ideal.saved("energy_j"), abs=1e-9)
    assert real.right_lost == pytest.approx(ideal.right_lost, abs=1e-9)


@given(st.floats(0, 50), st.floats(0, 50))
@settings(max_examples=30)
def test_standby_never_saves(one: float, other: float) -> None:
    def saved(watts: float) -> float:
        plant = Plant(local=LocalPlant(standby_w=watts))
        value = simulate(mix(), ORACLE, plant).saved("energy_j")
        assert value is not None
        return value

    assert saved(max(one, other)) <= saved(min(one, other)) + 1e-12


def test_a_trace_becomes_rates() -> None:
    demand = demand_of([10.0, 11.0, 12.0, 34.0], "four", bin_s=12.0)
    assert demand.per_s == pytest.approx((3 / 12, 1 / 12))
    assert demand.queries == pytest.approx(4.0)
    assert demand_of([5.0, 5.0], "at once").per_s == (2.0,)
    with pytest.raises(SpecError, match="no request"):
        demand_of([], "none")


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60).map(sorted))
@settings(max_examples=40)
@example([0.0, 2.2e-311])
def test_no_query_of_a_trace_is_lost(arrivals: list[float]) -> None:
    assert demand_of(arrivals, "any").queries == pytest.approx(len(arrivals))


def test_a_daily_shape_keeps_its_queries() -> None:
    demand = shaped_demand(80.2e6, [1, 2, 3, 2], "shape")
    assert demand.queries == pytest.approx(80.2e6)
    assert demand.peak_per_s == pytest.approx(3 / 8 * 80.2e6 / 21_600)
