"""`perwatt import` and `perwatt export`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perwatt.cli import main

GOLDEN = Path(__file__).parents[1] / "golden" / "exchange"


def test_a_log_becomes_a_run_with_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["import", str(GOLDEN / "sums.eval"), "--out", str(tmp_path / "run"), "--json"])
    summary = json.loads(capsys.readouterr().out)
    assert summary["pairs"][0]["metrics"]["accuracy"]["value"] == pytest.approx(0.75)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "perwatt import sums.eval" in page
    assert "no joules are known" in page
    main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "logs")])
    assert capsys.readouterr().out.strip().endswith(".eval")


def test_published_figures_become_a_run_to_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    main(["import", str(GOLDEN / "mlenergy_v3.csv"), "-o", out])
    said = capsys.readouterr()
    assert said.out.startswith("Energy is as ML.ENERGY v3 gave it: accelerator, grade B")
    assert "4 configurations of 3 pairs" in said.out
    assert "prefill is charged to output tokens" in said.out
    assert "--table published" in said.err
    main(["import", str(GOLDEN / "llama_bench.csv"), "-o", str(tmp_path / "b"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["imported"]["tools"] == ["llama-bench"]
    assert told["published"][0]["estimate"]["value"] == 7100.0
    main(["report", out, "-o", str(tmp_path / "page.html")])  # no request, and no crash


def test_requests_of_several_files_of_one_tool_are_one_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (GOLDEN / "vllm_detailed.json").read_text()
    more = tmp_path / "more.json"
    more.write_text(text.replace('"max_concurrency": 2', '"max_concurrency": 3'))
    files = [str(GOLDEN / "vllm_detailed.json"), str(more)]
    main(["import", *files, "--tool", "vllm-bench", "-o", str(tmp_path / "run"), "--json"])
    summary = json.loads(capsys.readouterr().out)
    assert [stage["load"] for stage in summary["stages"]] == ["closed:2", "closed:3"]
    assert summary["pairs"][0]["metrics"]["ttft"]["value"] == pytest.approx(0.375)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["import", "--out", "x"], "was given no file"),
        (["import", "nothing.eval", "--out", "x"], "no file nothing.eval"),
        (
            ["import", "scores.csv", "--out", "x", "--columns", "who=a"],
            "is not written ROLE=COLUMN",
        ),
        (["import", "scores.csv", "--out", "x", "--scale", "0"], "--scale 0 is not usable"),
        (["import", "x.csv", "--out", "x", "--tool", "vlm"], "no tool named 'vlm'"),
        (["export", "no-such-run"], "no run directory no-such-run"),
    ],
)
def test_wrong_usage_is_one_sentence(
    argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err
