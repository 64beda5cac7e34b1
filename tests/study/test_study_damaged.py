"""Run directories with odd or damaged insides: one sentence, whichever verb reads them."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.cli import main
from perwatt.core.errors import PerwattError
from perwatt.report.load import load_run
from perwatt.study.options import StudyOptions
from perwatt.study.runs import expanded
from perwatt.study.study import open_study
from perwatt.study.summary import summarise_study

PAIRS = StudyOptions(only=("pairs",))
JUNK = (None, "x", [3])


def run_at(directory: Path, score: float = 1.0) -> Path:
    answers = [Answered(pair="m", item=f"q{n}", score=score, energy_j=2.0 + n) for n in range(4)]
    return write_run_directory(directory, answers)


def edited(directory: Path, *keys: str, value: object) -> None:
    file = directory / "run.json"
    run = json.loads(file.read_text())
    place = run
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    file.write_text(json.dumps(run))


@pytest.mark.parametrize(
    "keys",
    [
        ("format",),
        ("perwatt_version",),
        ("started",),
        ("ended",),
        ("spec",),
        ("spec", "seed"),
        ("spec", "load"),
        ("spec", "slo"),
        ("workload",),
        ("workload", "name"),
        ("energy",),
        ("energy", "domains"),
        ("pairs",),
        ("pairs", "m"),
        ("ledgers",),
        ("verdicts",),
        ("phases",),
        ("client",),
        ("files",),
        ("environment",),
    ],
)
def test_no_field_of_run_json_can_break_a_reader(tmp_path: Path, keys: tuple[str, ...]) -> None:
    kept = (run_at(tmp_path / "r") / "run.json").read_bytes()
    for junk in JUNK:
        edited(tmp_path / "r", *keys, value=junk)
        with open_study([tmp_path / "r"], PAIRS) as study:
            summary = summarise_study(study)
        assert len(summary.runs) + sum(fault.left_out for fault in summary.faults) == 1
        with suppress(PerwattError):  # anything else is a traceback at the user
            load_run(tmp_path / "r")
        (tmp_path / "r" / "run.json").write_bytes(kept)


def test_a_run_of_a_later_format_is_not_read_as_one_of_ours(tmp_path: Path) -> None:
    run_at(tmp_path / "now")
    later = run_at(tmp_path / "later")
    edited(later, "format", value=99)
    edited(later, "perwatt_version", value="9.0")
    with open_study([tmp_path], PAIRS) as study:
        summary = summarise_study(study)
    (fault,) = summary.faults
    assert (fault.run, fault.left_out) == ("later", True)
    assert "is of format 99, written by perwatt 9.0; this one knows up to 1." in fault.sentence
    assert fault.mend == "Read it with that perwatt, or update this one."
    assert [run.directory for run in summary.runs] == ["now"]
    (later / "requests.parquet").unlink()  # what is missing of another format, nobody knows
    with pytest.raises(PerwattError, match="is of format 99"):
        load_run(later)


def test_a_lost_table_of_a_finished_run_is_made_again_by_scoring(tmp_path: Path) -> None:
    lost = run_at(tmp_path / "lost")
    (lost / "requests.parquet").unlink()
    with open_study([lost]) as study:
        (fault,) = study.faults
    assert fault.left_out
    assert fault.sentence == "lost has lost its requests.parquet."
    assert fault.mend == f"Make it again: perwatt score {lost}"
    with pytest.raises(PerwattError) as refused:
        load_run(lost)
    assert refused.value.mend == f"Make it again: perwatt score {lost}"


def test_scores_that_are_no_shares_do_not_end_it(tmp_path: Path) -> None:
    run_at(tmp_path / "r", score=50.0)
    with open_study([tmp_path / "r"], PAIRS) as study:
        (table,) = summarise_study(study).tables
    assert table.rows[0]["accuracy"].value == 50.0  # type: ignore[union-attr]
    assert load_run(tmp_path / "r").summary.pairs


def test_a_study_of_nothing_that_can_be_read_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = str(tmp_path / "gone")
    for arguments in ([gone], [gone, str(tmp_path)], [gone, "--json"]):
        with pytest.raises(SystemExit) as left:
            main(["study", *arguments])
        said = capsys.readouterr()
        assert left.value.code == 2
        assert said.out == ""
        assert said.err.splitlines()[-1].startswith(f"perwatt: There is no run directory {gone}.")


def test_one_run_that_can_be_read_is_a_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_at(tmp_path / "good")
    shutil.copytree(tmp_path / "good", tmp_path / "bad")
    (tmp_path / "bad" / "run.json").write_text("{")
    main(["study", str(tmp_path), "--table", "pairs", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [fault["run"] for fault in told["faults"]] == ["bad"]
    assert len(told["tables"]) == 1


@pytest.mark.parametrize("option", ["--trace", "--facts", "--tariffs"])
def test_a_named_file_that_is_not_there_is_told_whichever_tables_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    run_at(tmp_path / "r")
    with pytest.raises(SystemExit) as left:
        main(["study", str(tmp_path / "r"), option, "nowhere.toml", "--table", "pairs"])
    assert left.value.code == 2
    assert "nowhere.toml" in capsys.readouterr().err.splitlines()[-1]


def test_a_table_that_was_asked_for_and_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_at(tmp_path / "r")
    main(["study", str(tmp_path / "r"), "--table", "gdp"])
    assert "no table 'gdp'" in capsys.readouterr().err


def test_a_set_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["study", str(run_at(tmp_path / "r")), "--set", "a=m", "--set", "a=n"])
    assert left.value.code == 2
    assert "--set names 'a' twice." in capsys.readouterr().err


@pytest.mark.parametrize("score", [None, 0.0, 1.0])
@pytest.mark.parametrize("joules", [None, 0.0, 2.0])
def test_findings_are_of_figures_that_there_are(
    tmp_path: Path, score: float | None, joules: float | None
) -> None:
    for year, (model, device) in enumerate(
        [("qwen3-8b", "Apple M4 Max"), ("qwen3-8b", "NVIDIA H100 80GB HBM3")]
    ):
        answers = [
            Answered(pair=model, item=f"q{n}", score=score, energy_j=joules, category=f"c{n % 2}")
            for n in range(6)
        ]
        write_run_directory(tmp_path / str(year), answers, device=device)
    facts = tmp_path / "facts.toml"
    facts.write_text("[gdp]\nc0 = 2\nc1 = 1\n")
    with open_study([tmp_path], StudyOptions(facts=facts)) as study:
        found = {table.name: table.finding for table in summarise_study(study).tables}
    assert {"pairs", "local_cloud", "difficulty", "gdp", "coverage", "progress"} <= found.keys()
    for name, finding in found.items():
        assert "–" not in finding, name


def test_a_changed_table_is_told_wherever_it_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_at(tmp_path / "runs" / "mine", score=0.0)
    run_at(tmp_path / "other", score=1.0)
    shutil.copy(tmp_path / "other/requests.parquet", tmp_path / "runs/mine/requests.parquet")
    sentence = "requests.parquet in mine is not the file that perwatt wrote"
    main(["report", str(tmp_path / "runs"), "-o", str(tmp_path / "r.html")])
    assert sentence in (tmp_path / "r.html").read_text()
    capsys.readouterr()
    main(["export", str(tmp_path / "runs"), "--as", "csv", "-o", str(tmp_path / "csv")])
    assert "mine is not the file that perwatt wrote" in capsys.readouterr().err
    assert (tmp_path / "csv" / "requests.csv").is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_what_may_not_be_read_is_told_as_that(tmp_path: Path) -> None:
    run_at(tmp_path / "open")
    table, folder = run_at(tmp_path / "table") / "requests.parquet", run_at(tmp_path / "folder")
    table.chmod(0)
    folder.chmod(0)
    try:
        with open_study([tmp_path / "open", tmp_path / "table", folder]) as study:
            assert [run.directory for run in study.runs] == ["open"]
            said = [fault.sentence.lower() for fault in study.faults]
        assert all("cannot be read: permission denied." in sentence for sentence in said)
        assert len(said) == 2
    finally:
        folder.chmod(0o700)


def test_a_folder_that_cannot_be_looked_into_stands_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    assert expanded([tmp_path]) == [tmp_path]
