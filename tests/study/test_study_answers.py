"""The view over answers: odd paths, old columns, conversations; and what it leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.core.errors import FileError
from perwatt.stats.moments import mean_interval
from perwatt.store.tables import read_table, write_requests
from perwatt.study.answers import COLUMNS
from perwatt.study.cells import rolled
from perwatt.study.file_facts import file_facts
from perwatt.study.options import StudyOptions
from perwatt.study.study import Study, open_study

UNCHECKED = StudyOptions(check=False)


def one(directory: Path, items: int = 4, **about: Any) -> Path:
    """Item n has n + 1 joules."""
    answers = [
        Answered(pair="p", item=f"q{n}", score=float(n % 2), energy_j=n + 1.0) for n in range(items)
    ]
    return write_run_directory(directory, answers, **about)


def kept(run: Path, columns: str) -> Path:
    """The run with only those columns in its table, as an older perwatt or another tool wrote."""
    file = run / "requests.parquet"
    other = run / "other.parquet"
    with duckdb.connect() as db:
        db.execute(f"COPY (SELECT {columns} FROM '{file}') TO '{other}' (FORMAT parquet)")
    other.replace(file)
    return run


def fetched(study: Study, sql: str) -> list[tuple[Any, ...]]:
    return study.db.execute(sql).fetchall()


@pytest.mark.parametrize("name", ["it's", "a[1]", "b*", "c?d", "e{1,2}", "f %s", "g\\h", "ü→"])
def test_odd_paths_are_read_as_they_are_written(tmp_path: Path, name: str) -> None:
    one(tmp_path / name)
    with open_study([tmp_path / name]) as study:
        assert fetched(study, "SELECT count(*), sum(energy_gross_j) FROM answers") == [(4, 10.0)]
        assert [m.answers for m in rolled(study.cells()).values()] == [4]


def test_the_view_has_the_documented_columns_whatever_the_files_have(tmp_path: Path) -> None:
    kept(one(tmp_path / "old"), "item_id, pair_id, workload, status, score, energy_gross_j")
    one(tmp_path / "new", device="Other")
    with open_study([tmp_path], UNCHECKED) as study:
        described = fetched(study, "DESCRIBE answers")
        assert {row[0]: row[1] for row in described} == {
            name: what.split(":")[0] for name, what in COLUMNS.items()
        }
        rows = "SELECT run, repeat, cluster = item_id, seconds, kind, sum(score) FROM answers"
        found = fetched(study, f"{rows} GROUP BY ALL ORDER BY run")
        assert found == [(0, 0, True, 1.0, "knowledge", 2.0), (1, 0, True, None, None, 2.0)]
        old = next(m for (p,), m in rolled(study.cells()).items() if study.pairs[p].runs == (1,))
        assert old.of("score") == 0.5
        assert old.reason("power_gross_w") == "4 of 4 requests have no energy"


def test_each_run_of_a_list_keeps_its_number(tmp_path: Path) -> None:
    for k in range(12):
        one(tmp_path / f"r{k:02}", items=k + 1, device=f"D{k}")
    with open_study([tmp_path]) as study:
        found = fetched(study, "SELECT run, pair, count(*) FROM answers GROUP BY ALL ORDER BY 1")
    assert found == [(k, k, k + 1) for k in range(12)]


def test_a_conversation_is_one_row_with_its_last_turns_score(tmp_path: Path) -> None:
    run = one(tmp_path / "a", items=1)
    row = {name: values[0] for name, values in read_table(run / "requests.parquet").items()}
    turns = [
        {**row, "turn": 0, "score": None, "energy_gross_j": 2.0, "completion_tokens": 5},
        {**row, "turn": 1, "score": 0.0, "energy_gross_j": 9.0, "dispatched_ns": 5},
        # Asked again after the run was cut: this one counts.
        {**row, "turn": 1, "score": 1.0, "energy_gross_j": 3.0, "dispatched_ns": 10},
    ]
    table = {name: [turn[name] for turn in turns] for name in row}
    write_requests(run / "requests.parquet", table)
    with open_study([run], UNCHECKED) as study:
        sql = "SELECT score, energy_gross_j, completion_tokens FROM answers"
        assert fetched(study, sql) == [(1.0, 5.0, 55)]
        (whole,) = rolled(study.cells()).values()
        assert (whole.answers, whole.clusters, whole.of("energy_gross_j")) == (1, 1, 5.0)


def test_a_table_that_is_none_is_named_and_the_rest_is_made(tmp_path: Path) -> None:
    one(tmp_path / "a")
    kept(one(tmp_path / "b", device="Other"), "item_id, score")
    (one(tmp_path / "c", device="Third") / "requests.parquet").write_bytes(b"PAR1 rubbish")
    with open_study([tmp_path], UNCHECKED) as study:
        assert [fault.code for fault in study.faults if fault.left_out] == ["unreadable"] * 2
        assert "requests.parquet in b has no column pair_id" in study.faults[0].sentence
        assert fetched(study, "SELECT count(*) FROM answers") == [(4,)]


def test_stages_that_the_load_has_no_words_for_are_kept_and_told(tmp_path: Path) -> None:
    answers = [
        Answered(pair="p", item=f"q{n}", score=1.0, energy_j=1.0, stage=n % 3) for n in range(9)
    ]
    run = write_run_directory(tmp_path / "a", answers, load="closed:4")
    with open_study([run]) as study:
        assert [(fault.code, fault.left_out) for fault in study.faults] == [("unreadable", False)]
        assert "3 stages, of which run.json names 1" in study.faults[0].sentence
        assert fetched(study, "SELECT count(*) FROM answers") == [(9,)]
        assert [m.answers for m in rolled(study.cells()).values()] == [9]


def test_an_empty_table_is_no_fault(tmp_path: Path) -> None:
    run = one(tmp_path / "a")
    write_requests(run / "requests.parquet", {})
    with open_study([run], UNCHECKED) as study:
        assert fetched(study, "SELECT count(*) FROM answers") == [(0,)]
        assert study.cells() == ()


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spill))
    with open_study([one(tmp_path / "a")]) as study:
        # More than the memory it may have, so that it must go to disk.
        study.db.execute("SET memory_limit = '30MB'; SET threads = 1")
        found = fetched(
            study,
            "SELECT count(*) FROM (SELECT range || 'x' FROM range(1000000) ORDER BY hash(range))",
        )
        assert found == [(1_000_000,)]
        assert len(list(spill.iterdir())) == 1
    assert list(spill.iterdir()) == []


def test_a_large_common_offset_costs_no_digits(tmp_path: Path) -> None:
    """Joules near 10⁹ that differ by a few: naive sums of squares would leave no digit."""
    rng = np.random.default_rng(2)
    own = rng.integers(0, 8, 200).astype(float)
    for name, offset in (("plain", 0.0), ("high", 1e9)):
        answers = [
            Answered(pair="p", item=f"q{n}", score=1.0, energy_j=offset + joules, net_j=1.0)
            for n, joules in enumerate(own.tolist())
        ]
        write_run_directory(tmp_path / name, answers, device=name)
    with open_study([tmp_path]) as study:
        device = {study.pairs[p].device: m for (p,), m in rolled(study.cells()).items()}
    plain, high = (mean_interval(device[d], "energy_gross_j") for d in ("plain", "high"))
    assert plain.low is not None
    assert plain.high is not None
    assert high.low is not None
    assert high.high is not None
    assert high.high - high.low == pytest.approx(plain.high - plain.low, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "once"),
    [
        ({}, True),
        ({"group": [None] * 4}, True),
        ({"group": ["q0", "q1", "q2", "passage"]}, False),
        ({"repeat": [0, 1, 0, 0]}, False),
        ({"turn": [0, 0, 1, 0]}, False),
        ({"repeat": [None] * 4, "turn": [None] * 4}, True),
    ],
)
def test_the_footer_tells_whether_each_answer_is_a_cluster(
    tmp_path: Path, change: dict[str, list[Any]], once: bool
) -> None:
    file = one(tmp_path / "a") / "requests.parquet"
    write_requests(file, {**read_table(file), **change})
    with duckdb.connect() as db:
        facts = file_facts(db, file)
    assert facts.once is once
    assert facts.rows == 4
    assert facts.least["energy_gross_j"] == 1.0


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "requests.parquet").write_bytes(b"no")
    with duckdb.connect() as db, pytest.raises(FileError, match=r"requests.parquet in .* cannot"):
        file_facts(db, tmp_path / "requests.parquet")
