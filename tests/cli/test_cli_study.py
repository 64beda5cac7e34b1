"""`perwatt study` as it is typed: what is wrong is told before, or beside, the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.cli import main


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    answers = [Answered(pair="one", item=f"q{n}", score=1.0, energy_j=2.0) for n in range(8)]
    write_run_directory(tmp_path / "runs" / "a", answers)
    return tmp_path / "runs"


def told(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["study", *map(str, argv)])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    return out, err


def test_where_it_cannot_be_written_is_told_before_it_is_made(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for option, place, mend in (
        ("-o", tmp_path / "absent" / "x.html", "Make it, or name another file with -o."),
        ("-o", tmp_path, "study.html."),
        ("--csv", tmp_path / "file", "Name another folder with --csv."),
    ):
        out, err = told(capsys, tmp_path / "no-runs", option, place)
        assert out == ""
        assert err.startswith(f"perwatt: {place} cannot be ")
        assert err.count("\n") == 1
        assert err.rstrip().endswith(mend)


def test_a_wrong_address_is_told_before_the_runs_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = told(capsys, tmp_path / "no-runs", "--cluster", "nope")
    assert err.startswith("perwatt: --cluster 'nope' is no address of a Ray cluster.")


def test_a_pipe_gets_the_tables_and_stderr_nothing(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    main(["study", str(runs), "--table", "pairs"])
    out, err = capsys.readouterr()
    assert "one" in out
    assert err == ""
    assert "\x1b" not in out
