"""`perwatt export`, as typed."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.cli import main


def run_in(directory: Path) -> str:
    answers = [
        Answered(pair="m", item=f"q{n}", score=float(n % 2), energy_j=1.0, text="words")
        for n in range(4)
    ]
    return str(write_run_directory(directory, answers))


def test_one_run_lies_flat_and_several_in_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = run_in(tmp_path / "x" / "mine"), run_in(tmp_path / "y" / "mine")
    main(["export", one, "--as", "csv"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == str(Path(one, "csv", "requests.csv"))
    assert all(Path(line).is_file() for line in printed)
    main(["export", one, other, "--to", "parquet", "-o", str(tmp_path / "out"), "--without-text"])
    found = {path.parent.name for path in (tmp_path / "out").rglob("requests.parquet")}
    assert found == {"mine", "mine-2"}
    main(["export", one, other, "--as", "hf", "-o", str(tmp_path / "hf")])
    assert (tmp_path / "hf" / "data" / "requests" / "mine-2.parquet").is_file()


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "was given no run directory"),
        (["{run}", "--as", "mlflow"], "no place named to write mlflow to"),
        (["{run}", "{run}", "--as", "csv"], "no place named to write csv to"),
        (["{run}", "--without-text"], "leaves nothing of an Inspect log"),
        (["{run}", "--as", "xlsx"], "xlsx"),
        (["nowhere", "--as", "csv"], "no run directory nowhere"),
        (["{run}", "--as", "csv", "-o", "{run}/run.json"], "a file is where a directory should be"),
    ],
)
def test_wrong_usage_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], sentence: str
) -> None:
    run = run_in(tmp_path / "mine")
    with pytest.raises(SystemExit) as stop:
        main(["export", *(word.replace("{run}", run) for word in argv)])
    assert stop.value.code == 2
    text = capsys.readouterr().err
    assert sentence in text
    assert text.count("\n") == 1


def test_texts_that_a_spreadsheet_would_run_are_told_and_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ['=HYPERLINK("http://x","y")', "-4.5", "+1 more", "@home", "plain", "- a list"]
    answers = [
        Answered(pair="m", item=f"q{n}", score=1.0, energy_j=1.0, text=text)
        for n, text in enumerate(texts)
    ]
    run = str(write_run_directory(tmp_path / "mine", answers))
    main(["export", run, "--as", "csv"])
    told = capsys.readouterr().err
    assert "8 texts in" in told, "four answers and the same extracted; a number is no formula"
    with Path(run, "csv", "requests.csv").open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == texts
    main(["export", run, "--as", "csv", "--without-text"])
    assert capsys.readouterr().err == ""


def test_a_run_is_not_written_over_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_in(tmp_path / "mine")
    before = {path.name: path.read_bytes() for path in Path(run).iterdir()}
    for form in ("parquet", "csv", "hf"):
        with pytest.raises(SystemExit) as stop:
            main(["export", run, "--as", form, "-o", str(tmp_path / "x" / ".." / "mine")])
        assert stop.value.code == 2
        assert "is the run itself" in capsys.readouterr().err
    with pytest.raises(SystemExit):  # each goes to a folder of its name, which is itself
        main(["export", run, run_in(tmp_path / "other"), "--as", "parquet", "-o", str(tmp_path)])
    assert "is the run itself" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in Path(run).iterdir()} == before


def test_a_run_of_figures_alone_makes_no_empty_logs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = Path(__file__).parents[1] / "golden" / "exchange" / "mlenergy_v3.csv"
    main(["import", str(golden), "-o", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stop:
        main(["export", str(tmp_path / "run"), "--as", "inspect"])
    assert stop.value.code == 2
    assert "has no answers, of which an Inspect log is made" in capsys.readouterr().err
    assert not (tmp_path / "run" / "inspect").exists()
    main(["export", str(tmp_path / "run"), "--as", "csv"])
    assert (tmp_path / "run" / "csv" / "published.csv").is_file()
