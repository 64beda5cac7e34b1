"""The same model on a local and on a cloud device, paired on the items that both were asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyPair, StudyTable
from perwatt.stats.moments import Moments
from perwatt.study.cells import rolled
from perwatt.study.claims import claim, known
from perwatt.study.estimates import LogMeans, Term
from perwatt.study.figures import figure_columns, figures
from perwatt.study.footing import Footing, footing_of
from perwatt.study.item_grid import ItemGrid, item_grid
from perwatt.study.sets import facts_of
from perwatt.study.study import Study

__all__ = ["local_cloud"]

_SIDES = ("accuracy", "ipw", "ipj", "latency")
_RATIOS = (
    ("accuracy", "accuracy", {"score": 1.0}),
    ("ipw", "IPW", {"score": 1.0, "watts": -1.0}),
    ("ipj", "IPJ", {"score": 1.0, "joules": -1.0}),
    ("seconds", "seconds", {"seconds": 1.0}),
)
"""Powers of the means that each is a product of."""
_MEASURED = {"score": "score", "watts": "energy", "joules": "energy", "seconds": "last chunk"}
_COLUMNS = (
    StudyColumn(name="model", title="model"),
    StudyColumn(name="local", title="local pair"),
    StudyColumn(name="cloud", title="cloud pair"),
    StudyColumn(name="like", title="else alike", what="`yes`, or what differs beside the device."),
    StudyColumn(name="items", title="items", what="Asked of both."),
    *(
        StudyColumn(
            name=f"{column.name}_{side}",
            title=f"{column.title}, {side}",
            what=f"{column.what} Over all that this pair was asked.",
        )
        for column in figure_columns(_SIDES)
        for side in ("local", "cloud")
    ),
    *(
        StudyColumn(
            name=f"{name}_ratio",
            title=f"{title}, local / cloud",
            what="Of means over the items that both were asked, paired.",
        )
        for name, title, _ in _RATIOS
    ),
    StudyColumn(
        name="flips",
        title="per watt and per joule",
        what="Do IPW and IPJ favour the same side, where both intervals exclude 1?",
    ),
)


def local_cloud(study: Study) -> StudyTable | None:
    """None where no model was asked on a local and on a cloud device."""
    models = _models(study)
    sums = rolled(study.cells(), by=("pair",)) if models else {}
    rows = []
    for model, (local, cloud) in models.items():
        for clouds, locals_ in _matches(study, local, cloud).items():
            pairs = [*locals_, *clouds]
            means = _Means(item_grid(study, [[pair] for pair in pairs]), pairs)
            rows += [
                _row(study, model, sums, means, one, other) for one in locals_ for other in clouds
            ]
    if not rows:
        return None
    told = [row for row in rows if known(row["ipw_ratio"], row["ipj_ratio"])] or rows
    first = next((row for row in told if row["like"] == "yes"), told[0])
    return StudyTable(
        name="local_cloud",
        title="The same model, local and cloud",
        what="A row is a model on a local and on a cloud device (arXiv 2511.07885 Tables 13, 14 "
        "and 18).",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=claim(
            f"{first['model']}, {first['local']} against {first['cloud']}: per watt "
            f"{first['ipw_ratio']}, per joule {first['ipj_ratio']} ({first['flips']}).",
            first["ipw_ratio"],
            first["ipj_ratio"],
        ),
        notes=(
            "IPW leaves out how long an answer takes, and so favours slow devices of little power; "
            "IPJ counts it. The two may favour opposite sides: read both.",
            "Where a device stands, local or cloud, is its catalogue's word; --facts can say "
            "otherwise. Devices that are in neither are left out.",
            "A local pair is set beside the cloud pairs of its precision, engine, load and way of "
            "asking where there are any, else beside all of its model, and what differs is named.",
            "In the ratios a request that failed scores 0, and its joules and seconds count.",
        ),
    )


def _models(study: Study) -> dict[str, tuple[list[int], list[int]]]:
    """Of each model the pairs on local and on cloud devices, where it has both."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for number, pair in enumerate(study.pairs):
        device, facts = study.facts.device(pair.device), facts_of(study, pair)
        place = device.place if device is not None else None
        if place is not None:
            sides = found.setdefault(facts.name if facts else pair.model, ([], []))
            sides[place == "cloud"].append(number)
    return {model: sides for model, sides in found.items() if all(sides)}


def _matches(study: Study, local: list[int], cloud: list[int]) -> dict[tuple[int, ...], list[int]]:
    """Cloud pairs, and the local ones that are set beside them."""
    matches: dict[tuple[int, ...], list[int]] = {}
    for one in local:
        alike = [p for p in cloud if not _unlike(study.pairs[one], study.pairs[p])]
        matches.setdefault(tuple(alike or cloud), []).append(one)
    return matches


class _Means:
    """Logarithms of means of a model's pairs, over what any two of them were both asked."""

    def __init__(self, grid: ItemGrid, pairs: list[int]) -> None:
        self._grid, self._at = grid, {pair: at for at, pair in enumerate(pairs)}
        self._all: LogMeans | None = self._of(grid, pairs) if bool(grid.whole.all()) else None

    def of(self, one: int, other: int) -> tuple[LogMeans, dict[tuple[int, str], int], int]:
        """With the columns' places by pair and measure, and how many items there are."""
        if self._all is not None:
            return self._all, self._places(list(self._at)), int(self._grid.cluster.size)
        both = self._grid.common([self._at[one], self._at[other]])
        return self._of(both, [one, other]), self._places([one, other]), int(both.cluster.size)

    def _of(self, grid: ItemGrid, pairs: list[int]) -> LogMeans:
        columns = [
            (getattr(grid, name)[:, self._at[pair]].astype(np.float64), noun)
            for pair in pairs
            for name, noun in _MEASURED.items()
        ]
        return LogMeans(columns, grid.cluster)

    def _places(self, pairs: list[int]) -> dict[tuple[int, str], int]:
        names = [(pair, name) for pair in pairs for name in _MEASURED]
        return {name: at for at, name in enumerate(names)}


def _row(
    study: Study,
    model: str,
    sums: Mapping[tuple[Any, ...], Moments],
    means: _Means,
    one: int,
    other: int,
) -> dict[str, StudyCell]:
    sides = {"local": (one, 1.0), "cloud": (other, -1.0)}
    logs, places, items = means.of(one, other)
    row: dict[str, StudyCell] = {
        "model": model,
        "local": study.pairs[one].label,
        "cloud": study.pairs[other].label,
        "like": "; ".join(_unlike(study.pairs[one], study.pairs[other])) or "yes",
        "items": items,
    }
    for side, (pair, _) in sides.items():
        found = figures(sums[(pair,)], study.pairs[pair], _SIDES)
        row |= {f"{name}_{side}": estimate for name, estimate in found.items()}
    both = footing_of([study.pairs[one], study.pairs[other]])
    for name, _, powers in _RATIOS:
        terms = [
            Term(places[pair, column], sign * power, _footing(study, pair, column, both))
            for pair, sign in sides.values()
            for column, power in powers.items()
        ]
        row[f"{name}_ratio"] = logs.ratio(terms)
    row["flips"] = _flips(row["ipw_ratio"], row["ipj_ratio"])
    return row


def _footing(study: Study, pair: int, column: str, both: Footing) -> Footing | None:
    """Of joules and watts their pair's own sensor, unless the two are not to be compared."""
    if _MEASURED[column] != "energy":
        return None
    return both if both.why_not else footing_of([study.pairs[pair]])


def _unlike(one: StudyPair, other: StudyPair) -> list[str]:
    asked = [
        f"{name.replace('_', ' ')}: {one.asked.get(name, 'default')} and"
        f" {other.asked.get(name, 'default')}"
        for name in sorted({*one.asked, *other.asked})
        if one.asked.get(name) != other.asked.get(name)
    ]
    return asked + [
        f"{what}: {mine or 'unknown'} and {theirs or 'unknown'}"
        for what, mine, theirs in (
            ("precision", one.precision, other.precision),
            ("engine", one.engine, other.engine),
            ("load", one.load, other.load),
        )
        if mine != theirs
    ]


def _flips(ipw: StudyCell, ipj: StudyCell) -> str:
    sides = [_side(each) for each in (ipw, ipj)]
    if None in sides:
        return "undecided"
    if sides[0] == sides[1]:
        return f"both favour {sides[0]}"
    return f"flips: per watt {sides[0]}, per joule {sides[1]}"


def _side(ratio: StudyCell) -> str | None:
    if not isinstance(ratio, Estimate) or ratio.low is None or ratio.high is None:
        return None
    return "local" if ratio.low > 1 else "cloud" if ratio.high < 1 else None
