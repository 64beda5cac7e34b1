"""The study's tables: its eight known faults from the tables alone, and not from our data files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from perwatt.audit.engine import audit_publication
from perwatt.audit.finding import AuditReport, Finding
from perwatt.audit.load import load_builtin, publications

Document = dict[str, Any]


def documents() -> list[Document]:
    folder = files("perwatt.audit").joinpath("published")
    texts = [f.read_text(encoding="utf-8") for f in folder.iterdir() if f.name.endswith(".toml")]
    return [tomllib.loads(text, parse_float=str) for text in texts]


def audited(told: list[Document]) -> AuditReport:
    (publication,) = publications((str(n), document) for n, document in enumerate(told))
    return audit_publication(publication)


def rows(told: list[Document], name: str) -> list[list[Any]]:
    (found,) = [t for d in told for t in d.get("tables", []) if t["id"] == name]
    kept: list[list[Any]] = found["rows"]
    return kept


def claim(told: list[Document], name: str) -> Document:
    (found,) = [c for d in told for c in d.get("claims", []) if c["id"] == name]
    kept: Document = found
    return kept


@pytest.fixture(scope="module")
def report() -> AuditReport:
    (publication,) = load_builtin()
    return audit_publication(publication)


def found(report: AuditReport, rule: str, *texts: str) -> list[Finding]:
    return [
        f for f in report.findings if f.rule == rule and all(text in f.sentence for text in texts)
    ]


FAULTS: list[tuple[int, str, tuple[str, ...]]] = [
    (1, "implied-constant", ("M4 Max", "352.1 / 352.8 / 352.1 / 352.8 W")),
    (1, "implied-constant", ("B200", "252.8 / 253.3 / 253.2 / 252.7 W")),
    (1, "device-watts", ("171 W in Table 2", "240 W in Table 17", "305 W in Table 18")),
    (2, "plausibility", ("Table 13", "M4 Max draws 352 W", "2.4 times the 145 W")),
    (3, "systematic-factor", ("Table 17", "2.97–3.13 times", "“7x” would be 21.6x")),
    (4, "linear-savings", ("accuracy 0.8", "3 of 3 within rounding", "0.7995 to 0.7998")),
    (4, "linear-savings", ("accuracy 0.6", "+0.16", "0.6020 to 0.6041")),
    (5, "decomposition", ("3.1x of the model is the ratio of the accuracies (3.07x)",)),
    (5, "decomposition", ("1.7x of the device is the ratio of the implied watts (1.72x)",)),
    (5, "at-rating", ("293 W", "295 W that Quadro RTX 6000")),
    (6, "implied-latency", ("Qwen3-8B on M4 Max", "43 s and 15.1 kJ")),
    (6, "implied-latency", ("GPT-OSS-120B on M4 Max", "99 s and 16.9 kJ")),
    (6, "implied-latency", ("Qwen3-8B on B200", "26 s and 6.6 kJ")),
    (7, "unlike-comparison", ("an oracle against one model", "leads on 0 of 4")),
    (8, "coverage-bound", ("63.0%", "GPT-OSS-20B", "67.3%")),
    (8, "cross-table", ("63.0", "88.3", "active parameters")),
    (8, "cross-table", ("88.3", "80.9")),
    (8, "denominator", ("88.7", "unweighted 88.88%", "weighted by queries 92.63%")),
]


@pytest.mark.parametrize(("fault", "rule", "texts"), FAULTS)
def test_each_known_fault_is_found(
    fault: int, rule: str, texts: tuple[str, ...], report: AuditReport
) -> None:
    assert len(found(report, rule, *texts)) == 1, fault


@pytest.mark.parametrize(
    ("rule", "texts"),
    [
        ("ratio", ("Table 18 [GAIA, M4 Max, MiniMax-M2.5]", "4.44x")),
        ("ratio", ("Table 18 [GAIA, M4 Max, Qwen3-30B-A3B]", "2.49x")),
        ("ratio", ("IPJ", "4.41x")),
        ("extreme", ("GPT-5", "Gemini-2.5-Pro", "80.3", "77.9 is Claude-Sonnet-4.5's")),
        ("extreme", ("145", "A18 Pro")),
        ("cross-table", ("Architecture and engineering", "98.9", "99.4")),
        ("cross-table", ("Architecture and engineering", "40.8", "41.5")),
        ("cross-table", ("SuperGPQA", "77.0", "83.6")),
        ("cross-table", ("MMLU-Pro", "92.4", "93.4")),
        ("cross-table", ("MMLU-Pro", "78.3", "80.3")),
        ("cross-table", ("Table 14", "8.71", "Table 15", "8.92")),
        ("savings-bound", ("Table 9", "cost", "73.3%", "63.0%")),
        ("local-cost", ("80.4% of the energy", "80.7%", "0.25%–0.50%")),
        ("local-cost", ("97.4% of the compute", "98.4%")),
        ("mixture", ("energy 42%", "compute 80%", "cost 97%")),
        ("count", ("four benchmarks", "3")),
        ("count", ("five strategies", "4: 0.6, 0.8, 1.0 and 1 beside them")),
        ("denominator", ("Qwen3-235B", "3 parts")),
        ("denominator", ("71.4", "unweighted 71.95%", "weighted by queries 76.56%")),
        ("share-of-count", ("16.5%", "134 of 500K (Table 1)", "0.0268%")),
        ("statement", ("GPT-4o", "Qwen3-235B")),
    ],
)
def test_further_findings(rule: str, texts: tuple[str, ...], report: AuditReport) -> None:
    assert len(found(report, rule, *texts)) == 1


def test_what_holds_is_counted_and_not_told(report: AuditReport) -> None:
    held = {tally.rule: (tally.held, tally.checks) for tally in report.tallies}
    assert held["sum"] == (4, 4)
    assert held["share-of-count"] == (46, 47)
    assert held["product"] == (2, 2)
    assert report.held > 4 * len(report.findings)
    # Table 17's other devices, Table 18's thirty derived cells and Table 15's factors are right.
    for text in ("RTX 6000 Ada, FP4", "TBv2, 8xH100, Kimi-K2.5", "Table 15 [Qwen3-14B"):
        assert not any(text in f.sentence for f in report.findings if f.rule == "derived")
    assert not found(report, "ratio", "Table 13")
    assert not found(report, "denominator", "Table 4 [TOTAL]")


def test_a_share_of_a_count_says_what_it_would_be_of(report: AuditReport) -> None:
    (finding,) = found(report, "share-of-count")
    assert finding.consistent == "0.0268%, or 812 in all"


def test_a_claim_that_leans_on_a_cell_is_named_with_it(report: AuditReport) -> None:
    (finding,) = found(report, "coverage-bound", "63.0%")
    assert any("80.7%" in claim for claim in finding.leaning)


def test_the_data_files_hold_no_verdicts() -> None:
    kinds = {"source", "tables", "sets", "claims", "statements"}
    verdict = re.compile(r"contradict|wrong|fault|implausib|inconsisten|unsupported|oracle against")
    for document in documents():
        assert document.keys() <= kinds
        assert not verdict.search(str(document))


def mend_watts(told: list[Document]) -> None:
    for row, watts in zip(rows(told, "Table 13"), range(90, 180, 10), strict=True):
        row[3] = f"{float(row[2]) * 10 / watts:.3f}"


def mend_phone(told: list[Document]) -> None:
    for row in rows(told, "Table 17"):
        row[6] = f"{float(row[3]) * 10 / float(row[4]):.2f}"


def mend_router(told: list[Document]) -> None:
    for row, lost in zip(rows(told, "Routing"), (0, 6, 12), strict=True):
        row[1:] = [f"{float(cell) - lost:.1f}" for cell in row[1:]]


def mend_decomposition(told: list[Document]) -> None:
    # The older model on the newer device: 2.4e-3 of it is the device's, the rest the model's.
    rows(told, "Table 2").append(["crossed", "Mixtral-8x7B-v0.1", "M4 Max", "23.2", "13.5"])


def mend_latency(told: list[Document]) -> None:
    for row in rows(told, "Table 14"):
        row[2] = f"{float(row[2]) * 20:.1f}"


def mend_comparison(told: list[Document]) -> None:
    for row in rows(told, "Figure 2"):
        row[2] = str(float(row[2]) + 8 if row[0] != "WildChat" else 99.0)
    claim(told, "best-of-local beats cloud")["wins"] = 1


def mend_coverage(told: list[Document]) -> None:
    rows(told, "Table 4")[-1][-1] = "88.3"
    rows(told, "Figure 12")[0][1] = "88.3"


MENDS: list[tuple[str, Callable[[list[Document]], None], tuple[str, ...]]] = [
    ("implied-constant", mend_watts, ()),
    ("device-watts", mend_watts, ()),
    ("plausibility", mend_watts, ("Table 13",)),
    ("systematic-factor", mend_phone, ()),
    ("derived", mend_phone, ("Table 17",)),
    ("linear-savings", mend_router, ()),
    ("decomposition", mend_decomposition, ("no cell",)),
    ("implied-latency", mend_latency, ("on M4 Max",)),
    ("unlike-comparison", mend_comparison, ()),
    ("coverage-bound", mend_coverage, ()),
    ("cross-table", mend_coverage, ("NaturalReasoning",)),
]


@pytest.mark.parametrize(("rule", "mend", "texts"), MENDS)
def test_with_other_numbers_the_finding_is_gone(
    rule: str,
    mend: Callable[[list[Document]], None],
    texts: tuple[str, ...],
    report: AuditReport,
) -> None:
    told = documents()
    mend(told)
    assert found(report, rule, *texts)
    assert not found(audited(told), rule, *texts)
