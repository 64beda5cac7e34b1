"""What fewer bits cost in right answers and save in joules, on one model and device."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyPair, StudyTable
from perwatt.predict.models import model_key
from perwatt.stats.moments import Moments
from perwatt.study.cells import rolled
from perwatt.study.estimates import Factor, log_ratio, mean_of
from perwatt.study.figures import figure_columns, figures
from perwatt.study.footing import Footing, footing_of, same_sensors
from perwatt.study.item_grid import item_grid
from perwatt.study.study import Study
from perwatt.study.unpaired import difference, unpaired_ratio

__all__ = ["bits_of", "precision_table"]

Row = dict[str, StudyCell]

_FIGURES = ("accuracy", "energy_gross_j", "ipj", "j_per_correct")
_PAIRED = 20_000
"""Beyond so many items the unpaired interval is narrow enough, and one pass over the files does."""


def precision_table(study: Study) -> StudyTable | None:
    """None where no model was asked in two precisions on one device under one load."""
    sums = {pair: m for (pair,), m in rolled(study.cells()).items()}
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, pair in enumerate(study.pairs):
        if pair.precision is not None and number in sums:
            # A model's name may end in its precision: `smollm2-135m@q4_0`.
            asked = tuple(f"{name}={value}" for name, value in sorted(pair.asked.items()))
            key = (model_key(pair.model), pair.engine, pair.device, pair.load, *asked)
            groups.setdefault(key, []).append(number)
    rows: list[Row] = []
    for group in groups.values():
        if len({study.pairs[number].precision for number in group}) > 1:
            rows += _group(study, sums, sorted(group, key=lambda n: _width(study.pairs[n])))
    if not rows:
        return None
    return StudyTable(
        name="precision",
        drawn=("joules_ratio",),
        title="Precision",
        what="One model, engine, device and load, by the precision of its weights, each against the"
        " widest one (as arXiv 2511.07885 Table 15 puts them side by side).",
        columns=(
            StudyColumn(name="pair", title="Pair"),
            StudyColumn(name="model", title="Model"),
            StudyColumn(name="device", title="Device"),
            StudyColumn(name="precision", title="Precision"),
            *figure_columns(_FIGURES),
            StudyColumn(
                name="accuracy_change",
                title="Accuracy, change",
                what="mean aᵢ less that of the widest precision",
            ),
            StudyColumn(
                name="joules_ratio",
                title="Joules, times",
                what="mean Eᵢ over that of the widest precision, gross",
            ),
            StudyColumn(
                name="compared", title="Compared on", what="items both were asked, or all of each"
            ),
        ),
        rows=tuple(rows),
        finding=_finding(rows),
        notes=(
            "The widest is the one with the most bits to a weight by its name; the first met, where"
            " two have as many.",
            "Where the same sensor read both, its own error cancels in the ratio.",
            f"Pairs of more than {_PAIRED} items are compared unpaired: what items have in common"
            " is not taken out, which can only widen the interval of a positive correlation.",
        ),
    )


def bits_of(precision: str) -> float | None:
    """Bits to a weight by its name: `q4_k_m` 4, `bf16` 16, `fp8` 8, `int4` 4, `iq3_xs` 3."""
    found = re.search(r"(?:q|fp|float|f|int|bf|w|mxfp|nf)(\d+)", precision.lower())
    return float(found[1]) if found else None


def _width(pair: StudyPair) -> float:
    """Widest first; one whose name does not say comes last."""
    return -(bits_of(pair.precision or "") or 0.0)


def _group(study: Study, sums: dict[int, Moments], group: Sequence[int]) -> list[Row]:
    widest, *others = group
    rows = [_row(study, sums[widest], widest)]
    small = all(sums[number].clusters <= _PAIRED for number in group)
    grid = item_grid(study, [[number] for number in group]) if small else None
    for place, number in enumerate(others, start=1):
        row = _row(study, sums[number], number)
        footing, same = _shared(study, study.pairs[number], study.pairs[widest])
        both = grid.common((0, place)) if grid is not None else None
        if both is not None and both.cluster.size:
            row["compared"] = f"{both.cluster.size} items, paired"
            score, joules = (np.asarray(x, dtype=np.float64) for x in (both.score, both.joules))
            apart = score[:, place] - score[:, 0]
            row["accuracy_change"] = mean_of(apart, both.cluster, "share", noun="score")
            # What one sensor is off by cancels.
            sensor = None if same else footing
            ratio = log_ratio(
                [
                    Factor(joules[:, place], 1, "energy", sensor),
                    Factor(joules[:, 0], -1, "energy", sensor),
                ],
                both.cluster,
            )
        else:
            row["compared"] = "all items of each, unpaired"
            row["accuracy_change"] = difference(sums[number], sums[widest], "score", "share")
            ratio = unpaired_ratio(
                sums[number],
                sums[widest],
                "energy_gross_j",
                gain=(1.0, 1.0) if same else footing.gain,
            )
        row["joules_ratio"] = _on(ratio, footing)
        rows.append(row)
    return rows


def _row(study: Study, moments: Moments, number: int) -> Row:
    pair = study.pairs[number]
    about: Row = {
        "pair": pair.label,
        "model": pair.model,
        "device": pair.device,
        "precision": pair.precision,
    }
    return {**about, **figures(moments, pair, _FIGURES)}


def _shared(study: Study, pair: StudyPair, widest: StudyPair) -> tuple[Footing, bool]:
    """What their joules rest on, and whether one sensor read both."""
    footing = footing_of([pair, widest])
    if footing.why_not is None and pair.grade != widest.grade:
        why = f"their joules are of unlike grades, {pair.grade} and {widest.grade}"
        footing = msgspec.structs.replace(footing, why_not=why)
    return footing, same_sensors(study, [pair, widest])


def _on(ratio: Estimate, footing: Footing) -> Estimate:
    if footing.why_not:
        return Estimate(value=None, n=ratio.n, reason=footing.why_not)
    return msgspec.structs.replace(ratio, grade=footing.grade, boundary=footing.boundary)


def _finding(rows: Sequence[Row]) -> str:
    changed = [row for row in rows if _ratio(row) is not None]
    if not changed:
        return ""
    least = min(changed, key=lambda row: _ratio(row) or 0.0)
    return (
        f"{least['pair']} takes {least['joules_ratio']} times the joules of its widest precision;"
        f" its accuracy changes by {_points(least['accuracy_change'])}."
    )


def _points(change: object) -> str:
    """A difference of two shares is in points, not in per cent of either."""
    if not isinstance(change, Estimate) or change.value is None:
        return "what is not known"
    text = f"{100 * change.value:+.1f} points"
    if change.low is not None and change.high is not None:
        text += f" [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
    return text.replace("-", "−")


def _ratio(row: Row) -> float | None:
    found = row.get("joules_ratio")
    return found.value if isinstance(found, Estimate) else None
