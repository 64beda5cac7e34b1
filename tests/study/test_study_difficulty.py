"""Difficulty by the smallest solving model and by the items' own levels."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulated.runs import Answered, write_run_directory
from perwatt.core.estimate import Estimate
from perwatt.core.records import PairIdentity
from perwatt.core.study import StudyCell, StudyTable
from perwatt.study.study import open_study
from perwatt.study.tables.difficulty import difficulty

TINY, MIDDLE, LARGE = "Gemma 3 4B", "Qwen3-8B", "Qwen3-235B-A22B"
JOULES = {TINY: 1.0, MIDDLE: 2.0, LARGE: 9.0}


def value(cell: StudyCell) -> float:
    assert isinstance(cell, Estimate)
    assert cell.value is not None, cell.reason
    return cell.value


def named(table: StudyTable | None, level: str, by: str) -> dict[str, StudyCell]:
    assert table is not None
    (row,) = [r for r in table.rows if (r["level"], r["by"]) == (level, by)]
    return row


def test_by_hand(tmp_path: Path) -> None:
    right = {TINY: range(3), MIDDLE: range(5), LARGE: range(1, 8)}
    answers = [
        Answered(
            pair=p, item=f"q{n}", score=float(n in right[p]), energy_j=JOULES[p], level=1 + n // 5
        )
        for p in right
        for n in range(10)
    ]
    write_run_directory(tmp_path / "a", answers)
    with open_study([tmp_path / "a"]) as study:
        table = difficulty(study)
    levels = ["≤4B", "≤8B", "≤235B", "unsolved"]
    rows = [named(table, level, "active parameters") for level in levels]
    assert [row["items"] for row in rows] == [3, 2, 3, 2]
    assert [value(row["share"]) for row in rows] == pytest.approx([0.3, 0.2, 0.3, 0.2])
    assert [value(row["solved"]) for row in rows[:3]] == pytest.approx([0.3, 0.5, 0.8])
    assert [value(row["joules"]) for row in rows[:3]] == [1.0, 2.0, 9.0]
    # All parameters put every model on the same level: said, not repeated.
    assert table is not None
    assert not [row for row in table.rows if row["by"] == "all parameters"]
    assert any("not repeated" in note for note in table.notes)
    # Items 0–2: TINY and MIDDLE right on all, LARGE on two; 4 J a pair on the mean.
    easy = named(table, "≤4B", "active parameters")
    assert value(easy["accuracy"]) == pytest.approx(8 / 9)
    assert value(easy["ipj"]) == pytest.approx(8 / 9 / 4)
    first = named(table, "level 1", "the item's own")
    assert first["items"] == 5
    assert value(first["solved"]) == 1
    assert value(named(table, "level 2", "the item's own")["solved"]) == pytest.approx(3 / 5)


def test_active_and_all_parameters_differ_for_a_mixture(tmp_path: Path) -> None:
    answers = [
        Answered(pair="gpt-oss-20b", item=f"q{n}", score=1.0, energy_j=1.0) for n in range(4)
    ]
    write_run_directory(tmp_path / "a", answers)
    with open_study([tmp_path / "a"]) as study:
        table = difficulty(study)
    assert value(named(table, "≤4B", "active parameters")["share"]) == 1
    assert value(named(table, "≤20B", "all parameters")["share"]) == 1


def test_a_files_own_parameters_serve_and_unknown_sizes_give_no_table(tmp_path: Path) -> None:
    answers = [Answered(pair="mine", item=f"q{n}", score=1.0, energy_j=None) for n in range(4)]
    identity = PairIdentity(
        pair_id="mine", label="mine", model="mine", engine="x", parameters=7_000_000_000
    )
    write_run_directory(tmp_path / "a", answers, identities=[identity])
    write_run_directory(tmp_path / "b", answers)
    with open_study([tmp_path / "a"]) as study:
        row = named(difficulty(study), "≤8B", "active parameters")
    assert value(row["share"]) == 1
    assert isinstance(row["joules"], Estimate)
    assert row["joules"].value is None
    with open_study([tmp_path / "b"]) as study:
        assert difficulty(study) is None


ITEMS = st.lists(
    st.tuples(*[st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=2)] * 3),
    min_size=2,
    max_size=6,
)


@settings(max_examples=6, deadline=None)
@given(ITEMS)
def test_against_brute_force(items: list[tuple[list[float], ...]]) -> None:
    names = (TINY, MIDDLE, LARGE)
    answers = [
        Answered(pair=names[p], item=f"q{n}", score=s, energy_j=JOULES[names[p]], repeat=repeat)
        for n, item in enumerate(items)
        for p, tries in enumerate(item)
        for repeat, s in enumerate(tries)
    ]
    smallest = [
        next((p for p, tries in enumerate(item) if sum(tries) / len(tries) >= 0.5), 3)
        for item in items
    ]
    with TemporaryDirectory() as folder:
        write_run_directory(Path(folder) / "a", answers)
        with open_study([Path(folder) / "a"]) as study:
            table = difficulty(study)
    for p, level in enumerate(("≤4B", "≤8B", "≤235B", "unsolved")):
        assert named(table, level, "active parameters")["items"] == smallest.count(p)


def test_the_cheapest_solver_is_not_told_where_one_has_no_joules(tmp_path: Path) -> None:
    """Both 4B pairs solve all; of one answer of the cheaper nobody knows the joules."""
    answers = [
        Answered(pair=p, item=f"q{n}", score=1.0, energy_j=None if p == TINY and not n else joules)
        for p, joules in ((TINY, 1.0), ("Qwen3-4B", 5.0))
        for n in range(6)
    ]
    write_run_directory(tmp_path / "a", answers)
    with open_study([tmp_path / "a"]) as study:
        row = named(difficulty(study), "≤4B", "active parameters")
    joules = row["joules"]
    assert isinstance(joules, Estimate)
    assert joules.value is None
    assert joules.reason == "1 of 6 requests have no energy"
