"""A consistent study raises nothing; whatever is planted in it is found, and named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.audit.finding import AuditReport
from perwatt.audit.rules import RULES

Document = dict[str, Any]
Audit = Callable[[Document], AuditReport]
Plant = Callable[[Document, int, float], str]
"""Spoils a document in the place that the number picks; returns what a finding must name."""

PLANTS: dict[str, Plant] = {}


def plant(rule: str) -> Callable[[Plant], Plant]:
    def keep(function: Plant) -> Plant:
        PLANTS[rule] = function
        return function

    return keep


def table(document: Document, name: str) -> Document:
    return next(t for t in document["tables"] if t["id"] == name)


def claim(document: Document, name: str) -> Document:
    return next(c for c in document["claims"] if c["id"] == name)


def times(cell: str, factor: float) -> str:
    """As many decimals as were printed; never the same digits again."""
    places = len(cell.partition(".")[2])
    return f"{float(cell) * factor:.{places}f}"


@plant("possible")
def _(document: Document, pick: int, factor: float) -> str:
    row = table(document, "Pairs")["rows"][pick % 6]
    if pick % 2:
        row[3] = f"-{row[3]}"
        return f"Pairs|{row[0]}, {row[1]}|power"
    row[2] = f"{100 + factor:.2f}"
    return f"Pairs|{row[0]}, {row[1]}|accuracy"


@plant("derived")
def _(document: Document, pick: int, factor: float) -> str:
    rows = table(document, "Pairs")["rows"]
    row, column = rows[pick % len(rows)], (5, 6, 7)[pick % 3]
    row[column] = times(row[column], factor)
    return f"Pairs|{row[0]}, {row[1]}|{('energy', 'IPW', 'IPJ')[pick % 3]}"


@plant("systematic-factor")
def _(document: Document, pick: int, factor: float) -> str:
    device = ("laptop", "server")[pick % 2]
    for row in table(document, "Pairs")["rows"]:
        if row[1] == device:
            row[6] = times(row[6], factor)
    return f"Pairs|small, {device}|IPW"


@plant("implied-constant")
def _(document: Document, pick: int, factor: float) -> str:
    device = ("laptop", "server")[pick % 2]
    for row in table(document, "Again")["rows"]:
        if row[1] == device:
            row[3] = f"{float(row[2]) / 100 / (100 * factor) * 1e3:.4g}"
    return f"Again|small, {device}|IPW"


@plant("device-watts")
def _(document: Document, pick: int, factor: float) -> str:
    named = PLANTS["implied-constant"](document, pick, 10 * factor)
    return named.replace("Again", "Pairs").replace("IPW", "power")


@plant("plausibility")
def _(document: Document, pick: int, factor: float) -> str:
    row = table(document, "Devices")["rows"][pick % 2]
    drawn = [r for r in table(document, "Pairs")["rows"] if r[1] == row[0]]
    most = max(drawn, key=lambda r: float(r[3]))
    row[1] = f"{float(most[3]) / (1.2 * factor):.1f}"
    return f"Pairs|{most[0]}, {row[0]}|power"


@plant("at-rating")
def _(document: Document, pick: int, factor: float) -> str:
    row = table(document, "Devices")["rows"][pick % 2]
    model = ("small", "medium", "large")[pick % 3]
    (drawn,) = [r for r in table(document, "Pairs")["rows"] if r[:2] == [model, row[0]]]
    row[1] = drawn[3]
    return f"Again|{model}, {row[0]}|IPW"


@plant("implied-latency")
def _(document: Document, pick: int, factor: float) -> str:
    pairs = table(document, "Pairs")
    row = pairs["rows"][pick % len(pairs["rows"])]
    row[4] = "–"
    row[7] = times(row[7], 0.05 / factor)
    return f"Pairs|{row[0]}, {row[1]}|IPJ"


@plant("ratio")
def _(document: Document, pick: int, factor: float) -> str:
    one = claim(document, "ratio")
    highest = one["printed"].partition("–")[2]
    one["printed"] = f"{float(highest) * factor * 1.1:.3f}"
    return "Pairs|small, laptop|IPW"


@plant("product")
def _(document: Document, pick: int, factor: float) -> str:
    factors = claim(document, "product")["factors"]
    larger = f"{float(factors[pick % 2]) * factor * 1.2:.4f}"
    factors[pick % 2] = larger
    return larger


@plant("decomposition")
def _(document: Document, pick: int, factor: float) -> str:
    if pick % 2:  # the crossed cells go: nothing is left that could tell the two apart
        for name in ("Pairs", "Again"):
            rows = table(document, name)["rows"]
            crossed = [r for r in rows if r[:2] in (["large", "laptop"], ["small", "server"])]
            for row in crossed:
                rows.remove(row)
        return "no cell has one of them changed alone"
    factors = claim(document, "shares")["factors"]
    factors["model"] = f"{float(factors['model']) * factor * 1.1:.4f}"
    return "Pairs|large, server|IPW"


@plant("coverage-bound")
def _(document: Document, pick: int, factor: float) -> str:
    rows = table(document, "Sets")["rows"]
    column = pick % 2
    row = rows[(pick // 2) % 2]
    row[1 + column] = f"{float(row[1 + column]) * 0.3 / factor:.1f}"
    return f"Sets|{row[0]}|{('local', 'cloud')[column]}"


@plant("cross-table")
def _(document: Document, pick: int, factor: float) -> str:
    rows = table(document, "Again")["rows"]
    row, column = rows[pick % len(rows)], 2 + pick % 2
    row[column] = times(row[column], factor)
    return f"Again|{row[0]}, {row[1]}|{('accuracy', 'IPW')[pick % 2]}"


@plant("denominator")
def _(document: Document, pick: int, factor: float) -> str:
    rows = table(document, "Categories")["rows"]
    rows[-1][3] = times(rows[-1][3], 1 / factor)
    return "Categories|TOTAL|solved"


@plant("unlike-comparison")
def _(document: Document, pick: int, factor: float) -> str:
    if pick % 2:
        claim(document, "who wins")["wins"] += 1
        return "and the cells give"
    singles = table(document, "Singles")["rows"]
    for row in table(document, "Sets")["rows"]:
        column = 1 + ("chat", "exam").index(row[0])
        row[2] = max((r[column] for r in singles if r[0] in ("vast", "huge")), key=float)
    return "an oracle against one model"


@plant("linear-savings")
def _(document: Document, pick: int, factor: float) -> str:
    rows = table(document, "Routing")["rows"]
    row = rows[1 + pick % 2]
    row[1:] = [f"{float(row[0]) * float(cell):.1f}" for cell in rows[0][1:]]
    return f"Routing|{row[0]}|energy"


@plant("savings-bound")
def _(document: Document, pick: int, factor: float) -> str:
    row, column = table(document, "Routing")["rows"][pick % 3], 1 + pick % 2
    row[column] = f"{100 * factor:.1f}"
    return f"Routing|{row[0]}|{('energy', 'cost')[pick % 2]}"


@plant("local-cost")
def _(document: Document, pick: int, factor: float) -> str:
    served = table(document, "Categories")["rows"][-1][3]
    table(document, "Routing")["rows"][0][1 + pick % 2] = f"{float(served) - 0.3:.1f}"
    return f"Routing|1.0|{('energy', 'cost')[pick % 2]}"


@plant("mixture")
def _(document: Document, pick: int, factor: float) -> str:
    chat, exam, both = table(document, "Both")["rows"]
    column = 1 + pick % 2
    if pick % 3:
        both[column] = f"{max(float(chat[column]), float(exam[column])) + factor:.2f}"
        return f"Both|both|{('energy', 'cost')[pick % 2]}"
    chat[1:], exam[1:], both[1:] = ["80.0", "60.0"], ["40.0", "30.0"], ["60.0", "45.0"]
    both[column] = f"{float(both[column]) + factor:.2f}"
    return "no one weighing of the parts"


@plant("sum")
def _(document: Document, pick: int, factor: float) -> str:
    rows = table(document, "Categories")["rows"]
    rows[-1][1] = round(rows[-1][1] * factor) + 3
    return "Categories|TOTAL|queries"


@plant("share-of-count")
def _(document: Document, pick: int, factor: float) -> str:
    row = table(document, "Categories")["rows"][pick % 3]
    row[2] = times(row[2], factor * 1.1)
    return f"Categories|{row[0]}|share"


@plant("count")
def _(document: Document, pick: int, factor: float) -> str:
    claim(document, "benchmarks")["printed"] += 1 + pick % 3
    return "Singles|small|chat"


@plant("extreme")
def _(document: Document, pick: int, factor: float) -> str:
    one = claim(document, "best")
    if pick % 2:
        one["winner"] = {"model": {"small": "large"}.get(one["winner"]["model"], "small")}
    else:
        one["printed"] = times(one["printed"], factor)
    return "the largest"


@plant("statement")
def _(document: Document, pick: int, factor: float) -> str:
    document["statements"][pick % 2]["says"] = "another model"
    return "The judge"


def named(report: AuditReport, rule: str) -> str:
    """All that a rule's findings name, in one text."""
    found = [finding for finding in report.findings if finding.rule == rule]
    cells = [f"{c.table}|{c.row}|{c.column}" for finding in found for c in finding.cells]
    return "\n".join([*cells, *(finding.sentence for finding in found)])


def test_every_rule_is_planted() -> None:
    assert sorted(PLANTS) == sorted(rule.name for rule in RULES)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), many=st.integers(2, 5))
def test_no_rule_fires_on_a_consistent_study(
    seed: int, many: int, made_up: Callable[..., Any], audit: Audit
) -> None:
    report = audit(made_up(seed, many).document())
    assert [finding.sentence for finding in report.findings] == []
    assert report.checks == report.held > 100


@pytest.mark.parametrize("rule", sorted(PLANTS))
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10**6), pick=st.integers(0, 11), factor=st.floats(1.06, 3))
def test_what_is_planted_is_found_and_named(
    rule: str, seed: int, pick: int, factor: float, made_up: Callable[[int], Any], audit: Audit
) -> None:
    document = made_up(seed).document()
    assert "|" not in named(audit(document), rule)
    wanted = PLANTS[rule](document, pick, factor)
    assert wanted in named(audit(document), rule)
