"""Joules of one window: exact where they can be, and an interval that holds the truth elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.attribution.integrate import Curve
from perwatt.attribution.window import (
    Baseline,
    Window,
    mean_windows,
    sum_windows,
    window_energy,
)

S = 1_000_000_000
IDLE = Baseline(70.0, 0.0, 100.0)


def ticked(knots_s: list[float], watts: list[float], tick_s: float, phase_s: float) -> Curve:
    """A counter seen at its ticks alone, over power that is `watts` between `knots_s`."""
    energy = np.concatenate(([0.0], np.cumsum(np.diff(knots_s) * watts)))
    t = np.arange(phase_s, knots_s[-1], tick_s)
    return Curve(
        np.round(t * S).astype(np.int64),
        np.interp(t, knots_s, energy),
        np.ones(len(t) - 1, dtype=np.bool_),
    )


@settings(max_examples=100, deadline=None)
@given(
    start=st.floats(1.0, 2.0),
    length=st.floats(0.01, 3.0),
    split=st.floats(0.1, 0.9),
    power=st.tuples(st.floats(80, 700), st.floats(80, 700)),
    tick=st.sampled_from([0.001, 0.02, 0.1, 0.25]),
    phase=st.floats(0.0, 0.25),
)
def test_from_idle_to_idle_the_tick_does_not_matter(
    start: float,
    length: float,
    split: float,
    power: tuple[float, float],
    tick: float,
    phase: float,
) -> None:
    middle, end = start + length * split, start + length
    curve = ticked([0, start, middle, end, end + 1], [70, *power, 70], tick, phase)
    window = window_energy(
        curve, round(start * S), round(end * S), baseline=IDLE, padded=True, knot_error_s=0.0
    )
    assert window is not None and window.net_j is not None
    truth = power[0] * (middle - start) + power[1] * (end - middle)
    assert window.gross_j == pytest.approx(truth, rel=1e-6, abs=1e-6)
    assert window.net_j == pytest.approx(truth - 70 * length, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("tick", [0.02, 0.1])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_one_clean_step_at_the_mark_is_split_exactly(tick: float, place: float) -> None:
    """Where the straight line through the tick would err by up to a quarter of its step."""
    start, end = 10 * tick + place * tick, 40 * tick + place * tick
    curve = ticked([0, start, end, end + 10 * tick], [70, 400, 70], tick, 0.0)
    window = window_energy(curve, round(start * S), round(end * S))
    assert window is not None
    assert window.gross_j == pytest.approx(400 * (end - start), rel=1e-6)
    assert window.net_j is None


def test_what_cannot_be_told_within_a_tick_is_in_the_interval() -> None:
    """Power that steps elsewhere than at the marks."""
    curve = ticked([0, 1.03, 1.31, 3], [70, 600, 70], 0.1, 0.0)
    window = window_energy(curve, round(1.06 * S), round(1.27 * S))
    assert window is not None
    assert window.gross_low_j <= 600 * 0.21 <= window.gross_high_j
    assert window.gross_j != pytest.approx(600 * 0.21)


def test_the_gain_scales_and_combines_in_quadrature() -> None:
    curve = ticked([0, 10], [100], 0.1, 0.0)
    plain = window_energy(curve, 2 * S, 4 * S, gain=(0.9, 1.2))
    assert plain is not None
    assert (plain.gross_low_j, plain.gross_high_j) == pytest.approx((180.0, 240.0))
    idle = Baseline(70.0, 1.0, 2.0)
    net = window_energy(curve, 2 * S, 4 * S, baseline=idle, gain=(0.9, 1.2))
    assert net is not None and net.net_j is not None and net.net_high_j is not None
    # The idle watts of the window itself wander as much as those measured: √2 of their error; and
    # that error is known from few stretches: Student's t, 2.776 with four degrees of freedom.
    random = 2.776 * math.sqrt(2) * 2.0
    assert net.net_j == pytest.approx(60.0)
    assert net.net_high_j == pytest.approx(60.0 + math.hypot(random, 12.0), rel=1e-3)


def test_part_time_looks_widen_it() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(0, 10, 0.1)
    joules = np.concatenate(([0.0], np.cumsum(rng.normal(40, 4, len(t) - 1))))
    curve = Curve((t * S).astype(np.int64), joules, np.ones(len(t) - 1, dtype=np.bool_))
    always = window_energy(curve, 2 * S, 8 * S)
    quarter = window_energy(curve, 2 * S, 8 * S, duty=0.25)
    assert always is not None and quarter is not None
    assert quarter.gross_j == always.gross_j
    # 60 ticks with a scatter of 4 J each, of which three quarters went unseen.
    assert quarter.random_j == pytest.approx(4 * math.sqrt(60 * 0.75), rel=0.3)


def test_another_clock_widens_it_by_its_step() -> None:
    curve = ticked([0, 2, 5, 8], [70, 470, 70], 0.1, 0.0)
    near = window_energy(curve, 2 * S, 5 * S)
    far = window_energy(curve, 2 * S, 5 * S, clock_error_ns=S // 10)
    assert near is not None and far is not None
    assert far.random_j == pytest.approx(math.sqrt(2) * 400 * 0.1 / math.sqrt(3), rel=0.01)
    assert near.random_j < 1


def test_a_lagging_counter_is_read_later() -> None:
    curve = ticked([0, 2.2, 5.2, 8], [70, 470, 70], 0.1, 0.0)  # all of it 0.2 s late
    window = window_energy(curve, 2 * S, 5 * S, lag_ns=S // 5)
    padded = window_energy(curve, 2 * S, 5 * S, lag_ns=S // 5, baseline=IDLE, padded=True)
    assert window is not None and padded is not None
    assert window.gross_j == pytest.approx(1410.0) and padded.gross_j == pytest.approx(1410.0)


def test_outside_the_curve_nothing_is_known() -> None:
    curve = ticked([0, 3], [70], 0.1, 0.0)
    assert window_energy(curve, S, 4 * S) is None
    assert window_energy(curve, -S, S) is None


def test_untrusted_ticks_are_told() -> None:
    curve = ticked([0, 3], [70], 0.1, 0.0)
    curve.trusted[15] = False
    inside = window_energy(curve, S, 2 * S)
    before = window_energy(curve, S // 2, S)
    assert inside is not None and before is not None
    assert (inside.trusted, before.trusted) == (False, True)


@pytest.mark.parametrize(
    ("marks", "padded", "message"),
    [((2 * S, S), False, "before it starts"), ((S, 2 * S), True, "idle watts")],
)
def test_bad_windows_are_refused(marks: tuple[int, int], padded: bool, message: str) -> None:
    curve = ticked([0, 3], [70], 0.1, 0.0)
    with pytest.raises(ValueError, match=message):
        window_energy(curve, *marks, padded=padded)


def made(gross_j: float, random_j: float = 0.0, gain: tuple[float, float] = (1, 1)) -> Window:
    return Window(
        seconds=1.0,
        gross_j=gross_j,
        gross_low_j=gross_j,
        gross_high_j=gross_j,
        net_j=gross_j - 1,
        net_low_j=None,
        net_high_j=None,
        random_j=random_j,
        net_random_j=random_j,
        baseline_j=0.5,
        gain=gain,
        ticks=10,
        trusted=True,
        padded=True,
    )


def test_domains_add_their_gains_and_their_noise_in_quadrature() -> None:
    both = sum_windows([made(30.0, 3.0, (0.9, 1.1)), made(10.0, 4.0, (0.8, 1.2))])
    assert (both.gross_j, both.net_j, both.random_j) == (40.0, 38.0, 5.0)
    assert both.gain == pytest.approx((0.875, 1.125))
    assert both.gross_high_j == pytest.approx(40 + math.hypot(1.96 * 5, 5.0))


def test_repeats_average_their_noise_but_not_their_gain() -> None:
    # Two-sided 95% points of Student's t: 12.706 for one degree of freedom, 2.262 for nine.
    few = mean_windows([made(9.0), made(11.0)])
    assert few.gross_j == 10.0
    assert few.gross_high_j - 10 == pytest.approx(12.706 * math.sqrt(2) / math.sqrt(2), rel=1e-3)
    values = [9.0, 11.0] * 5
    many = mean_windows([made(v, gain=(0.95, 1.05)) for v in values])
    spread = 2.262 * np.std(values, ddof=1) / math.sqrt(10)
    assert many.gross_high_j - 10 == pytest.approx(math.hypot(spread, 0.5), rel=1e-3)
    assert many.ticks == 100


def test_repeats_that_agree_keep_the_error_of_their_edges() -> None:
    same = mean_windows([made(10.0, 2.0)] * 4)
    assert same.random_j == pytest.approx(1.0)
