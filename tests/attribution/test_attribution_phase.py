"""The phase-aware fit: known constants come back, truth is met, what cannot be told falls back."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulated.device import DEVICES, Device
from perwatt.attribution.asked import asked_of, prefill_begins
from perwatt.attribution.check import TOLERANCE, residual
from perwatt.attribution.fit import Fit
from perwatt.attribution.integrate import Curve, energy_between
from perwatt.attribution.ledger import Attributed, attribute
from perwatt.attribution.phase import by_phase, rule_of
from perwatt.attribution.work import work_of
from perwatt.core.protocols import Asked, Evidence, Rule

S = 1_000_000_000


def fixed(cost: list[float], idle_power_w: float = 0.0) -> Fit:
    zero = np.zeros((5, 5))
    return Fit(np.array(cost), zero, idle_power_w, 0.0, 0.0, 1.0, 0.0, 0.1, 100, ())


def given_prices(cost: list[float], asked: Asked, idle_power_w: float = 0.0) -> Any:
    """A method that charges known prices: what is fitted is another test's matter."""

    def method(_: Evidence) -> Rule:
        return rule_of(fixed(cost, idle_power_w), work_of(asked))._replace(grain_ns=0)

    return method


def flat(power_w: float, seconds: float) -> Curve:
    t = np.array([0, round(seconds * S)], dtype=np.int64)
    return Curve(t, np.array([0.0, power_w * seconds]), np.ones(1, dtype=np.bool_))


def test_the_worked_example_of_a_long_prompt_beside_a_long_answer() -> None:
    """0.02 J a prompt token, 0.15 J an output token: 4,000 in and 50 out against 50 in, 500 out.

    Output-token shares would give 14.9 J and 148.6 J.
    """
    asked = asked_of(
        [0, 0],
        [4 * S, S // 20],
        [5 * S, 5 * S],
        prompt_tokens=[4000, 50],
        completion_tokens=[51, 501],  # the first token comes with the prompt's end
    )
    out = attribute(
        flat((87.5 + 76) / 5, 5),
        [(0, 5 * S)],
        asked,
        method=given_prices([0.02, 0.15, 0, 0, 0], asked),
    )
    assert out.gross_j == pytest.approx([87.5, 76])
    assert out.prefill_j == pytest.approx([80, 1])
    assert out.decode_j == pytest.approx([7.5, 75])


def test_a_cached_prefix_is_free() -> None:
    asked = asked_of([0, 0], [S, S], [S, S], prompt_tokens=[1000, 1000], cached_tokens=[800, 0])
    out = attribute(flat(120, 1), [(0, S)], asked, method=given_prices([0.1, 0, 0, 0, 0], asked))
    assert out.gross_j == pytest.approx([20, 100])


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.integers(10, 2000), st.integers(2, 400)), min_size=1, max_size=5),
    st.floats(0, 0.1),
    st.floats(0.01, 1),
    st.floats(0, 100),
)
def test_a_cost_that_adds_up_is_split_as_shapley_would(
    requests: list[tuple[int, int]], a: float, b: float, floor_w: float
) -> None:
    """Brute force over all orders: a set costs its tokens, and the floor once unless it is empty.

    All are served throughout, so the floor is needed by each alone as by all.
    """
    r = len(requests)
    prompt, output = (np.array(column, dtype=np.float64) for column in zip(*requests, strict=True))
    own = a * prompt + b * (output - 1)
    shapley = np.zeros(r)
    orders = list(permutations(range(r)))
    for order in orders:
        for place, request in enumerate(order):
            shapley[request] += own[request] + (floor_w * 2 if place == 0 else 0.0)
    shapley /= len(orders)
    asked = asked_of([0] * r, [S] * r, [2 * S] * r, prompt_tokens=prompt, completion_tokens=output)
    out = attribute(
        flat(float(shapley.sum()) / 2, 2),
        [(0, 2 * S)],
        asked,
        method=given_prices([a, b, 0, 0, floor_w], asked),
    )
    assert out.gross_j == pytest.approx(shapley)


def test_a_fixed_cost_of_a_step_goes_equally_to_those_in_it() -> None:
    """Ten steps of two, then ten of the one that is left: 15 J and 5 J at 1 J a step."""
    asked = asked_of(
        [0, 0],
        [0, 0],
        [2 * S, S],
        prompt_tokens=[1, 1],
        completion_tokens=[21, 11],
    )
    out = attribute(flat(10, 2), [(0, 2 * S)], asked, method=given_prices([0, 0, 0, 1.0, 0], asked))
    assert out.gross_j == pytest.approx([15, 5])


def run(seen: Any, **options: Any) -> Attributed:
    return attribute(
        seen.curve,
        [seen.load.load_ns],
        seen.asked,
        method=by_phase,
        idle_power_w=seen.idle.power_w,
        idle_error_w=seen.idle.error_w,
        **options,
    )


@pytest.mark.parametrize("in_flight", [1, 8, 32])
@pytest.mark.parametrize("tick_s", [0.02, 0.1])
def test_net_joules_of_each_request_are_the_truth(
    measure: Any, in_flight: int, tick_s: float
) -> None:
    seen = measure(n=15 if in_flight == 1 else 80, in_flight=in_flight, tick_s=tick_s)
    out = run(seen)
    truth = seen.load.net_j
    error = np.abs(out.net_j - truth) / truth
    assert np.median(error) < 0.003
    assert np.quantile(error, 0.9) < 0.02
    for joules, part in (
        (out.prefill_net_j, seen.load.prefill_net_j),
        (out.decode_net_j, seen.load.decode_net_j),
    ):
        assert np.median(np.abs(joules - part) / part) < 0.05
    assert abs(residual(out)) <= TOLERANCE
    assert np.median(np.abs(out.gross_j - seen.load.gross_j) / seen.load.gross_j) < 0.005
    held = (out.net_low_j <= truth) & (truth <= out.net_high_j)
    assert held.mean() > 0.85


def test_the_prices_of_a_device_come_back(measure: Any) -> None:
    fit = run(measure(n=120, in_flight=16)).fit
    assert fit["prefill_j_per_token"] == pytest.approx(0.05, rel=0.02)
    assert fit["decode_j_per_token"] == pytest.approx(0.4, rel=0.02)
    assert fit["context_j_per_token"] == pytest.approx(0.0002, rel=0.05)
    assert fit["r2"] > 0.99


def test_an_active_floor_is_found_where_there_is_one(measure: Any) -> None:
    fit = run(measure(DEVICES["floor"], n=120, in_flight=16)).fit
    assert fit["busy_w"] + fit["step_j"] / 0.012 == pytest.approx(120 + 0.6 / 0.012, rel=0.05)


def test_a_lag_of_the_counter_is_found_and_undone(measure: Any) -> None:
    late, prompt = (run(measure(in_flight=4, lag_s=lag_s)) for lag_s in (0.15, 0.0))
    assert late.fit["lag_s"] - prompt.fit["lag_s"] == pytest.approx(0.15, abs=0.015)
    assert np.median(np.abs(late.net_j / prompt.net_j - 1)) < 0.005


def test_with_a_lag_the_parts_sum_to_what_was_read(measure: Any) -> None:
    """What the lag moves over the ends of the load is nobody's; the reading is not corrected."""
    late = measure(in_flight=4, lag_s=0.15)
    out = run(late)
    window = late.load.load_ns
    read = energy_between(late.curve, *window)
    assert out.device_j == pytest.approx(read, rel=1e-12)
    assert abs(residual(out)) <= TOLERANCE
    assert 0 < abs(out.unattributed_j) < 0.02 * out.device_j


def test_without_a_measured_idle_there_is_no_net_and_idle_is_fitted(measure: Any) -> None:
    seen = measure(in_flight=1, n=12)
    out = attribute(seen.curve, [seen.load.load_ns], seen.asked, method=by_phase)
    assert np.isnan(out.net_j).all()
    assert abs(residual(out)) <= TOLERANCE
    assert 0 <= out.fit["idle_w"] <= 100


@pytest.mark.parametrize(("n", "why"), [(1, "one request"), (2, "are needed")])
def test_too_little_to_fit_falls_back_to_time_and_says_so(n: int, why: str) -> None:
    asked = asked_of([0] * n, [S // 10] * n, [S // 2] * n)
    t = np.arange(0, S + 1, S // 20)
    curve = Curve(t, 100.0 * t / S, np.ones(len(t) - 1, dtype=np.bool_))
    out = attribute(curve, [(0, S)], asked, method=by_phase, idle_power_w=10.0)
    assert out.note is not None
    assert why in out.note
    assert out.gross_j == pytest.approx(50 / n)


def test_a_device_that_draws_only_idle_falls_back(measure: Any) -> None:
    nothing = Device(prefill_token_j=0.0, decode_token_j=0.0, context_token_j=0.0)
    out = run(measure(nothing, n=10, in_flight=2))
    assert out.note is not None
    assert np.abs(out.net_j).max() < 1.0


def test_a_device_that_works_on_between_requests_is_shared_by_time() -> None:
    """Its power does not follow the requests, so their tokens say nothing of what it draws."""
    start = np.arange(12) * S + S // 3
    asked = asked_of(
        start,
        start + S // 10,
        start + S // 2,
        prompt_tokens=np.arange(12) * 40.0 + 10,
        completion_tokens=np.full(12, 30.0),
    )
    t = np.arange(0, 13 * S, S // 50)
    rng = np.random.default_rng(0)
    watts = 85 + rng.normal(0, 1, len(t) - 1)
    curve = Curve(
        t,
        np.concatenate(([0.0], np.cumsum(watts / 50))),
        np.ones(len(t) - 1, dtype=np.bool_),
    )
    out = attribute(curve, [(t[0], t[-1])], asked, method=by_phase, idle_power_w=25.0)
    assert out.note == "Shared by equal time: the device's power does not follow its requests."
    assert np.allclose(out.power_mean_w, 85, rtol=0.02)


def test_unknown_token_counts_do_not_stop_it(measure: Any) -> None:
    seen = measure(in_flight=4)
    blind = seen.asked._replace(
        prompt_tokens=np.full(40, np.nan), completion_tokens=np.full(40, np.nan)
    )
    out = run(seen._replace(asked=blind))
    assert out.note is None
    assert abs(residual(out)) <= TOLERANCE
    assert np.median(np.abs(out.net_j / seen.load.net_j - 1)) < 0.1  # contexts are not known


def test_a_few_absurd_ticks_do_not_spoil_the_prices(measure: Any) -> None:
    seen = measure(n=80)
    joules = np.diff(seen.curve.energy_j)
    joules[len(joules) // 2 :: 997] += 500.0
    spoilt = seen.curve._replace(energy_j=np.concatenate(([0.0], np.cumsum(joules))))
    fit = run(seen._replace(curve=spoilt)).fit
    assert fit["prefill_j_per_token"] == pytest.approx(0.05, rel=0.1)
    assert fit["decode_j_per_token"] == pytest.approx(0.4, rel=0.1)


@pytest.mark.parametrize("block", [50, 1000])
def test_blocks_may_be_cut_anywhere(measure: Any, block: int) -> None:
    seen = measure(n=30)
    whole, cut = run(seen), run(seen, block=block)
    assert cut.gross_j == pytest.approx(whole.gross_j)
    assert cut.net_high_j == pytest.approx(whole.net_high_j)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_it_conserves_whatever_the_marks_ticks_and_gaps(data: st.DataObject) -> None:
    """Gaps, untrusted ticks, requests across windows, of no length, without chunks or tokens."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    ticks = data.draw(st.integers(25, 120))
    t = np.cumsum(np.concatenate(([0], rng.integers(S // 50, S // 4, ticks)))).astype(np.int64)
    joules = np.concatenate(([0.0], np.cumsum(rng.uniform(0, 20, ticks))))
    trusted = rng.random(ticks) > 0.1
    n = data.draw(st.integers(2, 12))
    marks = np.sort(rng.integers(-S, int(t[-1]) + S, (n, 3)), axis=1)
    marks[rng.random(n) < 0.2] = marks[0, 0]
    cuts = np.sort(rng.integers(0, int(t[-1]), 4))
    windows = [(int(cuts[0]), int(cuts[1])), (int(cuts[2]), int(cuts[3]))]
    tokens = rng.choice([np.nan, 0, 1, 50, 900], (2, n))
    asked = asked_of(*marks.T, prompt_tokens=tokens[0], completion_tokens=tokens[1])
    idle = data.draw(st.sampled_from([None, 5.0, 60.0]))
    curve = Curve(t, joules, trusted)
    out = attribute(curve, windows, asked, method=by_phase, idle_power_w=idle, idle_error_w=1.0)
    assert abs(residual(out)) <= TOLERANCE
    known = out.energy_known
    assert out.requests_j == pytest.approx(out.gross_j[known].sum())
    assert (out.low_j[known] <= out.gross_j[known]).all()
    assert (out.gross_j[known] <= out.high_j[known]).all()
    assert out.prefill_j + out.decode_j == pytest.approx(out.gross_j, nan_ok=True)
    if idle is not None:
        assert out.prefill_net_j + out.decode_net_j == pytest.approx(out.net_j, nan_ok=True)


def test_waiting_is_told_from_prefill() -> None:
    """1 ms a token; two that queue behind another, one that waits 30 ms for a step."""
    tokens = np.array([100.0, 200.0, 50.0, 400.0, 300.0, 80.0, 900.0])
    start = np.array([0, 1, 2, 5000, 6000, 7000, 8000]) * 1_000_000
    waited = np.array([30, 129, 328, 30, 30, 30, 30]) * 1_000_000
    first = start + waited + (tokens * 1_000_000).astype(np.int64)
    begun = prefill_begins(start, first, tokens)
    assert np.abs(begun - start - waited).max() <= 5_000_000
    alike = prefill_begins(start, first, np.full(7, 100.0))
    assert (alike == start).all()  # nothing tells waiting from work
