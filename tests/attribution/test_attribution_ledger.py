"""`attribute`: conservation at any concurrency, known answers, and an emulated device's truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from perwatt.attribution.asked import asked_of
from perwatt.attribution.check import TOLERANCE, residual
from perwatt.attribution.integrate import Curve, energy_between, join_curves
from perwatt.attribution.ledger import Attributed, attribute, combined_gain
from perwatt.attribution.share import by_kv, by_time, by_tokens
from perwatt.core.errors import PerwattError
from perwatt.core.protocols import Asked, Attribution, Evidence, Rule, Shares

S = 1_000_000_000
METHODS = (by_time, by_tokens, by_kv)


class Case(NamedTuple):
    curve: Curve
    windows: NDArray[np.int64]
    start: NDArray[np.int64]
    first: NDArray[np.int64]
    end: NDArray[np.int64]
    tokens: NDArray[np.float64]

    def run(self, method: Attribution, block: int = 65_536, idle: float | None = 3.0) -> Attributed:
        return attribute(
            self.curve,
            self.windows,
            asked_of(self.start, self.first, self.end, completion_tokens=self.tokens),
            method=method,
            idle_power_w=idle,
            gain=(0.8, 1.3),
            block=block,
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Small integers, so that marks fall on ticks, on each other and outside everything."""
    ticks = draw(st.lists(st.integers(1, 7), min_size=1, max_size=12))
    t = np.cumsum([draw(st.integers(0, 20)), *ticks]).astype(np.int64)
    steps = draw(st.lists(st.floats(0, 1e4), min_size=len(ticks), max_size=len(ticks)))
    base = draw(st.sampled_from([0.0, 1e3]))
    energy = base + np.concatenate(([0.0], np.cumsum(steps)))
    trusted = np.array(draw(st.lists(st.booleans(), min_size=len(ticks), max_size=len(ticks))))
    cuts = sorted(draw(st.lists(st.integers(0, 120), min_size=2, max_size=6, unique=True)))
    windows = np.array(list(zip(cuts[::2], cuts[1::2], strict=False)), dtype=np.int64)
    marks = draw(st.lists(st.lists(st.integers(0, 120), min_size=3, max_size=3), max_size=8))
    ordered = np.array([sorted(m) for m in marks], dtype=np.int64).reshape(-1, 3)
    tokens = np.array(
        draw(
            st.lists(
                st.sampled_from([0.0, 1.0, 50.0, float("nan")]),
                min_size=len(ordered),
                max_size=len(ordered),
            )
        )
    )
    start, first, end = ordered.T
    return Case(Curve(t, energy, trusted), windows.reshape(-1, 2), start, first, end, tokens)


@settings(max_examples=300, deadline=None)
@given(cases(), st.sampled_from(METHODS), st.integers(1, 9))
def test_every_joule_ends_in_exactly_one_place(case: Case, method: Attribution, block: int) -> None:
    out = case.run(method, block)
    assert abs(residual(out)) <= TOLERANCE
    assert min(out.requests_j, out.idle_j, out.unattributed_j) >= 0
    assert np.nansum(out.gross_j) == pytest.approx(out.requests_j)
    assert out.prefill_j + out.decode_j == pytest.approx(out.gross_j, nan_ok=True)
    known = out.energy_known
    assert (np.isfinite(out.gross_j) == known).all()
    assert (out.low_j[known] <= out.gross_j[known]).all()
    assert (out.gross_j[known] <= out.high_j[known]).all()
    # The device's joules, worked out another way.
    spans = [
        (max(a, int(case.curve.t_ns[0])), min(b, int(case.curve.t_ns[-1])))
        for a, b in case.windows.tolist()
    ]
    device = sum(energy_between(case.curve, a, b) or 0.0 for a, b in spans if b > a)
    assert out.device_j == pytest.approx(device, rel=1e-9, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(cases(), st.sampled_from(METHODS), st.integers(1, 9))
def test_it_does_not_matter_where_blocks_are_cut(
    case: Case, method: Attribution, block: int
) -> None:
    whole, cut = case.run(method), case.run(method, block)
    assert cut.gross_j == pytest.approx(whole.gross_j, nan_ok=True)
    assert cut.high_j == pytest.approx(whole.high_j, nan_ok=True)
    assert (cut.energy_known == whole.energy_known).all()


@settings(max_examples=100, deadline=None)
@given(cases(), st.sampled_from(METHODS), st.randoms(use_true_random=False))
def test_the_order_of_requests_does_not_matter(
    case: Case, method: Attribution, rng: object
) -> None:
    order = np.arange(len(case.start))
    rng.shuffle(order)  # type: ignore[attr-defined]
    moved = case._replace(
        start=case.start[order],
        first=case.first[order],
        end=case.end[order],
        tokens=case.tokens[order],
    )
    a, b = case.run(method), moved.run(method)
    assert b.gross_j == pytest.approx(a.gross_j[order], nan_ok=True)
    assert b.net_j == pytest.approx(a.net_j[order], nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(cases(), st.integers(2, 5))
def test_requests_that_are_alike_get_alike(case: Case, n: int) -> None:
    if not len(case.start):
        return
    twins = case._replace(
        start=np.repeat(case.start[:1], n),
        first=np.repeat(case.first[:1], n),
        end=np.repeat(case.end[:1], n),
        tokens=np.full(n, 5.0),
    )
    one = twins._replace(
        start=twins.start[:1], first=twins.first[:1], end=twins.end[:1], tokens=twins.tokens[:1]
    )
    for method in METHODS:
        alone = one.run(method).gross_j[0]
        assert twins.run(method).gross_j == pytest.approx(np.full(n, alone / n), nan_ok=True)


def flat(power_w: float = 100.0, seconds: int = 20, tick_ms: int = 50) -> Curve:
    t = np.arange(0, seconds * S + 1, tick_ms * 1_000_000, dtype=np.int64)
    joules = (power_w * t / 1e9).astype(np.float64)
    return Curve(t, joules, np.ones(len(t) - 1, dtype=np.bool_))


def test_a_request_alone_gets_all_and_the_rest_is_idle() -> None:
    out = attribute(flat(), [(0, 20 * S)], asked_of([3 * S], [4 * S], [8 * S]), idle_power_w=40.0)
    assert out.gross_j[0] == pytest.approx(500)
    assert [out.prefill_j[0], out.decode_j[0]] == pytest.approx([100, 400])
    assert out.net_j[0] == pytest.approx(500 - 5 * 40)
    assert out.power_mean_w[0] == pytest.approx(100)
    assert [out.idle_j, out.unattributed_j] == pytest.approx([1500, 0])
    # The watts do not step at its ends, so it does not matter where in their ticks those lie.
    assert out.high_j[0] == out.low_j[0] == out.gross_j[0]


def test_time_is_shared_equally_and_tokens_in_proportion() -> None:
    asked = asked_of([0, 0], [S, 5 * S], [10 * S, 10 * S], completion_tokens=[90.0, 10.0])
    equal = attribute(flat(), [(0, 10 * S)], asked)
    assert equal.gross_j.tolist() == [pytest.approx(500)] * 2
    assert equal.prefill_j.tolist() == [pytest.approx(50), pytest.approx(250)]
    tokens = attribute(flat(), [(0, 10 * S)], asked, method=by_tokens)
    # Second 0-1: both prefill, so equal. 1-5: only the first decodes. 5-10: 10 against 2 a second.
    assert tokens.gross_j[0] == pytest.approx(50 + 400 + 500 * 10 / 12)
    assert tokens.gross_j[1] == pytest.approx(50 + 0 + 500 * 2 / 12)
    assert residual(tokens) == pytest.approx(0, abs=TOLERANCE)


def test_unknown_tokens_are_shared_by_time() -> None:
    asked = asked_of([0, 0], [S, S], [10 * S, 10 * S], completion_tokens=[np.nan, 10.0])
    out = attribute(flat(), [(0, 10 * S)], asked, method=by_tokens)
    assert out.gross_j.tolist() == [pytest.approx(500)] * 2


def test_energy_between_windows_is_charged_to_no_one() -> None:
    windows = [(0, 2 * S), (10 * S, 12 * S)]
    out = attribute(flat(), windows, asked_of([0, 10 * S], [S, 11 * S], [2 * S, 12 * S]))
    assert out.gross_j.tolist() == [pytest.approx(200)] * 2
    assert [out.device_j, out.idle_j] == pytest.approx([400, 0])
    assert (out.window_s, out.covered_s) == (4.0, 4.0)


def test_what_is_not_sampled_is_unknown_never_zero() -> None:
    curve = flat(seconds=5)
    start, end = [S, 4 * S, 9 * S, 2 * S], [2 * S, 6 * S, 10 * S, 2 * S]
    out = attribute(curve, [(0, 20 * S)], asked_of(start, end, end), idle_power_w=1.0)
    assert out.energy_known.tolist() == [True, False, False, True]
    for column in (out.gross_j, out.net_j, out.low_j, out.high_j, out.prefill_j):
        assert np.isnan(column).tolist() == [False, True, True, False]
    assert out.unattributed_j == pytest.approx(100)  # the sampled second of the second request
    assert out.gross_j[3] == 0 and np.isnan(out.power_mean_w[3])  # no length, no joules, no watts
    assert (out.window_s, out.covered_s) == (20.0, 5.0)


def test_an_untrusted_tick_makes_its_requests_unknown() -> None:
    curve = flat()
    trusted = curve.trusted.copy()
    trusted[100] = False  # 5.00 to 5.05 s
    out = attribute(
        curve._replace(trusted=trusted),
        [(0, 10 * S)],
        asked_of([0, 6 * S], [S, 7 * S], [5_010_000_000, 8 * S]),
    )
    assert out.energy_known.tolist() == [False, True]
    assert out.requests_j == pytest.approx(200)
    assert out.unattributed_j == pytest.approx(501 + 4)
    assert abs(residual(out)) <= TOLERANCE


def test_no_baseline_means_no_net() -> None:
    out = attribute(flat(), [(0, S)], asked_of([0], [0], [S]))
    assert np.isnan(out.net_j).all()


def test_no_requests_at_all() -> None:
    out = attribute(flat(), [(0, 10 * S)], asked_of([], [], []))
    assert [out.requests_j, out.idle_j, len(out.gross_j)] == pytest.approx([0, 1000, 0])


def step(tick_ms: int = 100) -> Curve:
    """20 W, and 120 W from 5.03 to 9.03 s."""
    t = np.arange(0, 15 * S + 1, tick_ms * 1_000_000, dtype=np.int64)
    joules = 20.0 * t / 1e9 + 100.0 * np.clip(t / 1e9 - 5.03, 0, 4)
    return Curve(t, joules, np.ones(len(t) - 1, dtype=np.bool_))


def test_gain_ticks_clock_and_baseline_combine_in_quadrature() -> None:
    asked = asked_of([5_030_000_000], [6 * S], [9_030_000_000])
    out = attribute(
        step(),
        [(0, 15 * S)],
        asked,
        gain=(0.9, 1.2),
        clock_error_s=0.01,
        idle_power_w=20.0,
        idle_error_w=0.5,
    )
    gross, net = out.gross_j[0], out.net_j[0]
    assert gross == pytest.approx(480 - 2 * 100 * 0.03 * 0.07 / 0.1)  # what splitting evenly costs
    # Each end: 100 W across a tick of 0.1 s, split evenly; and a clock 10 ms off.
    tick, clock = 1.96 * 100 * 0.1 / np.sqrt(30), 100 * 0.01
    random = np.sqrt(2 * (tick**2 + clock**2))
    assert out.low_j[0] == pytest.approx(gross - np.hypot(0.1 * gross, random))
    assert out.high_j[0] == pytest.approx(gross + np.hypot(0.2 * gross, random))
    baseline = 1.96 * 0.5 * 4
    assert out.net_high_j[0] == pytest.approx(
        net + np.sqrt((0.2 * net) ** 2 + random**2 + baseline**2)
    )


def test_the_gain_of_a_sum_is_weighed_by_joules() -> None:
    seen = combined_gain([(300, (0.9, 1.1)), (100, (0.5, 2.0))])
    assert list(seen) == pytest.approx([0.8, 1.325])
    assert combined_gain([]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("windows", "start", "first", "end", "sentence"),
    [
        ([(0, S)], [5], [4], [9], "in order"),
        ([(0, 5), (4, 9)], [1], [1], [2], "overlap"),
        ([(9, 5)], [1], [1], [2], "end after they start"),
        ([(0, S)], [1, 2], [1], [2], "equally long"),
    ],
)
def test_marks_that_cannot_be_are_refused(
    windows: list[tuple[int, int]],
    start: list[int],
    first: list[int],
    end: list[int],
    sentence: str,
) -> None:
    with pytest.raises(ValueError, match=sentence):
        attribute(flat(), windows, asked_of(start, first, end))


def test_a_method_that_does_not_conserve_is_refused() -> None:
    def half(evidence: Evidence) -> Rule:
        rule = by_time(evidence)

        def share(edges_ns: NDArray[np.int64], asked: Asked) -> Shares:
            shares = rule.share(edges_ns, asked)
            return shares._replace(work=shares.work / 2)

        return rule._replace(share=share)

    with pytest.raises(PerwattError, match="do not sum to one"):
        attribute(flat(), [(0, S)], asked_of([0], [0], [S]), method=half)


@pytest.mark.parametrize("tick_ms", [1, 20, 100])
def test_against_an_emulated_device_alone_in_flight(tick_ms: int) -> None:
    """70 W idle, each request at its own power; a counter read at its ticks alone."""
    rng = np.random.default_rng(tick_ms)
    n = 200
    length = rng.integers(S, 8 * S, n)
    gap = rng.integers(0, S, n)
    end = np.cumsum(length + gap) + S
    start = end - length
    power = rng.uniform(150, 500, n)
    knots = np.sort(np.concatenate([[0], start, end, [end[-1] + S]]))
    watts = np.full(len(knots) - 1, 70.0)
    watts[np.searchsorted(knots, start, side="right") - 1] = power
    energy = np.concatenate(([0.0], np.cumsum(np.diff(knots) / 1e9 * watts)))
    t = np.arange(rng.integers(0, tick_ms * 1_000_000), knots[-1], tick_ms * 1_000_000)
    curve = Curve(t, np.interp(t, knots, energy), np.ones(len(t) - 1, dtype=np.bool_))
    out = attribute(curve, [(t[0], t[-1])], asked_of(start, start, end), idle_power_w=70.0)
    truth = power * length / 1e9
    assert out.energy_known.all()
    error = np.abs(out.gross_j - truth) / truth
    assert np.median(error) < 0.25 * tick_ms / 1e3  # about a quarter of a tick in requests of 4.5 s
    covered = ((out.low_j <= truth) & (truth <= out.high_j)).mean()
    assert covered >= 0.95
    assert np.median(np.abs(out.net_j - (truth - 70 * length / 1e9))) < 150 * tick_ms / 1e3


def test_a_sitting_that_was_killed_loses_no_request_to_another_sittings_lag() -> None:
    """Samples of the first end with its last request; those of the second go on for two seconds."""

    def read(start_s: int, end_s: int) -> Curve:
        t = np.arange(start_s * S, end_s * S + 1, S // 10)
        return Curve(t, 5.0 * (t - t[0]) / S, np.ones(len(t) - 1, dtype=np.bool_))

    def lagging(evidence: Evidence) -> Rule:
        return by_time(evidence)._replace(lag_ns=S // 4)

    curve = join_curves([read(0, 10), read(20, 32)])
    assert curve is not None
    marks = np.array([[2, 3, 10], [21, 22, 30]], dtype=np.int64) * S
    out = attribute(curve, [(2 * S, 10 * S), (21 * S, 30 * S)], asked_of(*marks.T), method=lagging)
    assert out.energy_known.all()
    assert out.gross_j == pytest.approx([40.0, 45.0])
    assert out.device_j == pytest.approx(85.0)
