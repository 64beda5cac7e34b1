"""Geometry: marks lie inside the plot, scales rise, ticks are round; whatever the data."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perwatt.core.estimate import Estimate, Grade
from perwatt.report.charts.axes import Frame, tick_labels, x_axis
from perwatt.report.charts.dots import Dot, DotRow, dots
from perwatt.report.charts.ecdf import Curve, ecdf, steps
from perwatt.report.charts.forest import Ratio, forest
from perwatt.report.charts.labels import place_labels
from perwatt.report.charts.lines import Line, Place, lines
from perwatt.report.charts.power import own_word
from perwatt.report.charts.requests import Span, draw_requests, mean_active
from perwatt.report.charts.scale import Log, fit, nice_ticks
from perwatt.report.charts.scatter import Point, scatter, unnamed
from perwatt.report.charts.stacked import Bar, Part, stacked
from perwatt.report.charts.svg import el, num
from perwatt.report.charts.timeaxis import time_axis
from perwatt.report.sections.latency import quantile
from perwatt.report.sections.tradeoff import _unlike, pareto
from perwatt.report.timeline import Ticks, bucketed, lanes, power_ticks, stretches

WIDTHS = st.sampled_from([284.0, 340.0, 860.0])
ANY = st.floats(-1e300, 1e300, allow_nan=False)
ABOVE_0 = st.floats(1e-200, 1e200, allow_nan=False)


@settings(deadline=None)
@given(st.lists(ANY, max_size=8), st.booleans())
def test_values_lie_on_a_fitted_linear_scale(values: list[float], zero: bool) -> None:
    scale = fit(values, 50.0, 300.0, zero=zero)
    assert scale.low < scale.high
    places = [scale(v) for v in sorted(values)]
    assert all(50 - 1e-6 <= x <= 300 + 1e-6 for x in places)
    assert places == sorted(places)
    assert all(50 - 1e-6 <= scale(tick) <= 300 + 1e-6 for tick in scale.ticks())


@settings(deadline=None)
@given(st.lists(ABOVE_0, min_size=1, max_size=8))
def test_values_lie_on_a_fitted_log_scale(values: list[float]) -> None:
    scale = fit(values, 300.0, 50.0, log=True)
    places = [scale(v) for v in sorted(values)]
    assert all(50 - 1e-6 <= x <= 300 + 1e-6 for x in places)
    assert all(a >= b - 1e-9 for a, b in pairwise(places))
    ticks = scale.ticks()
    assert len(ticks) >= 2
    assert all(a < b for a, b in pairwise(ticks))


@settings(deadline=None)
@given(st.integers(-12, 3), st.floats(0.5, 14), st.integers(3, 6))
def test_ticks_of_a_wide_log_axis_have_room(power: int, decades: float, count: int) -> None:
    low = 10.0**power * 1.7
    scale = Log(low, low * 10**decades, 0.0, 300.0, count)
    assert 2 <= len(scale.ticks()) <= 2 * count + 2


@example(411939000001.0, 1.0, 2)
@settings(deadline=None)
@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12), st.integers(2, 8))
def test_ticks_are_round_even_and_inside(low: float, span: float, count: int) -> None:
    high = low + max(span, abs(low) * 1e-6)
    ticks = nice_ticks(low, high, count)
    assert 1 <= len(ticks) <= 2.6 * count
    assert all(low <= tick <= high for tick in ticks)
    gaps = np.diff(ticks)
    if len(gaps):
        step = gaps[0]
        assert np.allclose(gaps, step, rtol=1e-3)
        digit = step / 10 ** math.floor(math.log10(step * 1.001))
        assert min(abs(digit - d) for d in (1, 2, 5, 10)) < 0.01


def test_tick_labels_share_one_prefix() -> None:
    assert tick_labels([0, 500, 1000], "J") == (["0", "0.5", "1.0"], "kJ")
    assert tick_labels([0, 2000], "s") == (["0", "2000"], "s")
    assert tick_labels([], "J") == ([], "J")
    assert tick_labels([0.0, 5e290], "B")[0][1] == "5e+290"


def test_markup_is_escaped_and_numbers_are_short() -> None:
    assert el("a", "<b>", data_tip='"&') == '<a data-tip="&#34;&amp;">&lt;b&gt;</a>'
    assert [num(v) for v in (1.0, 1.26, -0.01)] == ["1", "1.3", "0"]


def _marks(svg: str) -> list[tuple[float, float]]:
    found = re.findall(r'transform="translate\(([-\d.]+) ([-\d.]+)\)"', svg)
    return [(float(x), float(y)) for x, y in found]


def _size(svg: str) -> tuple[float, float]:
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found
    return float(found[1]), float(found[2])


def _inside(svg: str, count: int) -> list[tuple[float, float]]:
    marks, (width, height) = _marks(svg), _size(svg)
    assert len(marks) == count
    assert all(0 <= x <= width and 0 <= y <= height for x, y in marks)
    assert "nan" not in svg
    assert "inf" not in svg
    return marks


@settings(deadline=None)
@given(st.lists(st.tuples(ABOVE_0, st.floats(0, 1)), min_size=1, max_size=7), WIDTHS)
def test_scatter(places: list[tuple[float, float]], width: float) -> None:
    points = [
        Point(
            pair=n,
            label=f"pair {n}",
            x=Estimate(value=x, low=x / 2, high=x * 2, unit="J"),
            y=Estimate(value=y, low=y / 2, high=min(1.0, y * 2), unit="share"),
            on_front=True,
            tip="",
        )
        for n, (x, y) in enumerate(places)
    ]
    marks = _inside(scatter(points, "energy", "accuracy", width, "label"), len(points))
    for (x, y), (ax, ay) in zip(places, marks, strict=True):
        for (x2, y2), (bx, by) in zip(places, marks, strict=True):
            assert x >= x2 or ax <= bx + 0.11
            assert y >= y2 or ay >= by - 0.11


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(60, 840), st.floats(120, 260)), min_size=1, max_size=5))
def test_names_lie_inside_and_on_no_other_name(marks: list[tuple[float, float]]) -> None:
    frame = Frame(width=860, height=380, top=34)
    width = 90.0
    found = place_labels(marks, [width] * len(marks), [], frame)
    boxes = []
    for label in found:
        left = label.x - width if label.ends else label.x
        assert frame.x0 <= left <= left + width <= frame.x1
        assert frame.y0 <= label.y <= frame.y1
        boxes.append((left, label.y))
    for n, (x, y) in enumerate(boxes):
        assert all(abs(x - a) >= width or abs(y - b) >= 10 for a, b in boxes[:n])


def test_a_name_goes_where_no_interval_runs_through_it() -> None:
    frame = Frame(width=400, height=300)
    mark = (200.0, 150.0)
    first = place_labels([mark], [80.0], [], frame)[0]
    assert (first.x > 200, first.y < 150, first.far) == (True, True, False)
    beside = (205.0, first.y - 3, 300.0, first.y - 3)
    other = place_labels([mark], [80.0], [beside], frame)[0]
    assert (other.ends, other.far) == (True, False)


def test_names_that_are_alike_once_cut_are_left_to_their_marks() -> None:
    def point(n: int, label: str) -> Point:
        x, y = Estimate(value=1.0 + n, unit="J"), Estimate(value=0.2 + n / 10, unit="share")
        return Point(pair=n, label=label, x=x, y=y, on_front=False, tip=label)

    long = [f"a-model-of-a-long-name at temperature {n} and nothing else" for n in (0.1, 0.2)]
    points = [*(point(n, label) for n, label in enumerate(long)), point(2, "short")]
    narrow = scatter(points, "energy", "accuracy", 340.0, "label")
    assert "…" not in narrow
    assert ">short</text>" in narrow
    assert all(f'aria-label="{label}"' in narrow for label in long)
    # A key says what the chart has no room for.
    assert unnamed(points, 340.0) == [0, 1]
    assert unnamed(points, 2000.0) == []
    assert unnamed(points * 5, 340.0) == []  # too many for a key: the table has them


def test_a_share_without_an_interval_is_hollow() -> None:
    known = Estimate(value=0.5, low=0.1, high=0.9, unit="share")
    alone = Estimate(value=1.0, unit="share")
    rows = [
        DotRow(name=name, dots=(Dot(pair=0, estimate=estimate, tip=name),))
        for name, estimate in (("many", known), ("one", alone))
    ]
    svg = dots(rows, 860.0, "label", "accuracy")
    assert re.findall(r'class="mark c0 ([a-z ]+)"[^>]*aria-label="(\w+)"', svg) == [
        ("small", "many"),
        ("small hollow", "one"),
    ]


def test_a_narrow_turn_bears_the_word_that_is_the_pairs_own() -> None:
    labels = ["M-135M Q4_1", "M-135M Q4_0", "M-135M Q8_0 (from Q4_1)", "G-270M Q4_1"]
    assert [own_word(n, labels) for n in range(4)] == ["Q4_1", "Q4_0", "Q8_0", "G-270M"]
    assert own_word(0, ["same", "same"]) == "same"


def test_chunks_that_came_at_once_do_not_hide_the_gaps_of_the_others() -> None:
    gaps = sorted([0.0] * 30 + [0.002 + n / 1e4 for n in range(200)] + [1.5])
    marks = ((quantile(gaps, 0.1), 0.1, "p10"), (quantile(gaps, 0.5), 0.5, "p50"))
    svg = ecdf([Curve(pair=0, label="", values=gaps, marks=marks)], "s", "gaps", 284.0, "label")
    assert "gaps, log scale" in svg
    (at_zero, _), (median, _) = _inside(svg, 2)
    assert at_zero == pytest.approx(46, abs=8)
    assert median > 60
    still = Curve(pair=0, label="", values=[0.0] * 9, marks=())
    assert "log scale" not in ecdf([still], "s", "gaps", 284.0, "label")


def test_a_log_axis_has_a_step_at_each_digit() -> None:
    frame = Frame(width=400, height=300)
    axis = x_axis(frame, fit([0.02, 30.0], frame.x0, frame.x1, log=True, pad=0), "1/J", "IPJ")
    steps_drawn = re.search(r'd="([^"]+)" class="minor"', axis)
    assert steps_drawn
    assert steps_drawn[1].count("M") == 8 + 9 + 9 + 3
    assert "(1/J)" in axis
    assert ">1</text>" in axis  # the unit is said once, by the title
    wide = fit([1e-9, 1e9], frame.x0, frame.x1, log=True)
    assert "minor" not in x_axis(frame, wide, "J", "")
    assert "minor" not in x_axis(frame, fit([1, 30], frame.x0, frame.x1), "J", "")


def test_scatter_needs_a_point() -> None:
    with pytest.raises(ValueError, match="at least one"):
        scatter([], "x", "y", 340.0, "label")


@settings(deadline=None)
@given(st.lists(ABOVE_0, min_size=1, max_size=5), WIDTHS)
def test_forest_marks_1_and_stays_inside(values: list[float], width: float) -> None:
    rows = [
        Ratio(
            name="m", value=v, low=v / 1.5, high=v * 1.5, decided=v > 1, shown="", says="", tip=""
        )
        for v in values
    ]
    svg = forest(rows, width, "label")
    size = _size(svg)
    found = [float(x) for x in re.findall(r'cx="([-\d.]+)"', svg)]
    one = re.search(r'd="M([\d.]+),[\d.]+V[\d.]+" class="one"', svg)
    assert one
    assert len(found) == len(values)
    for value, x in zip(values, found, strict=True):
        assert 0 <= x <= size[0]
        assert (x >= float(one[1]) - 0.2) if value >= 1 else (x <= float(one[1]) + 0.2)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), WIDTHS)
def test_dots(shares: list[float], width: float) -> None:
    rows = [
        DotRow(
            name="A long category name that goes on",
            dots=(Dot(pair=0, estimate=Estimate(value=v, low=0, high=1, unit="share"), tip=""),),
        )
        for v in shares
    ]
    marks = _inside(dots(rows, width, "label", "accuracy"), len(shares))
    assert [y for _, y in marks] == sorted(y for _, y in marks)


@settings(deadline=None)
@given(st.lists(ABOVE_0, min_size=1, max_size=400), WIDTHS)
def test_ecdf_is_thinned_without_leaving_the_curve(values: list[float], width: float) -> None:
    values.sort()
    points = steps(values)
    assert len(points) <= 160
    assert points[-1] == (values[-1], 1.0)
    for value, share in points:
        assert share <= sum(v <= value for v in values) / len(values) + 1e-12
    curve = Curve(pair=0, label="", values=values, marks=((quantile(values, 0.5), 0.5, ""),))
    _inside(ecdf([curve], "s", "title", width, "label"), 1)


@settings(deadline=None)
@given(st.lists(ABOVE_0, min_size=1, max_size=50), st.sampled_from([0.5, 0.9, 0.99]))
def test_quantile_is_the_least_value_with_enough_below(values: list[float], share: float) -> None:
    values.sort()
    found = quantile(values, share)
    assert sum(v <= found for v in values) >= share * len(values) - 1e-6
    assert sum(v < found for v in values) < share * len(values) + 1e-6


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=4), WIDTHS)
def test_stacked_parts_touch_and_end_at_their_sum(values: list[float], width: float) -> None:
    parts = tuple(Part(name="idle", value=v, share=0.1, tip="") for v in values)
    svg = stacked([Bar(label="", total="", parts=parts)], "J", "energy", width, "label")
    boxes = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    assert len(boxes) == len(values)
    at = float(boxes[0][0])
    for x, wide in boxes:
        assert float(x) == pytest.approx(at, abs=0.11 * len(values))
        at = float(x) + float(wide)
    assert at <= width


@pytest.mark.parametrize(
    ("costs", "gains", "front"),
    [
        ([1, 2, 3], [0.3, 0.5, 0.4], [True, True, False]),
        ([1, 1], [0.5, 0.5], [True, True]),
        ([1, 1], [0.5, 0.6], [False, True]),
    ],
)
def test_pareto(costs: list[float], gains: list[float], front: list[bool]) -> None:
    assert pareto(costs, gains) == front


def test_unlike_joules_are_not_ranked() -> None:
    def cost(grade: Grade, boundary: str) -> Estimate:
        return Estimate(value=1.0, unit="J", grade=grade, boundary=boundary)

    assert _unlike([cost("B", "package"), cost("B", "package")]) is None
    grades = _unlike([cost("B", "package"), cost("D", "package")])
    assert grades == "their joules are of unlike grades, B and D"
    boundaries = _unlike([cost("B", "package"), cost("B", "system")])
    assert boundaries == "their joules cover unlike boundaries, package and system"


def _ticks(marks_ns: list[int], watts: list[float]) -> Ticks:
    return Ticks(
        domain="d",
        source="s",
        start_ns=np.array(marks_ns[:-1], dtype=np.int64),
        end_ns=np.array(marks_ns[1:], dtype=np.int64),
        power_w=np.array(watts, dtype=np.float64),
    )


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 10**9), st.floats(0, 500)), min_size=1, max_size=60),
    st.integers(1, 90),
)
def test_buckets_keep_every_joule_and_every_peak(
    ticks: list[tuple[int, float]], count: int
) -> None:
    marks = np.cumsum([0, *(t for t, _ in ticks)])
    series = _ticks(marks.tolist(), [w for _, w in ticks])
    edges = np.unique(np.linspace(0, marks[-1], count + 1).astype(np.int64))
    found = bucketed(series, edges)
    joules = sum(t * w for t, w in ticks) / 1e9
    assert np.nansum(found.mean_w * np.diff(edges)) / 1e9 == pytest.approx(joules, abs=1e-6)
    assert np.nanmax(found.high_w) >= max(w for _, w in ticks) - 1e-9
    assert np.nanmin(found.low_w) <= min(w for _, w in ticks) + 1e-9
    assert np.all(found.low_w <= found.mean_w + 1e-9)


def test_power_comes_from_the_counter_and_holes_stay_holes() -> None:
    second = 10**9
    ticks = power_ticks(
        {
            "t_ns": [0, second, 2 * second, 3 * second, 4 * second, 5 * second],
            "domain": ["gpu0"] * 6,
            "counter_j": [0.0, 10.0, None, 40.0, 60.0, 5.0],
            "power_w": [99.0, 99.0, None, 99.0, 99.0, 99.0],
            "session": [0, 0, 0, 0, 0, 1],
        }
    )
    assert [t.domain for t in ticks] == ["gpu0"]
    assert ticks[0].power_w.tolist() == [10.0, 20.0]
    assert ticks[0].start_ns.tolist() == [0, 3 * second]
    gauge = power_ticks({"t_ns": [0, second], "domain": ["wall"] * 2, "power_w": [10.0, 20.0]})
    assert gauge[0].power_w.tolist() == [15.0]
    assert power_ticks({}) == []


def test_a_long_pause_is_cut_and_a_short_one_is_not() -> None:
    second = 10**9
    series = _ticks([0, 100 * second], [1.0])
    late = _ticks([4000 * second, 4100 * second], [1.0])
    near = _ticks([105 * second, 200 * second], [1.0])
    assert stretches([], [series, late]) == [(0, 100 * second), (4000 * second, 4100 * second)]
    assert stretches([], [series, near]) == [(0, 200 * second)]
    assert stretches([], []) == []
    axis = time_axis([(0, 100 * second), (4000 * second, 4100 * second)], 50.0, 850.0, 0)
    assert axis.x(2000 * second) is None
    assert axis.x(0) == 50.0
    assert axis.x(4100 * second) == pytest.approx(850.0)
    (_, _, a0, a1), (_, _, b0, b1) = axis.stretches
    assert a1 - a0 == pytest.approx(b1 - b0)
    assert a1 < b0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 300)), max_size=40))
def test_requests_in_flight_are_counted_exactly(spans: list[tuple[int, int]]) -> None:
    whole = [(start, start + length) for start, length in spans]
    active = mean_active(whole, np.arange(0, 1401, 100, dtype=np.int64))
    assert float(active.sum() * 100) == pytest.approx(sum(length for _, length in spans), abs=1e-6)


def test_lanes_never_overlap(made_run: object) -> None:
    from perwatt.report.rows import request_rows

    run = made_run(in_flight=4, items=40)  # type: ignore[operator]
    rows = request_rows(run.requests)
    found = lanes(rows)
    assert max(found) == 3
    for lane in range(4):
        own = [row for row, n in zip(rows, found, strict=True) if n == lane]
        for before, after in pairwise(own):
            assert before.last_chunk_ns <= after.dispatched_ns


@pytest.mark.parametrize(
    ("first_ns", "prefill_px", "decode_px"), [(None, 50, 0), (150, 25, 25), (50, 0.4, 50)]
)
def test_a_request_cut_by_the_window_keeps_its_phases(
    first_ns: int | None, prefill_px: float, decode_px: float
) -> None:
    axis = time_axis([(100, 300)], 0.0, 100.0, 0)
    span = Span(start_ns=20, first_ns=first_ns, end_ns=200, lane=0, pair=0, failed=False, tip="")
    svg, _ = draw_requests([span], axis, 0.0, 0.0, 100.0)
    boxes = {name: float(w) for w, name in re.findall(r'width="([\d.]+)" [^>]*class="(\w+)"', svg)}
    assert boxes["prefill"] == pytest.approx(prefill_px, abs=0.1)
    assert boxes["decode"] == pytest.approx(max(decode_px, 0.4), abs=0.1)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.floats(1e-9, 1e6), st.booleans(), st.booleans()),
        min_size=1,
        max_size=9,
    ),
    WIDTHS,
)
def test_marks_of_stages_lie_inside_and_rings_are_drawn(
    found: list[tuple[float, float, bool, bool]], width: float
) -> None:
    places = tuple(
        Place(
            x=x,
            y=y,
            low=y * 0.9 if known else None,
            high=y * 1.1 if known else None,
            label=str(n),
            tip=f"stage {n}",
            ringed=ringed,
        )
        for n, (x, y, known, ringed) in enumerate(found)
    )
    series = [Line(pair=0, places=places, labelled=True), Line(pair=1, places=places, dashed=True)]
    svg = str(lines(series, ("a rate", ""), ("latency", "s"), width, "words"))
    marks = re.findall(r"translate\(([-\d.]+) ([-\d.]+)\)", svg)
    assert len(marks) == 2 * len(found)
    assert all(0 <= float(x) <= width and 0 <= float(y) <= 340 for x, y in marks)
    assert svg.count('class="ring"') == 2 * sum(ringed for *_, ringed in found)
    assert "NaN" not in svg
