"""Run directories: the lock, what is refused, and run.json whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perwatt.core.errors import DiskFullError, FileError, RunDirError
from perwatt.store.rundir import RunDir, read_run

HOLD = (
    "import sys, time; from pathlib import Path; from perwatt.store.rundir import RunDir;"
    "d = RunDir.create(Path(sys.argv[1])); d.write_run({'a': 1}); print('held', flush=True);"
    "time.sleep(60)"
)


def test_create_write_open_read(tmp_path: Path) -> None:
    place = tmp_path / "runs" / "first"
    with RunDir.create(place) as made:
        made.write_run({"name": "first", "text": "ü\u2028"})
    with RunDir.open(place) as opened:
        assert opened.read_run() == {"name": "first", "text": "ü\u2028"}
        assert opened.journal == place / "journal.jsonl"
    assert sorted(p.name for p in place.iterdir()) == ["lock", "run.json"]


def test_a_directory_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("mine")
    with pytest.raises(RunDirError, match="not empty and holds no perwatt run"):
        RunDir.create(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.doc"]


def test_an_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    with RunDir.create(tmp_path / "r") as made:
        made.write_run({})
    with pytest.raises(RunDirError, match="perwatt resume"):
        RunDir.create(tmp_path / "r")
    RunDir.open(tmp_path / "r").close()  # the refusal left no lock behind


def test_a_false_start_can_be_started_again(tmp_path: Path) -> None:
    RunDir.create(tmp_path / "r").close()
    (tmp_path / "r" / "logs").mkdir()
    (tmp_path / "r" / ".run.json.tmp").touch()  # killed while it was being written
    RunDir.create(tmp_path / "r").close()


@pytest.mark.parametrize("verb", [RunDir.create, RunDir.open])
def test_a_file_is_no_directory(tmp_path: Path, verb: object) -> None:
    (tmp_path / "f").write_text("x")
    assert callable(verb)
    with pytest.raises(FileError, match="file"):
        verb(tmp_path / "f")
    with pytest.raises(FileError):
        verb(tmp_path / "f" / "deeper")


def test_open_refuses_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="no run directory"):
        RunDir.open(tmp_path / "none")
    with pytest.raises(RunDirError, match="no perwatt run"):
        RunDir.open(tmp_path)


def test_damaged_and_missing_run_json_are_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b'{"a": ')
    with RunDir.open(tmp_path) as run, pytest.raises(RunDirError, match=r"run\.json is damaged"):
        run.read_run()
    (tmp_path / "run.json").rename(tmp_path / "journal.jsonl")
    with RunDir.open(tmp_path) as run, pytest.raises(RunDirError, match=r"no run\.json"):
        run.read_run()


@pytest.mark.parametrize("later", [2, 99, 1.5])
def test_a_run_of_a_later_format_is_for_a_later_perwatt(tmp_path: Path, later: float) -> None:
    run = f'{{"format": {later}, "perwatt_version": "9.0", "status": "complete"}}'
    (tmp_path / "run.json").write_text(run)
    with pytest.raises(RunDirError, match=f"is of format {later}, written by perwatt 9.0") as told:
        read_run(tmp_path)
    assert told.value.mend is not None


def test_two_processes_cannot_hold_one_run_and_kill_frees_it(tmp_path: Path) -> None:
    place = tmp_path / "r"
    command = [sys.executable, "-c", HOLD, str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"held\n"
            for verb in (RunDir.open, RunDir.create):
                with pytest.raises(RunDirError, match=f"process {child.pid}"):
                    verb(place)
        finally:
            child.send_signal(signal.SIGKILL)
    with RunDir.open(place) as freed:
        assert freed.read_run() == {"a": 1}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FileError, match="permission denied"):
            RunDir.create(tmp_path / "r")
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_leaves_the_old_run_json(tmp_path: Path) -> None:
    with RunDir.create(tmp_path / "r") as run:
        run.write_run({"old": True})
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            with pytest.raises(DiskFullError, match=r"run\.json"):
                run.write_run({"new": "x" * 10_000})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert run.read_run() == {"old": True}
        assert sorted(p.name for p in run.path.iterdir()) == ["lock", "run.json"]
