"""`perwatt export`, as typed."""

from __future__ import annotations

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
