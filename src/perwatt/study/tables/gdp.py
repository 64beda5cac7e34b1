"""Accuracy weighted by what each category of work is worth, from the user's own table."""

from __future__ import annotations

import math
from collections.abc import Mapping

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.stats.intervals import Interval
from perwatt.stats.moments import mean_interval
from perwatt.study.cells import rolled
from perwatt.study.claims import claim
from perwatt.study.estimates import nothing
from perwatt.study.study import Study

__all__ = ["gdp"]

_COLUMNS = (
    StudyColumn(name="pair", title="pair"),
    StudyColumn(name="accuracy", title="accuracy", what="Mean score over all items, unweighted."),
    StudyColumn(
        name="weighted",
        title="GDP-weighted",
        what="Σ w_c a_c / Σ w_c over the categories c that were asked: the weights of the others "
        "are left out, and the rest counts as the whole.",
    ),
    StudyColumn(
        name="at_least",
        title="at least",
        what="Σ w_c a_c / Σ w_c over all weights, as if no item of a category that was not asked "
        "were answered: not renormalised.",
    ),
    StudyColumn(name="at_most", title="at most", what="The same, as if all of them were answered."),
    StudyColumn(name="covered", title="weight asked", what="Share of all weight that was asked."),
    StudyColumn(name="categories", title="categories", what="With a weight, and asked."),
    StudyColumn(name="items", title="items", what="Clusters of items in those."),
)


def gdp(study: Study) -> StudyTable | None:
    """None where --facts has no [gdp]."""
    weights = study.facts.gdp
    if not weights:
        return None
    by_category = rolled(study.cells(), by=("pair", "category"))
    overall = rolled(study.cells(), by=("pair",))
    rows: list[dict[str, StudyCell]] = []
    seen: dict[str | None, int] = {}
    for (pair,), moments in overall.items():
        own = {category: m for (p, category), m in by_category.items() if p == pair}
        for category, m in own.items():
            seen[category] = seen.get(category, 0) + m.answers
        found = {c: mean_interval(own[c], "score") for c in weights if c in own}
        plain = mean_interval(moments, "score")
        rows.append(
            {
                "pair": study.pairs[pair].label,
                "accuracy": _estimate(plain),
                **_weighted(found, weights),
                "categories": len(found),
                "items": sum(each.n for each in found.values()),
            }
        )
    rows.sort(key=lambda row: -(getattr(row["weighted"], "value", None) or 0.0))
    return StudyTable(
        name="gdp",
        title="GDP-weighted accuracy",
        what="A row is a pair: its accuracy by category, weighted by the [gdp] of "
        f"{study.facts.path or 'the facts given'} (arXiv 2511.07885 App. E.7, which prints no "
        "weights).",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=claim(
            f"{rows[0]['pair']}: {rows[0]['weighted']} when categories weigh by GDP, "
            f"{rows[0]['accuracy']} when items do.",
            rows[0]["weighted"],
            rows[0]["accuracy"],
        )
        if rows
        else "",
        notes=(
            "A category counts by its worth and not by how many were asked; that an item of a "
            "category stands for all work in it is the weighting's assumption, not a finding.",
            "Intervals of the categories, taken as independent, are put together by their "
            "distances from the value, squared (Zou & Donner 2008).",
            *_odd(weights, seen),
        ),
    )


def _odd(weights: Mapping[str, float], seen: Mapping[str | None, int]) -> list[str]:
    """Weights that nothing was asked of, and items that have none."""
    idle = [name for name in weights if name not in seen]
    weightless = [name for name in seen if name is not None and name not in weights]
    notes = []
    if idle:
        share = sum(weights[name] for name in idle) / sum(weights.values())
        notes.append(
            f"Weighted, but in no run ({share:.1%} of all weight): {'; '.join(idle)}. A name must "
            "be spelt as in the runs."
        )
    if weightless:
        count = sum(seen[name] for name in weightless)
        notes.append(f"Without a weight, left out ({count} answers): {'; '.join(weightless)}.")
    if None in seen:
        notes.append(f"{seen[None]} answers are of no category, and are left out.")
    return notes


def _weighted(found: Mapping[str, Interval], weights: Mapping[str, float]) -> dict[str, StudyCell]:
    whole = sum(weights.values())
    asked = sum(weights[c] for c in found)
    n = sum(each.n for each in found.values())
    names = ("weighted", "at_least", "at_most")
    covered = Estimate(value=asked / whole, unit="share", n=n, method="of the weights given")
    bad = next((f"{c}: {i.reason}" for c, i in found.items() if i.value is None), None)
    if bad or not found:
        why = bad or "no category with a weight was asked"
        return {**{name: nothing(why, "share", n) for name in names}, "covered": covered}
    mean = sum(weights[c] * (i.value or 0.0) for c, i in found.items()) / asked
    down, up = (_reach(found, weights, side) / asked for side in ("low", "high"))
    lone = [c for c, i in found.items() if i.low is None]
    caution = f"one item alone in {', '.join(lone)}: it could be anything there" if lone else None
    scale, rest = asked / whole, 1 - asked / whole

    def made(factor: float, offset: float) -> Estimate:
        value = min(1.0, mean * factor + offset)
        return Estimate(
            value=value,
            low=min(value, max(0.0, (mean - down) * factor + offset)),
            high=max(value, min(1.0, (mean + up) * factor + offset)),
            unit="share",
            n=n,
            method="score intervals by category, put together by Zou & Donner's rule",
            reason=caution,
        )

    return {
        "weighted": made(1.0, 0.0),
        "at_least": made(scale, 0.0),
        "at_most": made(scale, rest),
        "covered": covered,
    }


def _reach(found: Mapping[str, Interval], weights: Mapping[str, float], side: str) -> float:
    total = 0.0
    for category, each in found.items():
        bound = getattr(each, side)
        if bound is None:
            bound = 0.0 if side == "low" else 1.0
        total += (weights[category] * (bound - (each.value or 0.0))) ** 2
    return math.sqrt(total)


def _estimate(found: Interval) -> Estimate:
    return Estimate(
        value=found.value,
        low=found.low,
        high=found.high,
        unit="share",
        n=found.n,
        method=found.method,
        reason=found.reason,
    )
