"""`perwatt serve` as a process: its address, its signals, and what a kill leaves."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from perwatt.cli import main
from perwatt.fakeserver import Settings, spawn
from perwatt.gateway.finish import resume_served
from perwatt.store.journal import read_journal
from perwatt.store.load import load_tables

SERVE = [sys.executable, "-m", "perwatt", "serve", "--port", "0", "--idle-s"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with spawn(Settings(tokens=5)) as one:
        yield f"{one.url}/v1"


@contextmanager
def serving(server: str, out: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its HOST:PORT."""
    command = [*SERVE, "0.1", "--to", server, "--out", str(out), "--json", "--sensors", "estimated"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            told = json.loads(line)
            assert told["run"] == str(out)
            yield process, told["url"].removeprefix("http://").removesuffix("/v1")
        finally:
            process.kill()


def ask(host: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(host, timeout=120)
    body = {"model": "fake", "messages": [{"role": "user", "content": "hi"}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    response = connection.getresponse()
    answer: dict[str, Any] = json.loads(response.read())
    assert float(response.headers["X-Perwatt-Energy-J"]) >= 0
    assert response.headers["X-Perwatt-Grade"] == "D"
    connection.close()
    return answer


def test_it_ends_well_when_told_to_and_shows_what_it_measured(server: str, tmp_path: Path) -> None:
    with serving(server, tmp_path / "run") as (process, host):
        assert ask(host)["usage"]["completion_tokens"] == 5
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    summary = json.loads(out)
    assert [pair["served"] for pair in summary["pairs"]] == [1]
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_kill_loses_nothing_that_was_answered(server: str, tmp_path: Path) -> None:
    with serving(server, tmp_path / "run") as (process, host):
        for _ in range(3):
            ask(host)
        journal = tmp_path / "run" / "journal.jsonl"
        while journal.read_text().count('"type":"request"') < 3:
            assert process.poll() is None
        process.kill()
    resume_served(tmp_path / "run", lambda _: None)
    assert load_tables(tmp_path / "run").requests["status"] == ["ok"] * 3


def test_stopped_before_it_is_open_it_leaves_nothing(server: str, tmp_path: Path) -> None:
    command = [*SERVE, "60", "--to", server, "--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process:
        while "at rest" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=240)
    assert process.returncode == 3
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_a_full_disk_ends_it_with_a_sentence_and_a_whole_journal(
    server: str, tmp_path: Path
) -> None:
    import resource

    with serving(server, tmp_path / "run") as (process, host):
        ask(host)
        journal = tmp_path / "run" / "journal.jsonl"
        most = journal.stat().st_size + 2_000
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
        try:
            for _ in range(200):
                ask(host)  # who is being answered is not to blame
        except (OSError, http.client.HTTPException):
            pass  # it has closed
        _, err = process.communicate(timeout=240)
    assert process.returncode == 2
    assert "is full" in err
    assert "Traceback" not in err
    assert len(read_journal(journal).requests) >= 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "Give --to http://localhost:8000/v1, or --model"),
        (["--to", "http://h/v1", "--port", "99999"], "--port 99999 is not usable."),
        (["--to", "http://h/v1", "--host", "0.0.0.0"], "--client-key-env VAR"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", *options])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert words in said
    assert len(said.strip().splitlines()) == 1
