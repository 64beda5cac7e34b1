from __future__ import annotations

import msgspec
import pytest

from perwatt.core.estimate import Estimate, worst_grade


def test_prints_value_interval_and_grade() -> None:
    estimate = Estimate(value=1.5, low=1.2, high=1.9, unit="J", grade="D", n=10)
    assert str(estimate) == "1.5 J [1.2 J, 1.9 J] (D)"


def test_missing_value_prints_a_dash_and_must_say_why() -> None:
    assert str(Estimate(value=None, reason="no sensor")) == "–"
    with pytest.raises(ValueError, match="must say why"):
        Estimate(value=None)


def test_an_interval_is_ordered() -> None:
    with pytest.raises(ValueError, match="ordered"):
        Estimate(value=1.0, low=2.0, high=1.0)


def test_round_trips_through_json() -> None:
    estimate = Estimate(value=1.5, low=1.2, high=1.9, unit="J", grade="B", boundary="package")
    assert msgspec.json.decode(msgspec.json.encode(estimate), type=Estimate) == estimate


def test_a_sum_is_as_good_as_its_worst_part() -> None:
    assert worst_grade(["A", "D", "B"]) == "D"
    assert worst_grade([]) is None
