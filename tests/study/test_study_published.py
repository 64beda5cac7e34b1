"""The study's table of what others published: their figures as they are, and their arithmetic."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyTable
from perwatt.store.exchange.read import read_foreign
from perwatt.store.exchange.to_run import write_run
from perwatt.study.study import open_study
from perwatt.study.tables.published import published

GOLDEN = Path(__file__).parents[1] / "golden" / "exchange"
SHARED = Path(os.environ.get("PERWATT_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


def table_of(runs: Path, *files: Path) -> StudyTable:
    for number, file in enumerate(files):
        write_run([read_foreign(file)], runs / f"run{number}")
    with open_study([runs]) as study:
        table = published(study)
    assert table is not None
    return table


def values(table: StudyTable, column: str) -> list[float | None]:
    cells = [row.get(column) for row in table.rows]
    return [cell.value if isinstance(cell, Estimate) else None for cell in cells]


def test_joules_per_token_come_back_exactly(tmp_path: Path) -> None:
    path = SHARED / "energy" / "mlenergy_v3_llm.csv"
    if not path.is_file():
        pytest.skip("the published table is not on this machine")
    table = table_of(tmp_path, path)
    with path.open(newline="") as file:
        true = [float(row["j_per_out_token"]) for row in csv.DictReader(file)]
    assert len(true) == 838
    assert values(table, "j_per_output_token") == true
    assert any("in 838 of 838 rows" in note for note in table.notes)


def test_figures_have_grade_boundary_and_what_follows_from_them(tmp_path: Path) -> None:
    table = table_of(tmp_path, GOLDEN / "mlenergy_v3.csv")
    assert values(table, "j_per_output_token") == [1.25, 0.25, 0.245, 2.9]
    assert values(table, "j_per_request_derived") == [625.0, 125.0, 122.5, 26100.0]
    assert values(table, "power_w_derived")[:2] == [400.0, 600.0]
    assert values(table, "itl_p50_s")[0] == pytest.approx(0.0205)
    assert {(row["grade"], row["boundary"]) for row in table.rows} == {("B", "accelerator")}
    assert "from 245 mJ" in table.finding
    assert "to 2.9 J" in table.finding
    cell = table.rows[0]["j_per_request_derived"]
    assert isinstance(cell, Estimate)
    assert "derived by perwatt" in cell.method


def test_arithmetic_that_does_not_hold_is_named(tmp_path: Path) -> None:
    text = (GOLDEN / "mlenergy_v3.csv").read_text()
    (tmp_path / "off.csv").write_text(text.replace(",26100,", ",29100,"))
    table = table_of(tmp_path / "runs", tmp_path / "off.csv")
    said = [note for note in table.notes if "hold" in note]
    assert "in 3 of 4 rows" in said[0]
    assert said[1] == (
        "It does not hold by +11.5% for Vast 235B fp8, 4x B200 ep4, gpqa, closed:32."
    )
    assert "in 4 of 4 rows" in said[2]


def test_unlike_boundaries_are_not_ranked(tmp_path: Path) -> None:
    table = table_of(tmp_path, GOLDEN / "mlenergy_v3.csv", GOLDEN / "optimum")
    assert "not ranked" in table.finding
    estimate = table.rows[-1]["j_per_output_token"]
    assert isinstance(estimate, Estimate)
    # 3.6 MJ over 3.6 million tokens per kWh
    assert (estimate.value, estimate.grade, estimate.boundary) == (1.0, "D", "system")
    assert table.rows[-1]["load"] == "batch of 4"


def test_tools_without_joules_have_their_speeds(tmp_path: Path) -> None:
    names = ("guidellm.json", "vllm_detailed.json", "llama_bench.json", "aiperf")
    table = table_of(tmp_path, *(GOLDEN / name for name in names))
    assert table.finding.endswith("none with joules per output token.")
    assert {row["tool"] for row in table.rows} == {
        "GuideLLM 0.8.1",
        "vLLM bench",
        "llama-bench",
        "AIPerf 0.13.0",
    }
    by_tool = {row["tool"]: row for row in table.rows}
    rate = by_tool["vLLM bench"]["output_tokens_per_s"]
    ttft = by_tool["vLLM bench"]["ttft_p50_s"]
    assert isinstance(rate, Estimate)
    assert isinstance(ttft, Estimate)
    assert (rate.value, ttft.value) == (2.8, 0.375)
    assert [c.name for c in table.columns][-1] != "boundary"  # no column without a cell


def test_a_study_without_published_figures_has_no_such_table(tmp_path: Path) -> None:
    write_run_directory(tmp_path / "own", [Answered(pair="a", item="q", score=1.0, energy_j=1.0)])
    with open_study([tmp_path]) as study:
        assert published(study) is None
