"""A study in a small terminal: no line is longer than it, and no number is broken."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from perwatt.cli.show_study import StudyProgress, print_study
from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudySummary, StudyTable


def table(rows_in_it: int = 3) -> StudyTable:
    names = ("ipw", "ipj", "energy", "power", "latency", "net")
    number = Estimate(value=0.0262, low=0.0224, high=0.0303, unit="1/W", n=9, grade="B")
    rows: list[dict[str, StudyCell]] = [
        {
            "pair": f"gpt-oss-120b@mxfp4-{n} · NVIDIA H100 80GB HBM3 · モデル",
            "items": 160_000_000,
            **dict.fromkeys(names, number),
        }
        for n in range(rows_in_it)
    ]
    columns = (
        StudyColumn(name="pair", title="Pair"),
        StudyColumn(name="items", title="Items"),
        *(StudyColumn(name=name, title=f"Something of {name}") for name in names),
    )
    return StudyTable(name="pairs", title="Pairs", what="", columns=columns, rows=tuple(rows))


def printed(of: StudyTable, width: int) -> str:
    out = io.StringIO()
    summary = StudySummary(
        name="s",
        perwatt_version="0",
        headline="A headline.",
        runs=(),
        pairs=(),
        tables=(of,),
        faults=(),
        metrics=(),
    )
    print_study(summary, Console(file=out, width=width, color_system=None))
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_it_fits_and_breaks_no_number(width: int) -> None:
    text = printed(table(), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    assert len(re.findall(r"0\.0262 1/W B ", text)) == 18
    assert len(re.findall(r"\[0\.0224, 0\.0303\]", text)) == 18
    assert text.count("160,000,000") == 3


def test_what_every_row_says_is_said_once() -> None:
    text = printed(table(4), 200)
    assert text.count("160,000,000") == 1
    assert "In every row: Items 160,000,000." in text
    assert len(re.findall(r"0\.0262 1/W B ", text)) == 24  # a measured value stays in its row


def test_progress_is_for_terminals_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def made() -> str:
        with StudyProgress(2) as progress:
            progress.doing("reading")
            progress("pairs")
            progress.say("One part was made here.")
        return capsys.readouterr().err

    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    assert made() == "study: One part was made here.\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "pairs, table 1 of 2 (" in made()
