"""Pairs against each other on the same items: sentences, and ratios around 1."""

from __future__ import annotations

from markupsafe import Markup

from perwatt.core.summary import Comparison
from perwatt.core.units import format_value
from perwatt.report.charts.forest import Ratio, forest
from perwatt.report.format import cell
from perwatt.report.leaders import leaders
from perwatt.report.view import Figure, Section, Table, View, figure

__all__ = ["comparisons"]

MOST_GROUPS = 12
"""Of two pairs each: forty pairs make 780, which nobody reads."""
LEAD = 3
"""Groups of two pairs shown at once; the rest are folded."""


def comparisons(view: View) -> Section | None:
    if not view.summary.comparisons:
        return None
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in view.summary.comparisons:
        groups.setdefault((comparison.a, comparison.b), []).append(comparison)
    shown = _chosen(view, list(groups))
    return Section(
        name="comparisons",
        title="Comparisons",
        template="comparisons.html",
        data={
            "lead": LEAD,
            "groups": [
                {
                    "title": " ÷ ".join(_label(view, name) for name in names),
                    "sentences": [c.sentence for c in found if c.ratio.value is not None],
                    "refused": [c.sentence for c in found if c.ratio.value is None],
                    "figure": _figure(view, n, found),
                }
                for n, names in enumerate(shown, 1)
                for found in [groups[names]]
            ],
            "all": len(groups),
            "against": view.labels[leaders(view, 1)[0]],
        },
    )


def _chosen(view: View, names: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """All; where they are more than `MOST_GROUPS`, the leading pair's with the next best."""
    if len(names) <= MOST_GROUPS:
        return names
    first = view.pairs[leaders(view, 1)[0]].identity.pair_id
    near = {view.pairs[n].identity.pair_id for n in leaders(view, MOST_GROUPS + 1)}
    wanted = sorted(names, key=lambda both: (first not in both, not near >= set(both)))
    return sorted(wanted[:MOST_GROUPS], key=names.index)


def _figure(view: View, n: int, found: list[Comparison]) -> Figure | None:
    a, b = (_label(view, pair) for pair in (found[0].a, found[0].b))
    rows = [row for c in found if (row := _ratio(view, c, a, b))]
    if not rows:
        return None
    caption = (
        f"{a} ÷ {b}, paired on the same items, with 95% intervals."
        " A filled mark: decided, after Holm's correction. A hollow one: undecided."
    )

    def draw(width: float) -> Markup:
        return forest(rows, width, caption)

    data = Table(
        caption=f"{a} ÷ {b}",
        head=("Metric", "Ratio", "Reading"),
        rows=[(row.name, cell(c.ratio), row.says) for c, row in _with_rows(view, found, a, b)],
    )
    return figure(view, f"forest-{n}", caption, draw, data=data)


def _with_rows(
    view: View, found: list[Comparison], a: str, b: str
) -> list[tuple[Comparison, Ratio]]:
    return [(c, row) for c in found if (row := _ratio(view, c, a, b))]


def _ratio(view: View, c: Comparison, a: str, b: str) -> Ratio | None:
    """None where there is no ratio, or none that a log axis can show."""
    value, low, high = c.ratio.value, c.ratio.low, c.ratio.high
    if value is None or value <= 0 or (low is not None and low <= 0):
        return None
    info = view.infos.get(c.metric)
    better = info.better if info else "neither"
    says = "undecided"
    if c.decided:
        says = "differs"
        if better != "neither":
            says = f"{a if (value > 1) == (better == 'higher') else b} better"
    shown = f"{format_value(value, '')}×"
    if low is not None and high is not None:
        shown += f" [{format_value(low, '')}, {format_value(high, '')}]"
    return Ratio(
        name=info.title if info and len(info.title) < 28 else info.short if info else c.metric,
        value=value,
        low=low,
        high=high,
        decided=c.decided,
        shown=shown,
        says=says,
        tip=c.sentence,
    )


def _label(view: View, name: str) -> str:
    index = view.pair_index.get(name)
    return name if index is None else view.labels[index]
