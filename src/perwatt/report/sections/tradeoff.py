"""Accuracy against energy, and which pairs no other pair beats on both."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from perwatt.core.estimate import Estimate
from perwatt.core.summary import UNSCORED
from perwatt.report.charts.scatter import MOST_NAMED, Point, scatter, unnamed
from perwatt.report.format import cell, spoken
from perwatt.report.legend import pair_keys
from perwatt.report.view import NARROW, Section, Table, View, figure

__all__ = ["pareto", "tradeoff"]

X, Y = "energy_gross_j", "accuracy"


def pareto(costs: Sequence[float], gains: Sequence[float]) -> list[bool]:
    """Is each on the front: does none other cost no more and gain no less, one of both strictly?

    >>> pareto([1, 2, 3], [0.3, 0.5, 0.4])
    [True, True, False]
    """
    both = list(zip(costs, gains, strict=True))
    return [
        not any(c <= cost and g >= gain and (c, g) != (cost, gain) for c, g in both)
        for cost, gain in both
    ]


def tradeoff(view: View) -> Section | None:
    """Nothing where no answer was scored: there is nothing to trade."""
    scored = [pair.metrics.get(Y) for pair in view.pairs]
    if scored and all(e is not None and e.reason == UNSCORED for e in scored):
        return None
    found: list[tuple[int, Estimate, Estimate]] = []
    absent: list[str] = []
    for n, pair in enumerate(view.pairs):
        x, y = pair.metrics.get(X), pair.metrics.get(Y)
        if x is None or y is None or x.value is None or y.value is None:
            lacking = next((e.reason for e in (x, y) if e is not None and e.reason), None)
            absent.append(f"{view.labels[n]}: {lacking or 'not computed'}")
        else:
            found.append((n, x, y))
    data: dict[str, object] = {"figure": None, "front": [], "unlike": None, "absent": absent}
    if found:
        data |= _figure(view, found)
    return Section(
        name="tradeoff", title="Accuracy against energy", template="tradeoff.html", data=data
    )


def _figure(view: View, found: list[tuple[int, Estimate, Estimate]]) -> dict[str, object]:
    unlike = _unlike([x for _, x, _ in found])
    on_front = pareto([x.value or 0.0 for _, x, _ in found], [y.value or 0.0 for *_, y in found])
    if unlike:
        on_front = [False] * len(found)
    points = [
        Point(
            pair=n,
            label=view.labels[n],
            x=x,
            y=y,
            on_front=front,
            tip=f"{view.labels[n]}: accuracy {spoken(y)}; {spoken(x)} per request",
        )
        for (n, x, y), front in zip(found, on_front, strict=True)
    ]
    front = [p.label for p in sorted(points, key=lambda p: p.x.value or 0.0) if p.on_front]
    if len(points) < 2:  # one pair alone has nothing to be better than
        front = []
    caption = "Share of answers that are right, and joules per request with 95% intervals"
    caption += (
        f" (gross, {points[0].x.boundary} boundary)." if points[0].x.boundary else " (gross)."
    )
    caption += " Better is up and to the left."
    if len(front) > 1:
        caption += " The pale steps join the Pareto front."
    if len(points) > MOST_NAMED:
        caption += " Only pairs on the front are named."

    def draw(width: float) -> Markup:
        return scatter(points, "gross energy per request", "accuracy", width, caption)

    keys = pair_keys(view.labels, drawn=unnamed(points, NARROW))
    table = Table(
        caption="Accuracy and gross energy per request",
        head=("Pair", "Accuracy", "Energy per request", "On the front"),
        rows=[(p.label, cell(p.y), cell(p.x), "not ranked" if unlike else _on(p)) for p in points],
        sortable=len(points) > 2,
    )
    return {
        "figure": figure(view, "pareto", caption, draw, data=table, narrow_legend=keys, wide=640),
        "front": front,
        "unlike": unlike,
    }


def _on(p: Point) -> str:
    return "yes" if p.on_front else "no"


def _unlike(costs: Sequence[Estimate]) -> str | None:
    """Why joules may not be ranked against each other; None where they may."""
    boundaries = sorted({x.boundary or "unknown" for x in costs})
    grades = sorted({x.grade or "unknown" for x in costs})
    if len(boundaries) > 1:
        return f"their joules cover unlike boundaries, {' and '.join(boundaries)}"
    if len(grades) > 1:
        return f"their joules are of unlike grades, {' and '.join(grades)}"
    return None
