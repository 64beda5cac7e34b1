from __future__ import annotations

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perwatt.core import units
from perwatt.core.units import format_duration, format_si, format_value

SCALE = {"G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9}


def test_docstring_examples() -> None:
    assert doctest.testmod(units).failed == 0


@given(st.floats(min_value=1e-9, max_value=1e11), st.sampled_from([1.0, -1.0]))
def test_what_is_printed_is_the_number_to_three_digits(size: float, sign: float) -> None:
    number, unit = format_si(sign * size, "J").split(" ")
    printed = float(number) * SCALE[unit.removesuffix("J")]
    assert math.isclose(printed, sign * size, rel_tol=0.005)
    assert "e" not in number


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.5, "share", "50.0%"), (0.0, "J", "0 J"), (12, "tok/s", "12 tok/s"), (1.25, "", "1.25")],
)
def test_format_value(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


@pytest.mark.parametrize(("value", "text"), [(59.96, "60.0s"), (3599.9, "1h00m"), (90, "1m30s")])
def test_durations_carry_over(value: float, text: str) -> None:
    assert format_duration(value) == text
