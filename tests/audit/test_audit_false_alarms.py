"""What is consistent and looks odd: digits that hide more than they show, ties, two kinds of means.

Each was once found and ought not to have been; beside it stands what has to be found still.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from perwatt.audit.finding import AuditReport, Finding

Document = dict[str, Any]
Audit = Callable[[Document], AuditReport]
TEXT = {"where": "§1", "says": "as the table has it"}


def document(
    keys: list[str], columns: list[str], rows: list[list[str | int]], **more: Any
) -> Document:
    """One table; a column is "name role unit", or "name role unit key=value"."""
    made = []
    for column in columns:
        name, role, unit, *given = column.split()
        made.append(
            {"name": name, "role": role, "unit": unit, "keys": dict(g.split("=") for g in given)}
        )
    one = {"id": "T", "where": "Table 1", "keys": keys, "columns": made, "rows": rows}
    return {"source": {"id": "made up"}, "tables": [one], **more}


def found(report: AuditReport, rule: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule == rule]


@pytest.mark.parametrize(("total", "severity"), [("71.55", None), ("75.00", "contradiction")])
def test_weights_printed_in_thousands_have_a_rounding_too(
    total: str, severity: str | None, audit: Audit
) -> None:
    # Weighted by the 1,040 and 1,090 queries that there were; by 1,000 and 1,100 it would be 71.72.
    told = document(
        ["benchmark"],
        ["n count count", "solved accuracy %"],
        [["a", "1.0K", "64.31"], ["b", "1.1K", "78.46"], ["TOTAL", "2.1K", total]],
        claims=[
            {
                "id": "total",
                "kind": "mean",
                "printed": {"table": "T", "column": "solved", "benchmark": "TOTAL"},
                "of": {"table": "T", "column": "solved"},
                "weights": {"table": "T", "column": "n"},
                **TEXT,
            }
        ],
    )
    told_of = found(audit(told), "denominator")
    assert [finding.severity for finding in told_of] == ([severity] if severity else [])


@pytest.mark.parametrize(("total", "many"), [(600, 0), (601, 1), ("0.6K", 0)])
def test_counts_are_exact_as_far_as_they_are_printed(
    total: str | int, many: int, audit: Audit
) -> None:
    told = document(
        ["category"],
        ["n count count"],
        [["a", 100], ["b", 200], ["c", 300], ["TOTAL", total]],
        claims=[
            {
                "id": "all",
                "kind": "sum",
                "printed": {"table": "T", "category": "TOTAL"},
                "of": {"table": "T", "column": "n"},
                **TEXT,
            }
        ],
    )
    assert len(found(audit(told), "sum")) == many


@pytest.mark.parametrize(("joules", "many"), [("1020", 0), ("1030", 1), ("1016", 0), ("1018", 1)])
def test_zeros_at_the_end_of_a_measured_number_may_be_rounding(
    joules: str, many: int, audit: Audit
) -> None:
    """169.0 W × 6.010 s is 1,016 J, and three digits of it are 1020; 1018 has four."""
    told = document(
        ["model", "device"],
        ["watts power_w W", "time seconds s", "energy energy_j J"],
        [["a", "x", "169.0", "6.010", joules], ["b", "x", "16.20", "6.000", "97.2"]],
    )
    assert len(found(audit(told), "derived")) == many


def test_watts_that_are_a_mean_over_queries_are_a_note_and_no_contradiction(audit: Audit) -> None:
    # 10 W for 1 s and 20 W for 3 s: 35 J a query, and 15 W × 2 s is 30 J.
    columns = ["watts power_w W", "time seconds s", "energy energy_j J"]
    report = audit(document(["model"], columns, [["a", "15.0", "2.00", "35.0"]]))
    (finding,) = found(report, "derived")
    assert finding.severity == "note"
    assert "a mean of each query's" in finding.consistent
    report = audit(document(["model"], columns, [["a", "15.0", "2.00", "90.0"]]))
    assert [finding.severity for finding in found(report, "derived")] == ["contradiction"]


@pytest.mark.parametrize(
    ("factors", "many"), [((0.97, 1.03, 1.02), 0), ((1.01, 1.04, 1.06), 0), ((1.05, 1.05, 1.06), 1)]
)
def test_rows_that_are_off_each_its_own_way_are_no_one_factor(
    factors: tuple[float, ...], many: int, audit: Audit
) -> None:
    columns = ["accuracy accuracy %", "watts power_w W", "IPW ipw 1e-3/W"]
    rows: list[list[str | int]] = [
        [f"m{n}", "x", "60.00", "100.0", f"{6 / factor:.3f}"] for n, factor in enumerate(factors)
    ]
    report = audit(document(["model", "device"], columns, rows))
    assert len(found(report, "derived")) == 3
    assert len(found(report, "systematic-factor")) == many


@pytest.mark.parametrize(("digits", "rules"), [(1, []), (4, ["implied-constant", "at-rating"])])
def test_coarse_digits_show_neither_a_constant_nor_a_rating(
    digits: int, rules: list[str], audit: Audit
) -> None:
    watts = (364.0, 371.0, 367.0) if digits == 1 else (367.0,) * 3
    rows: list[list[str | int]] = [
        [f"m{n}", "x", f"{a:.2f}", f"{1e1 * a / w:.{digits}f}"]
        for n, (a, w) in enumerate(zip((50.0, 60.0, 70.0), watts, strict=True))
    ]
    told = document(["model", "device"], ["accuracy accuracy %", "IPW ipw 1e-3/W"], rows)
    rated = document(["device"], ["power rated_w W"], [["x", 367]])["tables"][0]
    told["tables"].append(rated | {"id": "Rated"})
    report = audit(told)
    assert [r for r in ("implied-constant", "at-rating") if found(report, r)] == rules


ROUTERS = {
    "baseline": (["1.0", "80.0", "75.0"], ["0.0", "0.0", "0.0"], 0),
    "nearly the oracle, and simulated": (["1", "80.0", "75.0"], ["0.95", "74.2", "69.4"], 0),
    "its accuracy alone": (["1", "80.0", "75.0"], ["0.95", "76.0", "71.3"], 1),
}


@pytest.mark.parametrize("case", ROUTERS)
def test_what_a_router_of_little_or_much_error_saves(case: str, audit: Audit) -> None:
    *rows, many = ROUTERS[case]
    columns = ["joules saving % resource=energy", "price saving % resource=cost"]
    report = audit(document(["router"], columns, [list(row) for row in rows]))
    assert len(found(report, "linear-savings")) == many


@pytest.mark.parametrize("oracle", ["1", "1.0", "1.00"])
def test_the_oracle_is_known_however_it_is_written(oracle: str, audit: Audit) -> None:
    told = document(["router"], ["joules saving % resource=energy"], [[oracle, "80.4"]])
    share = document(["router"], ["local share %"], [[oracle, "80.7"]])["tables"][0]
    told["tables"].append(share | {"id": "Shares"})
    for one in told["tables"]:
        one["given"] = {"workload": "all"}
    assert len(found(audit(told), "local-cost")) == 1


def test_a_tie_in_the_printed_digits_may_be_won_by_either(audit: Audit) -> None:
    rows: list[list[str | int]] = [["p", 80, 80], ["q", 70, 60]]
    columns = ["left coverage % set=l", "right coverage % set=r"]
    for wins, many in ((1, 0), (2, 0), (0, 1)):
        comparison = {
            "id": "who wins",
            "kind": "comparison",
            "by": "benchmark",
            "wins": wins,
            "rows": 2,
            "left": {"table": "T", "column": "left"},
            "right": {"table": "T", "column": "right"},
            "left_set": "l",
            "right_set": "r",
            "singles": {"table": "T"},
            **TEXT,
        }
        sets: list[Document] = [{"id": name, "members": []} for name in ("l", "r")]
        told = document(["benchmark"], columns, rows, claims=[comparison], sets=sets)
        assert len(found(audit(told), "unlike-comparison")) == many


@pytest.mark.parametrize(("model", "many"), [("a", 0), ("b", 0), ("c", 1)])
def test_of_two_bests_that_are_printed_alike_either_may_be_named(
    model: str, many: int, audit: Audit
) -> None:
    best = {
        "id": "best",
        "kind": "extreme",
        "printed": 87,
        "of": {"table": "T"},
        "winner": {"model": model},
        **TEXT,
    }
    rows: list[list[str | int]] = [["a", 87], ["b", 87], ["c", 80]]
    report = audit(document(["model"], ["accuracy accuracy %"], rows, claims=[best]))
    assert len(found(report, "extreme")) == many


@pytest.mark.parametrize(
    ("role", "unit", "cell", "many"),
    [
        ("accuracy", "%", "100", 0),
        ("accuracy", "%", "100.4", 1),
        ("coverage", "share", "1.0", 0),
        ("share", "%", "-0.1", 1),
        ("saving", "%", "-40.0", 0),
        ("saving", "%", "101", 1),
        ("power_w", "W", "0.0", 0),
        ("energy_j", "kJ", "-3", 1),
        ("ratio", "x", "-3", 0),
    ],
)
def test_what_a_number_of_its_kind_can_be(
    role: str, unit: str, cell: str, many: int, audit: Audit
) -> None:
    report = audit(document(["model"], [f"c {role} {unit}"], [["a", cell]]))
    assert len(found(report, "possible")) == many


def test_a_ratio_against_several_is_checked_against_each(audit: Audit) -> None:
    ratio = {
        "id": "lead",
        "kind": "ratio",
        "printed": "2.0",
        "bound": "at least",
        "of": {"table": "T", "device": "x"},
        "to": {"table": "T", "device": ["y", "z"]},
        "across": ["device"],
        **TEXT,
    }
    rows: list[list[str | int]] = [["a", "x", "6.00"], ["a", "y", "4.00"], ["a", "z", "2.00"]]
    report = audit(document(["model", "device"], ["IPW ipw 1e-3/W"], rows, claims=[ratio]))
    (finding,) = found(report, "ratio")
    assert "6.00 / 4.00 = 1.5x" in finding.sentence
    assert finding.consistent == "at least 1.5x"


def test_a_share_may_be_of_either_total_of_its_row(audit: Audit) -> None:
    columns = ["n count count", "part share %"]
    rows: list[list[str | int]] = [
        ["a", "p", 30, "30.0"],
        ["a", "q", 70, "70.0"],
        ["b", "p", 90, "90.0"],
        ["b", "q", 10, "11.0"],
        ["TOTAL", "p", 120, "–"],
        ["TOTAL", "q", 80, "–"],
        ["a", "TOTAL", 100, "–"],
        ["b", "TOTAL", 100, "–"],
    ]
    (finding,) = found(audit(document(["model", "category"], columns, rows)), "share-of-count")
    assert finding.cells[0].row == "b, q"


@pytest.mark.parametrize(("single", "many"), [("64.0±2.0", 0), ("64.0", 1), ("66.0±2.0", 1)])
def test_a_coverage_below_a_member_by_no_more_than_the_printed_spread(
    single: str, many: int, audit: Audit
) -> None:
    told = document(["benchmark"], ["any coverage % set=s"], [["p", "63.0"]])
    one = document(["benchmark"], ["a accuracy % model=a"], [["p", single]])["tables"][0]
    told["tables"].append(one | {"id": "Singles"})
    told["sets"] = [{"id": "s", "members": ["a"]}]
    assert len(found(audit(told), "coverage-bound")) == many
