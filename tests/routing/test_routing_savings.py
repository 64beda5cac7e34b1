"""Savings worked out by hand, and what must hold of them whatever the queries."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from perwatt.core.errors import SpecError
from perwatt.routing.savings import Router, idealised, simulate
from perwatt.routing.savings_draw import drawn
from perwatt.routing.savings_interval import savings_intervals
from perwatt.routing.savings_mix import Mix, Queries

shares = st.floats(0.0, 1.0)
ORACLE = idealised(1.0)


def four() -> Queries:
    """Two that the local model answers, two that it does not."""
    return Queries(
        local_right=np.array([1.0, 1.0, 0.0, 0.0]),
        cloud_right=np.array([1.0, 1.0, 1.0, 0.0]),
        local={"energy_j": np.array([1.0, 3.0, 2.0, 2.0]), "flop": np.full(4, 1.0)},
        cloud={"energy_j": np.array([10.0, 20.0, 30.0, 40.0]), "cost_usd": np.full(4, 0.1)},
        local_s=np.array([4.0, 4.0, 8.0, 8.0]),
        cloud_s=np.full(4, 2.0),
    )


@st.composite
def queries(draw: st.DrawFn) -> Queries:
    n = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Queries(
        local_right=rng.random(n) if draw(st.booleans()) else rng.integers(0, 2, n).astype(float),
        cloud_right=rng.integers(0, 2, n).astype(float),
        local={"energy_j": rng.lognormal(0, 1, n), "cost_usd": np.zeros(n)},
        cloud={"energy_j": rng.lognormal(2, 1, n), "cost_usd": rng.lognormal(0, 1, n)},
    )


def test_the_oracle_by_hand() -> None:
    savings = simulate(four(), ORACLE)
    # All cloud: 100 J for four. Routed: 1 + 3 here, 30 + 40 there.
    assert savings.all_cloud.used["energy_j"] == pytest.approx(25.0)
    assert savings.routed.used["energy_j"] == pytest.approx(74 / 4)
    assert savings.saved("energy_j") == pytest.approx(0.26)
    assert savings.routed.right == pytest.approx(3 / 4)
    assert savings.right_lost == 0.0
    assert savings.routed.seconds == pytest.approx((4 + 4 + 2 + 2) / 4)


def test_a_real_router_by_hand() -> None:
    router = Router(
        false_cloud=0.5, false_local=0.5, noticed=0.5, energy_j=0.25, seconds=0.125, flop=7.0
    )
    savings = simulate(four(), router)
    # Half of each goes each way; a quarter of the hard ones is asked again.
    here = (1 + 3) / 2 + (2 + 2) / 2
    there = (10 + 20) / 2 + (30 + 40) / 2 + (30 + 40) / 4
    assert savings.routed.used["energy_j"] == pytest.approx((here + there) / 4 + 0.25)
    # The easy ones are right either way; of the third, asked of the cloud half and a quarter.
    assert savings.routed.right == pytest.approx((2 + 0.75) / 4)
    assert savings.right_lost == pytest.approx(0.25 / 4)
    assert savings.routed.local_share == pytest.approx(0.5)
    assert savings.routed.cloud_share == pytest.approx(0.5 + 0.125)
    seconds = (4 + 4 + 8 + 8) / 2 + 2 * (2 + 0.5)
    assert savings.routed.seconds == pytest.approx(seconds / 4 + 0.125)


def test_what_only_one_place_knows_is_not_given() -> None:
    savings = simulate(four(), ORACLE)
    assert savings.saved("flop") is None
    assert savings.saved("cost_usd") is None
    assert savings.total("flop") is None


def test_totals_are_of_the_whole_demand() -> None:
    savings = simulate(four(), ORACLE)
    assert savings.total("energy_j") == pytest.approx((25.0 * 86_400, 18.5 * 86_400))


@given(queries(), shares)
@settings(max_examples=50)
def test_an_idealised_router_saves_p_times_the_oracle(some: Queries, p: float) -> None:
    oracle = simulate(some, ORACLE)
    savings = simulate(some, idealised(p))
    for resource in ("energy_j", "cost_usd"):
        whole = oracle.saved(resource)
        assert whole is not None
        assert savings.saved(resource) == pytest.approx(p * whole, abs=1e-9)


@given(queries(), shares, shares)
@settings(max_examples=50)
def test_a_better_router_saves_no_less(some: Queries, one: float, other: float) -> None:
    cheaper = Queries(
        local_right=some.local_right,
        cloud_right=some.cloud_right,
        local={"energy_j": np.minimum(some.local["energy_j"], some.cloud["energy_j"])},
        cloud={"energy_j": some.cloud["energy_j"]},
    )
    low, high = (simulate(cheaper, idealised(p)).saved("energy_j") for p in sorted((one, other)))
    assert low is not None
    assert high is not None
    assert low <= high + 1e-12


@given(queries(), shares, shares, shares)
@settings(max_examples=50)
def test_unnoticed_answers_save_joules_and_lose_answers(
    some: Queries, false_cloud: float, false_local: float, noticed: float
) -> None:
    every = simulate(some, Router(false_cloud=false_cloud, false_local=false_local))
    less = simulate(some, Router(false_cloud=false_cloud, false_local=false_local, noticed=noticed))
    assert less.routed.used["energy_j"] <= every.routed.used["energy_j"] + 1e-9
    assert less.routed.right <= every.routed.right + 1e-9


def test_asking_all_again_never_loses_an_answer() -> None:
    savings = simulate(four(), Router(false_cloud=0.3, false_local=1.0, noticed=1.0))
    assert savings.right_lost == pytest.approx(0.0)
    assert savings.saved_per_right("energy_j") == pytest.approx(savings.saved("energy_j"))


def test_uniform_queries_are_their_mean() -> None:
    mix = Mix.uniform(0.807, local={"energy_j": 0.0}, cloud={"energy_j": 1.0})
    assert simulate(mix, idealised(0.5)).saved("energy_j") == pytest.approx(0.4035)


def test_tosses_agree_with_the_expectation() -> None:
    router = Router(false_cloud=0.3, false_local=0.4, noticed=0.6, energy_j=0.5)
    expected = simulate(four(), router)
    tossed = drawn(four(), router, np.random.default_rng(1), 200_000)
    assert tossed.saved("energy_j") == pytest.approx(expected.saved("energy_j"), abs=0.01)
    assert tossed.right_lost == pytest.approx(expected.right_lost, abs=0.01)
    assert tossed.routed.cloud_share == pytest.approx(expected.routed.cloud_share, abs=0.01)


def many(n: int, rng: np.random.Generator) -> Queries:
    return Queries(
        local_right=(rng.random(n) < 0.8).astype(float),
        cloud_right=np.ones(n),
        local={"energy_j": rng.lognormal(0, 0.5, n)},
        cloud={"energy_j": rng.lognormal(2, 0.5, n)},
    )


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    truth = simulate(many(400_000, rng), ORACLE).saved("energy_j")
    assert truth is not None
    models = {"oracle": lambda mix: simulate(mix, ORACLE)}
    held = 0
    for _ in range(60):
        found = savings_intervals(many(150, rng), models, rng=rng, draws=150)
        interval = found["oracle"]["energy_j"]
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= truth <= interval.high
    assert 50 <= held <= 60


def test_blocks_of_many_queries_give_the_same_interval() -> None:
    rng = np.random.default_rng(11)
    some = many(8_000, rng)
    models = {"oracle": lambda mix: simulate(mix, ORACLE)}
    blocks = savings_intervals(some, models, rng=rng)["oracle"]["energy_j"]
    assert blocks.n == 8_000
    assert blocks.low is not None
    assert blocks.high is not None
    a = some.local_right
    # Delta method for 1 − Σ routed / Σ cloud, worked out here.
    cloud = some.cloud["energy_j"]
    routed = np.where(a > 0.5, some.local["energy_j"], cloud)
    ratio = routed.mean() / cloud.mean()
    error = np.std(routed - ratio * cloud) / cloud.mean() / np.sqrt(len(a))
    assert (blocks.high - blocks.low) / (2 * 1.96 * error) == pytest.approx(1.0, abs=0.15)


def test_a_gain_of_one_sensor_cancels_and_of_two_does_not() -> None:
    rng = np.random.default_rng(3)
    some, models = many(500, rng), {"oracle": lambda mix: simulate(mix, ORACLE)}

    def width(same_sensor: bool) -> float:
        found = savings_intervals(
            some,
            models,
            rng=np.random.default_rng(5),
            gain_local=(0.5, 2.0),
            gain_cloud=(0.5, 2.0),
            same_sensor=same_sensor,
        )["oracle"]["energy_j"]
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert width(same_sensor=False) > 1.5 * width(same_sensor=True)


def test_a_group_of_queries_is_one_cluster() -> None:
    some = many(100, np.random.default_rng(2))
    grouped = Queries(
        local_right=some.local_right,
        cloud_right=some.cloud_right,
        local=some.local,
        cloud=some.cloud,
        clusters=np.repeat(np.arange(10), 10),
    )
    models = {"oracle": lambda mix: simulate(mix, ORACLE)}
    found = savings_intervals(grouped, models, rng=np.random.default_rng(2), draws=50)
    assert found["oracle"]["energy_j"].n == 10


@pytest.mark.parametrize(
    "given_",
    [
        {"false_cloud": 1.1},
        {"noticed": -0.1},
        {"energy_j": -1.0},
        {"false_local": 2.0},
        {"flop": float("nan")},
        {"cost_usd": float("inf")},
    ],
)
def test_impossible_routers_are_refused(given_: dict[str, float]) -> None:
    with pytest.raises(SpecError):
        Router(**{"false_cloud": 0.0, "false_local": 0.0, **given_})


@pytest.mark.parametrize("p", [-0.1, 1.2, float("nan")])
def test_an_accuracy_that_is_no_share_is_named_as_such(p: float) -> None:
    with pytest.raises(SpecError, match="A router's accuracy is a share between 0 and 1"):
        idealised(p)
    with pytest.raises(SpecError, match="local_share is a share between 0 and 1"):
        Mix.uniform(p, local={}, cloud={})


def test_a_cloud_cheaper_than_local_is_a_loss_and_a_free_one_unknown() -> None:
    dear = Mix.uniform(0.5, local={"energy_j": 30.0}, cloud={"energy_j": 10.0})
    assert simulate(dear, ORACLE).saved("energy_j") == pytest.approx(-1.0)
    assert simulate(dear, idealised(0.0)).saved("energy_j") == 0.0
    free = Mix.uniform(0.5, local={"energy_j": 30.0}, cloud={"energy_j": 0.0})
    assert simulate(free, ORACLE).saved("energy_j") is None
