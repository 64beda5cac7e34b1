"""`perwatt audit`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perwatt.cli import main

HOLDS = """
[source]
id = "mine"

[[tables]]
id = "Table 1"
where = "Table 1"
keys = ["model"]
columns = [
  { name = "accuracy", role = "accuracy", unit = "%" },
  { name = "power", role = "power_w", unit = "W" },
  { name = "IPW", role = "ipw", unit = "1e-3/W" },
]
rows = [["small", 50.0, 100, 5.00]]
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(HOLDS)
    return path


def test_the_built_in_study(capsys: pytest.CaptureFixture[str]) -> None:
    main(["audit"])
    shown = capsys.readouterr().out
    assert "arXiv:2511.07885 v4" in shown
    assert "implied-constant" in shown
    assert "352.1 / 352.8 / 352.1 / 352.8 W" in shown
    assert "Hold throughout: product 2, sum 4." in shown
    assert "contradictions" in shown.splitlines()[-1]


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    main(["audit", "--json", "--rule", "systematic-factor", "--rule", "coverage-bound"])
    (report,) = json.loads(capsys.readouterr().out)
    assert {finding["rule"] for finding in report["findings"]} == {
        "systematic-factor",
        "coverage-bound",
    }
    assert report["checks"] == sum(tally["checks"] for tally in report["tallies"])
    assert report["checks"] - report["held"] == len(report["findings"])
    cell = report["findings"][0]["cells"][0]
    assert cell == {
        "table": "Table 17",
        "row": "Qwen3-4B, A18 Pro, FP16",
        "column": "IPW",
        "printed": "11.8",
        "unit": "1e-3/W",
    }


def test_ones_own_tables(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["audit", str(table), "--fail-on", "note"])
    assert "1 recomputations over 3 printed numbers: 1 hold, 0 do not" in capsys.readouterr().out
    table.write_text(HOLDS.replace("5.00", "6.00"))
    main(["audit", str(table)])
    shown = " ".join(capsys.readouterr().out.split())
    assert "Table 1 [small] IPW is printed as 6.00, and accuracy / power gives 5 (1e-3/W)" in shown


@pytest.mark.parametrize(
    ("severity", "code"), [("contradiction", 1), ("unsupported", 1), ("note", 1)]
)
def test_fail_on(severity: str, code: int, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(HOLDS.replace("5.00", "6.00"))
    with pytest.raises(SystemExit) as left:
        main(["audit", str(table), "--fail-on", severity])
    assert left.value.code == code
    assert "1 finding is of severity" in capsys.readouterr().err


def test_that_nothing_could_be_recomputed_is_told(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(HOLDS.replace('role = "ipw", unit = "1e-3/W"', 'role = "fact", unit = "x"'))
    main(["audit", str(table)])
    assert "Nothing could be recomputed by these rules" in capsys.readouterr().out


def test_a_note_does_not_fail_on_contradictions(capsys: pytest.CaptureFixture[str]) -> None:
    main(["audit", "--rule", "implied-latency", "--fail-on", "contradiction"])
    assert "99 s and 16.9 kJ" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["gone.toml"], "gone.toml cannot be read: No such file or directory."),
        (["--rule", "ratoi"], "There is no audit rule named 'ratoi'. Did you mean ratio"),
    ],
)
def test_wrong_usage_is_one_sentence(
    argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["audit", *argv])
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert "Traceback" not in told
