"""The line from sensors to a meter: holds the truth as often as it says; refuses too little."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.errors import PerwattError
from perwatt.sensors.calibrate import Fit, Stretch, fit, predict

LOADS = (0.0, 0.25, 0.5, 1.0)


def stretches(
    a_w: float, b: float, noise_w: float, rng: np.random.Generator, rounds: int = 4
) -> list[Stretch]:
    found = []
    for _ in range(rounds):
        for load in LOADS:
            x = 3.0 + 60.0 * load
            seconds = float(rng.uniform(5, 12))
            y = a_w + b * x + float(rng.normal(0, noise_w)) * math.sqrt(8 / seconds)
            found.append(
                Stretch(load=load, kind="integer", seconds=seconds, sensors_w=x, meter_w=y)
            )
    return found


def test_95_percent_intervals_hold_the_truth_95_times_in_100() -> None:
    rng = np.random.default_rng(5)
    hits = np.zeros(3)
    runs = 1500
    for _ in range(runs):
        found = fit(stretches(41.0, 1.3, 2.0, rng))
        new_w = 41.0 + 1.3 * 40.0 + float(rng.normal(0, 2.0))
        _, low, high = predict(found, 40.0)
        hits += (
            found.a_low_w <= 41.0 <= found.a_high_w,
            found.b_low <= 1.3 <= found.b_high,
            low <= new_w <= high,
        )
    assert all(0.93 <= share <= 0.97 for share in hits / runs), hits / runs


@settings(max_examples=50)
@given(st.floats(0, 500), st.floats(0.2, 5), st.floats(0.01, 30))
def test_a_line_is_found_exactly(a_w: float, b: float, scale: float) -> None:
    exact = [
        Stretch(load=x, kind="", seconds=1 + x, sensors_w=x * scale, meter_w=a_w + b * x * scale)
        for x in (*LOADS, *LOADS)
    ]
    found = fit(exact)
    assert found.b == pytest.approx(b, rel=1e-6, abs=1e-9)
    assert found.a_w == pytest.approx(a_w, rel=1e-6, abs=1e-6)
    value, low, high = predict(found, 0.3 * scale)
    assert low <= value <= high
    assert value == pytest.approx(a_w + b * 0.3 * scale, rel=1e-6)


def test_long_stretches_weigh_more() -> None:
    base = [Stretch(load=x, kind="", seconds=10, sensors_w=100 * x, meter_w=100 * x) for x in LOADS]

    def with_odd_one(seconds: float) -> Fit:
        odd = Stretch(load=1.0, kind="", seconds=seconds, sensors_w=100.0, meter_w=140.0)
        return fit([*base, odd])

    assert 1.0 < with_odd_one(1).b < with_odd_one(30).b


def test_it_widens_beyond_what_was_seen_and_with_the_meters_own_gain() -> None:
    rng = np.random.default_rng(1)
    data = stretches(20.0, 1.2, 1.0, rng)
    plain, rough = fit(data), fit(data, gain=(0.95, 1.05))

    def width(found: Fit, x: float) -> float:
        _, low, high = predict(found, x)
        return high - low

    assert width(plain, 300.0) > 1.5 * width(plain, 30.0)
    assert width(rough, 60.0) > width(plain, 60.0)


def at(load: float, x: float, y: float) -> Stretch:
    return Stretch(load=load, kind="", seconds=8, sensors_w=x, meter_w=y)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], r"there are 0 at 0 \(none\)"),
        ([at(load, 50 * load, 50 * load) for load in (0, 1, 0, 1, 0, 1)], r"6 at 2 \(0%, 100%\)"),
        ([at(load, 50 * load, 50 * load) for load in LOADS], "needs 5 stretches at 4"),
        ([at(load, 7.0, 50 + load) for load in LOADS * 2], "read 7 W at every load"),
        ([at(load, 50 * load, 80.0 - load) for load in LOADS * 2], "does not follow the sensors"),
        ([at(load, 50 * load, math.nan) for load in LOADS * 2], "meter of stretch 1 is nan"),
        ([at(load, -5 * load, 3.0) for load in LOADS * 2], "sensors of stretch 2 is -1.25"),
    ],
)
def test_too_little_is_refused_and_named(data: list[Stretch], sentence: str) -> None:
    with pytest.raises(PerwattError, match=sentence) as caught:
        fit(data)
    assert caught.value.mend


def test_a_meter_on_another_host_is_refused() -> None:
    rng = np.random.default_rng(3)
    data = [at(load, 60 * load, 80.0 + float(rng.normal(0, 5))) for load in LOADS * 4]
    with pytest.raises(PerwattError, match="does not follow") as caught:
        fit(data)
    assert "feeds this host alone" in str(caught.value.mend)
