"""`perwatt compare --fail-if`: what fails a build, what passes, what cannot be told."""

from __future__ import annotations

import io
import json
import os
import random
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.cli import main
from perwatt.core.errors import SpecError
from perwatt.core.records import PairIdentity
from perwatt.study.gates import parse_gate


def run_of(
    directory: Path, right: int, joules: float | None, *, items: int = 100, **about: Any
) -> str:
    """Of each ten items the first `right` are right; joules vary by item, alike in all runs."""
    spread = random.Random(1)
    rows = [
        Answered(
            pair="m",
            item=f"q{n}",
            score=float(n % 10 < right),
            energy_j=None if joules is None else joules * spread.choice([0.5, 1.0, 1.5]),
        )
        for n in range(items)
    ]
    return str(write_run_directory(directory, rows, **about))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Runs that no test changes: `good` has 80 of 100 right, `same` too, `bad` 60."""
    folder = tmp_path_factory.mktemp("kept")
    return {
        "good": run_of(folder / "good", 8, 2.0),
        "same": run_of(folder / "same", 8, 2.0),
        "bad": run_of(folder / "bad", 6, 2.0),
        "estimated": run_of(folder / "estimated", 8, 2.0, grade="D"),
        "unmeasured": run_of(folder / "unmeasured", 8, None),
        "small": run_of(folder / "small", 8, 2.0, items=4),
        "tiny": run_of(folder / "tiny", 8, 2.0, items=4),
    }


def compared(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    main(["compare", *argv, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    found["by_name"] = {metric["metric"]: metric for metric in found["metrics"]}
    return found


def failing(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(["compare", *argv])
    assert isinstance(stop.value.code, int)
    return stop.value.code, capsys.readouterr().err


def test_gates_fail_pass_and_stay_open(
    kept: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = kept["good"], kept["bad"]
    code, text = failing(capsys, a, b, "--fail-if", "accuracy < -2pt")
    assert code == 1
    assert "1 of 1 conditions fail. Accuracy changed by −20.0 points (95% interval" in text
    main(["compare", a, b, "--fail-if", "accuracy < -40 pt", "--fail-if", "ttft > 5ms"])
    assert capsys.readouterr().out.count("pass: ") == 2
    main(["compare", a, b, "--fail-if", "accuracy < -20pt"])
    assert "undecided, and passed: Accuracy" in capsys.readouterr().err
    code, text = failing(capsys, a, b, "--fail-if", "accuracy < -20pt", "--undecided", "fail")
    assert code == 1
    assert "on both sides of 'accuracy < -20pt'" in text


def test_nothing_changed_passes(kept: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Not one item differs: the most usual day of a build must be neither open nor certain."""
    a, b = kept["good"], kept["same"]
    found = compared(capsys, a, b, "--fail-if", "accuracy < -5pt", "--fail-if", "ipj < -5%")
    assert [gate["outcome"] for gate in found["gates"]] == ["pass", "pass"]
    gap = found["by_name"]["accuracy"]["difference"]
    assert -0.05 < gap["low"] < 0 < gap["high"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ("unmeasured", "the energy of at least one of them was not measured"),
        ("estimated", "their joules are of unlike grades, B and D"),
    ],
)
def test_a_gate_without_a_figure_stops_the_build(
    kept: dict[str, str], capsys: pytest.CaptureFixture[str], other: str, reason: str
) -> None:
    """A build that lost its meter must not look like one that lost no joules."""
    argv = (kept["good"], kept[other], "--metric", "accuracy", "--fail-if", "ipj < -5%")
    code, text = failing(capsys, *argv)
    assert code == 2
    assert "1 of 1 conditions have nothing to judge by. Intelligence per joule" in text
    assert reason in text
    assert "Measure it in both runs, or say --undecided pass." in text
    assert failing(capsys, *argv, "--undecided", "fail")[0] == 1
    found = compared(capsys, *argv, "--undecided", "pass")
    assert found["gates"][0]["outcome"] == "unjudged"
    main(["compare", *argv, "--undecided", "pass"])
    assert "warning: undecided, and passed: Intelligence per joule" in capsys.readouterr().err


def test_what_fails_comes_before_what_cannot_be_judged(
    kept: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junit = tmp_path / "gates.xml"
    bad = run_of(tmp_path / "bad", 6, None)
    gates = ("--fail-if", "accuracy < -2pt", "--fail-if", "ipj < -5%", "--junit", str(junit))
    code, text = failing(capsys, kept["good"], bad, *gates)
    assert code == 1
    assert "1 of 2 conditions fail. Accuracy changed" in text
    assert "Intelligence per joule cannot be judged" in text
    suite = ElementTree.parse(junit).getroot()[0]
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["2", "1", "1", "0"]
    assert [case[0].tag for case in suite] == ["failure", "error"]


def test_one_item_alone_has_no_interval_to_judge_by(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (run_of(tmp_path / name, 1, 2.0, items=1) for name in "ab")
    code, text = failing(capsys, a, b, "--fail-if", "ipj < -5%")
    assert code == 2
    assert "cannot be judged: one item alone gives no interval" in text


def test_a_run_is_not_judged_against_itself(
    kept: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = failing(capsys, kept["good"], kept["good"], "--fail-if", "ipj < -5%")
    assert code == 2
    assert "good and good are one run and one pair: no --fail-if could fail." in text


def test_a_gate_that_fails_what_is_better_is_told(
    kept: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["compare", kept["good"], kept["same"], "--fail-if", "ipj > 5%"])
    told = "warning: --fail-if 'ipj > 5%' fails where ipj gets better: higher is better there."
    assert told in capsys.readouterr().err
    for text in ("ipj < -5%", "ttft > 5%", "output_tokens < -5%", "output_tokens > 5%"):
        main(["compare", kept["good"], kept["same"], "--fail-if", text])
        assert "gets better" not in capsys.readouterr().err


def test_a_closed_stdout_hides_no_failure(
    kept: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As in `perwatt compare … --json | head -1`, whose exit code a build takes with pipefail."""
    read, write = os.pipe()
    os.close(read)
    with io.TextIOWrapper(os.fdopen(write, "wb"), write_through=True) as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        code = failing_code(kept["good"], kept["bad"], "--json", "--fail-if", "accuracy < -2pt")
        assert code == 1
    assert "1 of 1 conditions fail" in capfd.readouterr().err


def failing_code(*argv: str) -> object:
    with pytest.raises(SystemExit) as stop:
        main(["compare", *argv])
    return stop.value.code


@pytest.mark.parametrize(
    ("text", "of", "threshold"),
    [
        ("IPJ<-5%", "relative", -0.05),
        ("ipj < −5e0 %", "relative", -0.05),
        ("accuracy < -2 points", "points", -0.02),
        ("ipw < -0.001 1/W", "unit", -0.001),
        ("ipj < -.5/J", "unit", -0.5),
        ("latency > 50 ms", "unit", 0.05),
        ("itl_p99 > 200us", "unit", 2e-4),
        ("output_tokens > 12", "unit", 12.0),
        ("requests_per_s < -0.5 req/s", "unit", -0.5),
    ],
)
def test_a_condition_is_read(text: str, of: str, threshold: float) -> None:
    gate = parse_gate(text)
    assert gate.of == of and gate.threshold == pytest.approx(threshold)


@pytest.mark.parametrize(
    "text",
    ["ipj < ,5%", "ipj < A5%", "ipj < 1e999%", "ipj < 1.2.3%", "ipj < -5% and ttft > 1s", "ipj <"],
)
def test_what_is_no_condition_is_told(text: str) -> None:
    with pytest.raises(SpecError, match="--fail-if"):
        parse_gate(text)


def test_junit_holds_what_xml_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    about = PairIdentity(pair_id="m", label="\x1b[31mm <&> \x00", model="m", engine="e", device="d")
    a, b = (run_of(tmp_path / name, 8, 2.0, identities=[about]) for name in "ab")
    junit = tmp_path / "gates.xml"
    main(["compare", a, b, "--fail-if", "accuracy < -50pt", "--junit", str(junit)])
    case = ElementTree.parse(junit).getroot()[0][0]
    assert case.get("classname") == "�[31mm <&> � in b against �[31mm <&> � in a"


def test_markdown_and_junit(
    tmp_path: Path, kept: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = kept["good"], kept["bad"]
    junit = tmp_path / "gates.xml"
    gates = (
        "--fail-if",
        "accuracy < -2pt",
        "--fail-if",
        "accuracy < -20pt",
        "--fail-if",
        "ttft>1s",
    )
    with pytest.raises(SystemExit) as stop:
        main(["compare", a, b, *gates, "--markdown", "--junit", str(junit)])
    assert stop.value.code == 1
    page = capsys.readouterr().out
    assert page.startswith("**m in bad answers 20.0 points fewer right than m in good")
    rows = [line for line in page.splitlines() if line.startswith("| Accuracy")]
    assert len(rows) == 1
    assert "**−20.0 pt " in rows[0]
    suite = ElementTree.parse(junit).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert [next(child.tag for child in case) for case in suite] == [
        "failure",
        "skipped",
        "system-out",
    ]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--fail-if", "ipj"], "'ipj' is not a condition. Write METRIC, one of < <= > >="),
        (["--fail-if", "ipj < -5"], "has no unit; a change of ipj is in % or 1/J"),
        (["--fail-if", "ipj < -5pt"], "has the unit 'pt'"),
        (["--fail-if", "accuracy == 5%"], "is not a condition"),
        (["--fail-if", "ipjj < 5%"], "no metric named 'ipjj'. Did you mean ipj"),
        (["--metric", "speed"], "no metric named 'speed'"),
        (["--junit", "x.xml"], "none was given"),
        (["--json", "--markdown"], "Give one of them"),
        (["--undecided", "maybe"], "maybe"),
    ],
)
def test_wrong_usage_is_one_sentence(
    kept: dict[str, str], capsys: pytest.CaptureFixture[str], argv: list[str], sentence: str
) -> None:
    code, text = failing(capsys, kept["small"], kept["small"], *argv)
    assert code == 2
    assert sentence in text
    assert text.count("\n") == 1
