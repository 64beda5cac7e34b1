"""Coverage, best-of and pass@k: worked out by hand, and against brute force."""

from __future__ import annotations

from itertools import combinations
from math import comb
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulated.runs import Answered, write_run_directory
from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyTable
from perwatt.study.options import StudyOptions
from perwatt.study.study import open_study
from perwatt.study.tables.best_of import best_of
from perwatt.study.tables.coverage import coverage
from perwatt.study.tables.pass_at import pass_at_k

LOCAL, SMALL, CLOUD = "gpt-oss-20b", "Qwen3-4B", "Qwen3-235B-A22B"


def row(table: StudyTable | None, **wanted: object) -> dict[str, StudyCell]:
    assert table is not None
    found = [r for r in table.rows if all(r[k] == v for k, v in wanted.items())]
    assert len(found) == 1
    return found[0]


def value(cell: StudyCell) -> float:
    assert isinstance(cell, Estimate)
    assert cell.value is not None, cell.reason
    if cell.low is not None and cell.high is not None:
        assert cell.low <= cell.value <= cell.high
    return cell.value


def hand(directory: Path) -> Path:
    """Items 0–9: SMALL is right on 0–3 at 1 J, LOCAL on 2–6 at 2 J, CLOUD on all but 9 at 8 J."""
    right = {SMALL: range(4), LOCAL: range(2, 7), CLOUD: range(9)}
    joules = {SMALL: 1.0, LOCAL: 2.0, CLOUD: 8.0}
    answers = [
        Answered(pair=p, item=f"q{n}", score=float(n in right[p]), energy_j=joules[p])
        for p in right
        for n in range(10)
    ]
    return write_run_directory(directory, answers)


def test_by_hand(tmp_path: Path) -> None:
    with open_study([hand(tmp_path / "a")]) as study:
        table = coverage(study)
    assert table is not None
    assert [r["set"] for r in table.rows] == ["all", "local", "Qwen3"]
    everything, local = row(table, set="all"), row(table, set="local")
    assert (everything["pairs"], everything["items"]) == (3, 10)
    assert value(everything["coverage"]) == pytest.approx(0.9)
    assert value(everything["single"]) == pytest.approx(0.9)
    assert everything["best"] == CLOUD
    assert value(everything["gain"]) == 0
    assert value(everything["flattered"]) == pytest.approx(0.9)
    # Right and cheapest: 4 at 1 J, 3 at 2 J, 2 at 8 J; where none is right, 1 J.
    assert value(everything["oracle_j"]) == pytest.approx((4 * 1 + 3 * 2 + 2 * 8 + 1) / 10)
    assert value(everything["all_j"]) == pytest.approx(11)
    assert value(everything["single_j"]) == pytest.approx(8)
    assert value(local["coverage"]) == pytest.approx(0.7)
    # Asked once: the control cannot be had, and says so.
    same = local["same_tries"]
    assert isinstance(same, Estimate)
    assert same.value is None
    assert "2 tries are needed" in str(same.reason)


def test_a_set_by_its_models_names(tmp_path: Path) -> None:
    options = StudyOptions(sets={"mine": ("qwen3:4b", "Qwen/Qwen3-235B-A22B-FP8")})
    with open_study([hand(tmp_path / "a")], options) as study:
        mine = row(coverage(study), set="mine")
    assert mine["pairs"] == 2
    assert value(mine["coverage"]) == pytest.approx(0.9)


def test_best_of_names_the_unlike_comparison(tmp_path: Path) -> None:
    with open_study([hand(tmp_path / "a")]) as study:
        table = best_of(study)
    assert table is not None
    single, equal, oracle, unlike = table.rows
    assert value(single["cloud"]) == pytest.approx(0.9)
    # One of two at random: an item with one right of two counts half.
    assert value(equal["local"]) == pytest.approx((2 * 1 + 5 * 0.5) / 10)
    assert equal["like"] == "yes"
    assert value(oracle["local"]) == pytest.approx(0.7)
    assert value(oracle["difference"]) == pytest.approx(-0.2)
    assert str(oracle["like"]).startswith("unlike: 2 tries against 1")
    assert str(unlike["like"]).startswith("unlike: an oracle of 2 tries")


def test_unlike_boundaries_give_no_joules_and_sets_of_ones_own(tmp_path: Path) -> None:
    for name, pair, boundary in (("a", "one", "accelerator"), ("b", "two", "system")):
        answers = [
            Answered(pair=pair, item=f"q{n}", score=float(n % 2 == (name == "a")), energy_j=1.0)
            for n in range(6)
        ]
        write_run_directory(tmp_path / name, answers, boundary=boundary)
    options = StudyOptions(sets={"mine": ("one", "two", "three")})
    with open_study([tmp_path], options) as study:
        table = coverage(study)
    mine = row(table, set="mine")
    assert value(mine["coverage"]) == 1
    assert isinstance(mine["all_j"], Estimate)
    assert mine["all_j"].value is None
    assert "boundaries differ" in str(mine["all_j"].reason)
    assert table is not None
    assert any("names no pair of this study with 'three'" in note for note in table.notes)


def test_no_table_of_a_single_pair_asked_once(tmp_path: Path) -> None:
    answers = [Answered(pair=SMALL, item=f"q{n}", score=1.0, energy_j=1.0) for n in range(4)]
    write_run_directory(tmp_path / "a", answers)
    with open_study([tmp_path / "a"]) as study:
        assert coverage(study) is None
        assert best_of(study) is None
        assert pass_at_k(study) is None


SCORES = st.lists(
    st.tuples(*[st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3)] * 3),
    min_size=2,
    max_size=6,
)
"""Items × pairs × tries."""


@settings(max_examples=8, deadline=None)
@given(SCORES)
def test_against_brute_force(scores: list[tuple[list[float], ...]]) -> None:
    names = (SMALL, LOCAL, CLOUD)
    answers = [
        Answered(pair=names[p], item=f"q{n}", score=right, energy_j=1.0 + n + p, repeat=repeat)
        for n, item in enumerate(scores)
        for p, tries in enumerate(item)
        for repeat, right in enumerate(tries)
    ]
    with TemporaryDirectory() as folder:
        write_run_directory(Path(folder) / "a", answers)
        with open_study([Path(folder) / "a"]) as study:
            table, passes, best = coverage(study), pass_at_k(study), best_of(study)
    everything = row(table, set="all")
    missed = [1.0] * len(scores)
    for n, item in enumerate(scores):
        for tries in item:
            missed[n] *= 1 - sum(tries) / 3
    assert value(everything["coverage"]) == pytest.approx(1 - sum(missed) / len(scores))
    assert everything["tries"] == 3
    assert value(everything["pass_k"]) == pytest.approx(value(everything["same_tries"]))
    for p, name in enumerate(names):
        for k in (1, 2, 3):
            drawn = [max(s) for item in scores for s in combinations(item[p], k)]
            truth = sum(drawn) / comb(3, k) / len(scores)
            found = row(passes, pair=name, k=k)
            assert value(found["pass_k"]) == pytest.approx(truth, abs=1e-12)
            assert value(found["joules"]) == pytest.approx(k * (1 + p + (len(scores) - 1) / 2))
    assert best is not None
    majority = [[sum(tries) / 3 >= 0.5 for tries in item] for item in scores]
    one = sum((item[0] + item[1]) / 2 for item in majority) / len(scores)
    assert value(best.rows[1]["local"]) == pytest.approx(one)


def test_a_pair_asked_by_two_runs_and_an_item_without_joules(tmp_path: Path) -> None:
    """SMALL in two runs: right in one of two tries on q0, in both on q1; LOCAL never, q1 unmetered;
    q2 was asked of SMALL alone."""
    for name, right in (("a", 1.0), ("b", 0.0)):
        answers = [
            Answered(pair=SMALL, item="q0", score=right, energy_j=2.0),
            Answered(pair=SMALL, item="q1", score=1.0, energy_j=4.0),
            Answered(pair=SMALL, item="q2", score=1.0, energy_j=4.0),
        ]
        write_run_directory(tmp_path / name, answers)
    write_run_directory(
        tmp_path / "c",
        [
            Answered(pair=LOCAL, item="q0", score=0.0, energy_j=1.0),
            Answered(pair=LOCAL, item="q1", score=0.0, energy_j=None),
        ],
    )
    with open_study([tmp_path]) as study:
        table = coverage(study)
    found = row(table, set="all")
    assert (found["items"], found["tries"]) == (2, 2)
    assert value(found["coverage"]) == pytest.approx(0.75)
    assert value(found["same_tries"]) == pytest.approx(1.0)
    assert value(found["gain_same_tries"]) == pytest.approx(-0.25)
    assert isinstance(found["all_j"], Estimate)
    assert found["all_j"].value is None
    assert "1 of 2 requests have no energy" in str(found["all_j"].reason)
    assert table is not None
    assert any("Items left out" in note and ": 1" in note for note in table.notes)


def test_items_of_one_passage_are_one_cluster(tmp_path: Path) -> None:
    requests = hand(tmp_path / "a") / "requests.parquet"
    passages = "'p' || CAST(substr(item_id, 2) AS INTEGER) // 2"
    duckdb.execute(
        f"COPY (SELECT * REPLACE ({passages} AS \"group\") FROM read_parquet('{requests}')) "
        f"TO '{requests}.new' (FORMAT parquet)"
    )
    Path(f"{requests}.new").rename(requests)
    with open_study([tmp_path / "a"], StudyOptions(check=False)) as study:
        found = row(coverage(study), set="all")["coverage"]
    assert isinstance(found, Estimate)
    assert value(found) == pytest.approx(0.9)
    assert found.n == 5


def test_a_load_that_names_one_stage_twice_gives_two_tries(tmp_path: Path) -> None:
    answers = [
        Answered(pair=p, item=f"q{n}", score=float((n + s) % 2), energy_j=1.0 + s, stage=s)
        for p in (SMALL, LOCAL)
        for s in range(2)
        for n in range(6)
    ]
    write_run_directory(tmp_path / "a", answers, load="closed:1,closed:1")
    with open_study([tmp_path / "a"]) as study:
        passed, covers = pass_at_k(study), coverage(study)
    assert value(row(passed, pair=SMALL, k=2)["pass_k"]) == pytest.approx(1.0)
    everything = row(covers, set="all")
    assert everything["items"] == 6
    assert value(everything["coverage"]) == pytest.approx(0.75)
    assert value(everything["single_j"]) == pytest.approx(1.5)
