"""Paired comparison: more certain than two separate intervals, and silent on identical pairs."""

from __future__ import annotations

import numpy as np
import pytest

from perwatt.stats.compare import mcnemar_exact, paired_bootstrap
from perwatt.stats.sample import Column, Floats, MissingValueError, Sample


def energy(sample: Sample) -> Floats:
    return sample.mean("energy")


def joules(values: Floats) -> dict[str, Column]:
    return {"energy": Column(values, np.arange(values.size), "energy", scaled=True)}


def compare(a: Floats, b: Floats, **options: object) -> tuple[float | None, ...]:
    settings = {"rng": np.random.default_rng(0), "same_sensor": True, **options}
    ratios, _ = paired_bootstrap(joules(a), joules(b), a.size, {"e": energy}, **settings)  # type: ignore[arg-type]
    return ratios["e"].value, ratios["e"].low, ratios["e"].high


def test_what_both_items_share_cancels() -> None:
    hard = np.random.default_rng(1).lognormal(sigma=2, size=100)
    assert compare(hard, hard / 2) == pytest.approx((2.0, 2.0, 2.0))


def test_one_sensors_gain_cancels_and_two_sensors_do_not() -> None:
    level = np.full(50, 3.0)
    gains = {"gain_a": (0.5, 2.0), "gain_b": (0.5, 2.0)}
    assert compare(level, level, **gains) == pytest.approx((1.0, 1.0, 1.0))
    _, low, high = compare(level, level, draws=4000, same_sensor=False, **gains)
    # Two independent lognormal errors: the logarithm's spread grows by √2.
    assert low == pytest.approx(2 ** -(2**0.5), rel=0.08)
    assert high == pytest.approx(2 ** (2**0.5), rel=0.08)


def test_false_alarms_on_pairs_that_are_equal_on_average() -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(400):
        item = rng.lognormal(size=80)
        a, b = (item * rng.lognormal(sigma=0.3, size=80) for _ in range(2))
        _, low, high = compare(a, b, rng=rng, draws=400)
        assert low is not None
        assert high is not None
        alarms += not low <= 1 <= high
    assert 0.02 <= alarms / 400 <= 0.08


def test_missing_and_zero_are_reasons() -> None:
    def never(sample: Sample) -> Floats:
        raise MissingValueError("nothing was read")

    data = joules(np.ones(3))
    ratios, differences = paired_bootstrap(
        data, data, 3, {"n": never}, rng=np.random.default_rng(0), same_sensor=True
    )
    assert ratios["n"].reason == differences["n"].reason == "nothing was read"
    assert compare(np.ones(3), np.zeros(3)) == (None, None, None)
    assert compare(np.ones(1), np.ones(1)) == (1.0, None, None)


def test_mcnemar_known_values() -> None:
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(5, 5) == 1.0
    assert mcnemar_exact(0, 6) == pytest.approx(2 / 64)
    assert mcnemar_exact(10, 2) == mcnemar_exact(2, 10) == pytest.approx(0.03857421875)
    assert mcnemar_exact(5000, 5000) == 1.0
    assert mcnemar_exact(4900, 5100) == pytest.approx(0.0466, abs=5e-4)  # normal, corrected
