"""Run directories opened as a study: what is wrong with one is named, and the rest is made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from emulated.runs import Answered, write_run_directory
from perwatt.cli import main
from perwatt.study.study import Study, open_study


def two_pairs(directory: Path, **about: object) -> Path:
    answers = [
        Answered(pair=pair, item=f"q{n}", score=float(n % right == 0), energy_j=joules)
        for pair, right, joules in (("small", 2, 1.0), ("large", 1, 8.0))
        for n in range(10)
    ]
    return write_run_directory(directory, answers, **about)  # type: ignore[arg-type]


def codes(study: Study) -> list[tuple[str, bool]]:
    return [(fault.code, fault.left_out) for fault in study.faults]


def means(study: Study) -> list[tuple[str, int, float, float]]:
    sql = (
        "SELECT pair, count(*), avg(score), avg(energy_gross_j) FROM answers GROUP BY 1 ORDER BY 1"
    )
    return [(study.pairs[p].pair_id, n, a, e) for p, n, a, e in study.db.execute(sql).fetchall()]


KNOWN = [("small", 10, 0.5, 1.0), ("large", 10, 1.0, 8.0)]


def test_the_view_holds_every_answer(tmp_path: Path) -> None:
    two_pairs(tmp_path / "a")
    with open_study([tmp_path / "a"]) as study:
        assert means(study) == KNOWN
        assert study.faults == []


def test_a_folder_of_runs_stands_for_them(tmp_path: Path) -> None:
    two_pairs(tmp_path / "a")
    two_pairs(tmp_path / "b", device="Other")
    with open_study([tmp_path]) as study:
        assert [run.directory for run in study.runs] == ["a", "b"]
        assert len(study.pairs) == 4


def test_a_copied_run_is_counted_once(tmp_path: Path) -> None:
    shutil.copytree(two_pairs(tmp_path / "a"), tmp_path / "b")
    with open_study([tmp_path / "a", tmp_path / "b"]) as study:
        assert codes(study) == [("duplicate-run", True)]
        assert means(study) == KNOWN


def test_a_changed_table_is_left_out_and_named(tmp_path: Path) -> None:
    two_pairs(tmp_path / "a")
    changed = two_pairs(tmp_path / "b", device="Other") / "requests.parquet"
    changed.write_bytes(changed.read_bytes().replace(b"PAR1", b"PAR2", 1))
    with open_study([tmp_path / "a", tmp_path / "b"]) as study:
        assert codes(study) == [("tampered", True)]
        assert "requests.parquet in b" in study.faults[0].sentence
        assert means(study) == KNOWN


def test_a_run_cut_short_is_left_out_and_its_mend_named(tmp_path: Path) -> None:
    two_pairs(tmp_path / "a")
    cut = two_pairs(tmp_path / "b", device="Other")
    (cut / "requests.parquet").unlink()
    about = json.loads((cut / "run.json").read_text())
    (cut / "run.json").write_text(json.dumps({**about, "status": "running"}))
    with open_study([tmp_path / "a", cut]) as study:
        assert codes(study) == [("unfinished", True)]
        assert study.faults[0].mend == f"Finish it with: perwatt resume {cut}"
        assert means(study) == KNOWN


def test_a_run_without_energy_keeps_its_answers(tmp_path: Path) -> None:
    answers = [Answered(pair="mute", item="q1", score=1.0, energy_j=None)]
    write_run_directory(tmp_path / "a", answers)
    with open_study([tmp_path / "a"]) as study:
        assert codes(study) == [("no-energy", False)]
        assert study.pairs[0].grade is None
        rows = study.db.execute("SELECT score, energy_gross_j FROM answers").fetchall()
        assert rows == [(1.0, None)]


def test_mixed_versions_and_unlike_joules_are_told(tmp_path: Path) -> None:
    two_pairs(tmp_path / "a", version="0.0.9")
    two_pairs(tmp_path / "b", grade="C")
    with open_study([tmp_path / "a", tmp_path / "b"]) as study:
        assert codes(study) == [
            ("mixed-versions", False),
            ("unlike-energy", False),
            ("unlike-energy", False),
        ]
        assert [pair.boundary for pair in study.pairs] == [None, None]


def test_rubbish_beside_a_run_is_named(tmp_path: Path) -> None:
    two_pairs(tmp_path / "a")
    for name, text in (("b", "{"), ("c", "{}"), ("d", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    with open_study([tmp_path, tmp_path / "nowhere"]) as study:
        assert codes(study) == [("unreadable", True)] * 4
        assert [fault.run for fault in study.faults] == ["b", "c", "d", "nowhere"]
        assert means(study) == KNOWN


def test_a_run_scored_again_is_no_tampered_one(tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    table.write_text("item,model,score,text\nq1,m,1,yes\nq2,m,0,no\n")
    main(["import", str(table), "-o", str(tmp_path / "a")])
    main(["score", str(tmp_path / "a"), "--scorer", "none"])
    with open_study([tmp_path / "a"]) as study:
        assert "tampered" not in [fault.code for fault in study.faults]
        assert len(study.pairs) == 1


def test_a_changed_journalled_run_is_mended_by_scoring_it(tmp_path: Path) -> None:
    changed = two_pairs(tmp_path / "b") / "scores.parquet"
    changed.write_bytes(changed.read_bytes() + b"x")
    with open_study([tmp_path / "b"]) as study:
        assert study.faults[0].mend == f"Make it again: perwatt score {tmp_path / 'b'}"


def test_rows_of_a_pair_that_nobody_names_are_told(tmp_path: Path) -> None:
    file = two_pairs(tmp_path / "a") / "run.json"
    run = json.loads(file.read_text())
    del run["pairs"]["large"]
    file.write_text(json.dumps(run))
    with open_study([tmp_path / "a"]) as study:
        assert [fault.sentence for fault in study.faults] == [
            "Rows of large in a are left out: its run.json names no such pair."
        ]
        assert means(study) == KNOWN[:1]


def test_another_workload_of_the_same_name_is_told(tmp_path: Path) -> None:
    for name, items in (("a", 4), ("b", 4), ("c", 3)):
        answers = [Answered(pair="m", item=f"q{n}", score=1.0, energy_j=1.0) for n in range(items)]
        write_run_directory(tmp_path / name, answers)
    other = [Answered(pair="m", item="q0", score=1.0, energy_j=1.0)]
    write_run_directory(tmp_path / "d", other, workload="another")
    with open_study([tmp_path]) as study:
        (fault,) = study.faults
    assert (fault.code, fault.run, fault.left_out) == ("unlike-workload", "c", False)
    assert fault.sentence.startswith("c asked another known (")
    assert "than a (" in fault.sentence
