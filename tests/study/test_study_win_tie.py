"""Win and tie rates from scores.parquet, both orders and several judges."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell
from perwatt.scoring.judge import How
from perwatt.scoring.judge_verdicts import combined, pairwise_judgement
from perwatt.study.options import StudyOptions
from perwatt.study.study import open_study
from perwatt.study.tables.win_tie import win_tie

UNCHECKED = StudyOptions(check=False)
HOW = How(form="pairwise")


def value(cell: StudyCell) -> float:
    assert isinstance(cell, Estimate)
    assert cell.value is not None, cell.reason
    return cell.value


def judged(folder: Path, said: list[dict[str, tuple[str, str]]]) -> Path:
    """One answer of `one` to each of `said`: by judge, its label in each order."""
    answers = [
        Answered(pair="one", item=f"q{n}", score=1.0, energy_j=1.0) for n in range(len(said) + 1)
    ]
    write_run_directory(folder, answers)
    rows = []
    for n, judges in enumerate(said):
        by_judge = {
            name: pairwise_judgement(first, second, HOW, {})
            for name, (first, second) in judges.items()
        }
        rows.append((f"one/q{n}/0/0/{n}", json.dumps(combined(by_judge).detail)))
    # The last answer was judged by a scorer that compares nothing.
    rows.append((f"one/q{len(said)}/0/0/{len(said)}", "{}"))
    db = duckdb.connect()
    db.execute("CREATE TABLE s (request_id VARCHAR, detail VARCHAR)")
    db.executemany("INSERT INTO s VALUES (?, ?)", rows)
    db.execute(f"COPY s TO '{folder / 'scores.parquet'}' (FORMAT parquet)")
    return folder


def test_by_hand(tmp_path: Path) -> None:
    said = [
        {"j": ("A>B", "B>A")},  # win in both orders
        {"j": ("A>>B", "A>B")},  # much better first, worse second: a win that is not consistent
        {"j": ("A=B", "A=B")},  # tie
        {"j": ("A>B", "A>B")},  # whoever is first: tie, not consistent
        {"j": ("B>A", "A>B")},  # loss in both
    ]
    with open_study([judged(tmp_path / "a", said)], UNCHECKED) as study:
        table = win_tie(study)
    assert table is not None
    (row,) = table.rows
    assert (row["pair"], row["answers"], row["judges"]) == ("one", 5, "j")
    assert row["others"] == 1
    assert [value(row[name]) for name in ("win", "tie", "loss")] == pytest.approx([0.4, 0.4, 0.2])
    assert value(row["split"]) == pytest.approx(0.6)
    # Orders in which the other is not preferred: 2, 1, 2, 1, 0 of 2.
    assert value(row["win_tie"]) == pytest.approx(0.6)
    assert value(row["consistent"]) == pytest.approx(3 / 5)


def test_of_several_judges_more_than_half_decide(tmp_path: Path) -> None:
    win, loss = ("A>B", "B>A"), ("B>A", "A>B")
    said = [{"j": win, "k": win, "l": loss}, {"j": win, "k": loss}, {"j": loss, "k": loss}]
    with open_study([judged(tmp_path / "a", said)], UNCHECKED) as study:
        table = win_tie(study)
    assert table is not None
    (row,) = table.rows
    assert row["judges"] == "j, k, l"
    assert [value(row[n]) for n in ("win", "tie", "loss")] == pytest.approx([1 / 3] * 3)
    assert value(row["consistent"]) == 1


def test_nothing_judged_beside_another_gives_no_table(tmp_path: Path) -> None:
    answers = [Answered(pair="one", item="q", score=1.0, energy_j=1.0)]
    write_run_directory(tmp_path / "a", answers)
    with open_study([tmp_path / "a"]) as study:
        assert win_tie(study) is None


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    judged(tmp_path / "one [1] *", [{"j": ("A>B", "B>A")}])
    with open_study([tmp_path], UNCHECKED) as study:
        table = win_tie(study)
    assert table is not None
    assert value(table.rows[0]["win"]) == 1.0
