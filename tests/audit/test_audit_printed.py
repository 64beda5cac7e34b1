"""What printed digits mean: the interval around them holds what was rounded to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perwatt.audit.interval import Interval, hull, total, weighted_mean
from perwatt.audit.printed import parse_printed
from perwatt.audit.units import ROLES, scale_of, shown

VALUES = st.floats(-1e6, 1e6)
WIDTHS = st.floats(0, 100)


@pytest.mark.parametrize(
    ("cell", "value", "low", "high"),
    [
        ("1.40", 1.40, 1.395, 1.405),
        (1558, 1558, 1557.5, 1558.5),
        ("500K", 500_000, 499_500, 500_500),
        ("26.5K", 26_500, 26_450, 26_550),
        ("80.2M", 80.2e6, 80.15e6, 80.25e6),
        ("~12", 12, 10.8, 13.2),
        ("3.7–3.8", 3.75, 3.65, 3.85),
        ("23.2±1.9", 23.2, 23.15, 23.25),
        ("480 (PSU)", 480, 479.5, 480.5),
        ("6,449", 6449, 6448.5, 6449.5),
        ("7.92e-4", 7.92e-4, 7.915e-4, 7.925e-4),
    ],
)
def test_digits(cell: str | int, value: float, low: float, high: float) -> None:
    printed = parse_printed(cell)
    assert printed is not None
    assert printed.value == pytest.approx(value)
    assert printed.rounding.low == pytest.approx(low)
    assert printed.rounding.high == pytest.approx(high)


def test_what_stands_beside_a_number() -> None:
    wide = parse_printed("23.2±1.9")
    rated = parse_printed("480 (PSU)")
    assert wide is not None
    assert rated is not None
    assert wide.spread == 1.9
    assert wide.stated.low == pytest.approx(21.25)
    assert wide.stated.high == pytest.approx(25.15)
    assert (rated.note, rated.spread) == ("PSU", None)


@pytest.mark.parametrize("cell", ["", "–", "-", " "])
def test_nothing_printed_is_none_and_not_0(cell: str) -> None:
    assert parse_printed(cell) is None


@pytest.mark.parametrize("cell", ["n/a", "nan", "inf", "3.8–3.7", "1.2.3", "12W", "4 5"])
def test_what_is_no_number_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match=r"no printed number|runs backwards"):
        parse_printed(cell)


@given(value=VALUES, places=st.integers(0, 6))
def test_the_interval_holds_what_was_rounded(value: float, places: int) -> None:
    printed = parse_printed(f"{value:.{places}f}")
    assert printed is not None
    assert printed.rounding.meets(Interval(value, value))
    assert printed.rounding.half_width == pytest.approx(0.5 * 10**-places, rel=1e-3, abs=1e-10)


@given(a=VALUES, b=VALUES, wide_a=WIDTHS, wide_b=WIDTHS, s=st.floats(0, 1), t=st.floats(0, 1))
def test_arithmetic_keeps_every_value_the_operands_could_give(
    a: float, b: float, wide_a: float, wide_b: float, s: float, t: float
) -> None:
    first, second = Interval(a, a + wide_a), Interval(b, b + wide_b)
    x, y = a + s * wide_a, b + t * wide_b

    def holds(value: float, interval: Interval) -> bool:
        return interval.meets(Interval(value, value))

    assert holds(x + y, first + second)
    assert holds(x + y, total([first, second]))
    assert holds(x - y, first - second) or abs(x - y) < 1e-6 * (abs(x) + abs(y))
    assert holds(x * y, first * second)
    assert holds(x, hull([first, second]))
    if abs(y) > 1e-3:
        assert holds(x / y, first / second)
    common = first.common(second)
    assert (common is None) == (not first.meets(second))


def test_a_divisor_that_may_be_0_allows_everything() -> None:
    assert (Interval(1, 2) / Interval(-1, 1)).meets(Interval(1e300, 1e300))


@pytest.mark.parametrize(
    ("value", "inside"), [(1.0, False), (1.94, False), (1.95, True), (1e300, True)]
)
def test_a_bound_is_open_at_one_end_alone(value: float, inside: bool) -> None:
    at_least = Interval(1.95, float("inf"))
    assert at_least.meets(Interval(value, value)) == inside
    at_most = Interval(float("-inf"), -1.95)
    assert at_most.meets(Interval(-value, -value)) == inside


@given(
    parts=st.lists(st.tuples(VALUES, WIDTHS, st.integers(0, 9), WIDTHS), min_size=1, max_size=5),
    s=st.floats(0, 1),
    t=st.floats(0, 1),
)
def test_a_weighted_mean_keeps_every_value_that_parts_and_weights_could_give(
    parts: list[tuple[float, float, int, float]], s: float, t: float
) -> None:
    values = [Interval(x, x + wide) for x, wide, _, _ in parts]
    weights = [Interval(w, w + wide + 1) for _, _, w, wide in parts]
    found = weighted_mean(values, weights)
    picked = [w + (t if n % 2 else 1 - t) * (wide + 1) for n, (_, _, w, wide) in enumerate(parts)]
    if sum(picked) > 0:
        at = [x + s * wide for x, wide, _, _ in parts]
        mean = sum(w * x for w, x in zip(picked, at, strict=True)) / sum(picked)
        assert found.meets(Interval(mean, mean)) or found.low - 1e-6 <= mean <= found.high + 1e-6
    assert hull(values).meets(found)


@pytest.mark.parametrize(
    ("role", "unit", "scale"),
    [
        ("accuracy", "%", 0.01),
        ("ipw", "1e-3/W", 1e-3),
        ("ipj", "1e-5/J", 1e-5),
        ("ipw", "%/W", 0.01),
        ("energy_j", "kJ", 1000),
        ("energy_j", "Wh", 3600),
        ("seconds", "ms", 0.001),
    ],
)
def test_units(role: str, unit: str, scale: float) -> None:
    assert scale_of(role, unit) == pytest.approx(scale)
    assert shown(1.0, ROLES[role])


@pytest.mark.parametrize(
    ("role", "unit", "text"),
    [("speed", "W", "no role"), ("power_w", "J", "known: mW, W, kW"), ("ipw", "1e-3/J", "cannot")],
)
def test_units_that_do_not_fit_are_refused(role: str, unit: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        scale_of(role, unit)
