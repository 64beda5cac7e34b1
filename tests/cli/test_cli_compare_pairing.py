"""`perwatt compare`: what is paired with what, where the sides were asked or answered unlike."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.cli import main


def compared(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    main(["compare", *argv, "--json"])
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    return {metric["metric"]: metric for metric in metrics}


def test_items_asked_four_times_pair_with_items_asked_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Joules vary tenfold from item to item and by a hundredth within: 8% less is plain to see."""
    noise = random.Random(7)
    for name, repeats, factor in (("a", 4, 1.0), ("b", 1, 0.92)):
        rows = [
            Answered(
                pair="m",
                item=f"q{n}",
                repeat=repeat,
                score=1.0,
                energy_j=factor * (1 + n % 10) * noise.uniform(0.99, 1.01),
            )
            for n in range(60)
            for repeat in range(repeats)
        ]
        write_run_directory(tmp_path / name, rows)
    energy = compared(capsys, str(tmp_path / "a"), str(tmp_path / "b"))["energy_gross_j"]
    assert energy["ratio"]["value"] == pytest.approx(0.92, abs=0.01)
    assert energy["ratio"]["high"] < 0.95
    assert energy["p_value"] < 0.001, "undivided sums leave three of four answers unpaired"
    assert energy["dz"]["value"] < -0.5


def test_times_are_of_items_that_both_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """B fails whatever takes long; it is no faster on what it answers."""
    for name in "ab":
        rows = [
            Answered(
                pair="m",
                item=f"q{n}",
                score=1.0 if n % 2 or name == "a" else 0.0,
                energy_j=1.0,
                seconds=1.0 if n % 2 else 10.0,
                status="ok" if n % 2 or name == "a" else "error",
            )
            for n in range(40)
        ]
        write_run_directory(tmp_path / name, rows)
    found = compared(capsys, str(tmp_path / "a"), str(tmp_path / "b"))
    assert found["accuracy"]["difference"]["value"] == pytest.approx(-0.5)
    assert found["latency"]["a"]["value"] == pytest.approx(1.0)
    assert found["latency"]["ratio"]["value"] == pytest.approx(1.0)
    assert found["ttft"]["ratio"]["value"] == pytest.approx(1.0)


def test_goodput_is_by_the_limits_that_both_runs_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, slow in (("a", 0), ("b", 10)):
        rows = [
            Answered(
                pair="m", item=f"q{n}", score=1.0, energy_j=1.0, seconds=2.0 if n < slow else 0.5
            )
            for n in range(40)
        ]
        write_run_directory(tmp_path / name, rows)
        file = tmp_path / name / "run.json"
        run = json.loads(file.read_text())
        run["spec"]["slo"] = "latency=1"
        file.write_text(json.dumps(run))
    goodput = compared(capsys, str(tmp_path / "a"), str(tmp_path / "b"), "--metric", "goodput")[
        "goodput"
    ]
    assert goodput["ratio"]["value"] == pytest.approx(30 / 40, rel=0.05)
    run["spec"]["slo"] = "latency=9"
    file.write_text(json.dumps(run))
    apart = compared(capsys, str(tmp_path / "a"), str(tmp_path / "b"), "--metric", "goodput")
    assert apart["goodput"]["ratio"]["value"] is None
