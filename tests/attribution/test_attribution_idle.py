"""Baselines: which one net uses, how far they are apart, and how sure each is."""

from __future__ import annotations

import numpy as np
import pytest

from emulated.device import Device, counter, idle_knots
from perwatt.attribution.idle import Baselines, Idle, baselines, idle_power
from perwatt.attribution.integrate import Curve, counter_curve

S = 1_000_000_000


def idle(power_w: float, error_w: float | None = 0.3) -> Idle:
    return Idle(power_w, 1.0, 50, 5.0, 0, error_w)


def test_net_uses_the_loaded_idle_and_never_the_bare_one() -> None:
    three = Baselines(idle(60), idle(95), idle(98))
    assert three.used is three.loaded
    assert (three.context_w, three.drift_w) == (35, 3)
    assert Baselines(idle(60), None, idle(98)).used == idle(98)
    assert Baselines(idle(60), None, None).used is None


def test_the_error_of_a_baseline_holds_half_the_drift() -> None:
    assert Baselines(None, idle(95), idle(98)).error_w == pytest.approx(np.hypot(0.3, 3 / 3**0.5))
    assert Baselines(None, idle(95), None).error_w == pytest.approx(0.3)
    assert Baselines(None, idle(95, None), idle(98)).error_w is None
    assert Baselines(idle(60), None, None).drift_w is None


def test_each_kind_is_measured_in_its_own_phases() -> None:
    t = np.arange(0, 40 * S, S // 10)
    watts = np.select([t < 10 * S, t < 20 * S, t < 30 * S], [60.0, 95.0, 300.0], 98.0)[:-1]
    joules = np.concatenate(([0.0], np.cumsum(watts * 0.1)))
    curve = Curve(t, joules, np.ones(len(t) - 1, dtype=np.bool_))
    found = baselines(curve, [(0, 10 * S)], [(10 * S, 20 * S)], [(30 * S, 40 * S)])
    assert [b.power_w for b in found if b is not None] == pytest.approx([60, 95, 98])
    assert found.loaded is not None
    assert found.loaded.age_s(25 * S) == pytest.approx(5.0, abs=0.11)


@pytest.mark.parametrize("tick_s", [0.001, 0.02, 0.1])
@pytest.mark.parametrize("noise_w", [0.0, 3.0])
def test_the_standard_error_is_what_repeats_show(tick_s: float, noise_w: float) -> None:
    """Joules a late tick lacks are in the next one: independent errors would be far too wide."""
    off, error = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = idle_knots(Device(noise_w=noise_w), rng, 0.0, 6.0)
        reads = np.arange(0, 6 * S, 10_000_000) + rng.integers(0, 5_000_000, 600)
        shown = counter(truth, reads, tick_s=tick_s, phase_s=float(rng.uniform(0, tick_s)))
        curve = counter_curve(Curve(reads, shown, np.ones(len(reads) - 1, dtype=np.bool_)))
        found = idle_power(curve, [(0, 5 * S)])
        assert found is not None
        assert found.error_w is not None
        off.append(found.power_w - 70)
        error.append(found.error_w)
    said, true = (float(np.mean(np.square(x)) ** 0.5) for x in (error, off))
    assert 0.7 * true < said < 2 * true
