"""The command as a process, stopped in the middle: by Ctrl-C, by a full disk, by a second run."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perwatt.fakeserver.settings import Settings
from perwatt.fakeserver.spawn import Spawned, spawn
from perwatt.store.journal import read_journal
from perwatt.store.load import load_tables

PATIENCE_S = 120
ITEMS = 12


@pytest.fixture(scope="module")
def slow() -> Iterator[Spawned]:
    """Near half a second an answer: there is time to stop a run in its middle."""
    with spawn(Settings(ttft="20ms", itl="50ms", tokens=8)) as server:
        yield server


def perwatt(*args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "perwatt", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code, and what was said last."""
    _, err = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in err
    return process.returncode, err.strip().splitlines()[-1]


def begin(server: Spawned, run: Path) -> subprocess.Popen[str]:
    items = run.with_suffix(".jsonl")
    lines = [
        {
            "id": f"q{n}",
            "kind": "k",
            "messages": [{"role": "user", "content": f"Question {n}?"}],
            "reference": "A",
            "scorer": "exact",
        }
        for n in range(ITEMS)
    ]
    items.write_text("".join(json.dumps(line) + "\n" for line in lines))
    quick = ("--idle-s", "0", "--warmup", "0", "--load", "closed:2", "--out", str(run))
    url = ("--endpoint", server.url, "--model", "fake", "--workload", str(items))
    return perwatt("run", *url, *quick)


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def finished(run: Path) -> int:
    journal = run / "journal.jsonl"
    return journal.read_bytes().count(b'"type":"request"') if journal.exists() else 0


def resumed(run: Path, kept: int) -> None:
    """It ends well: each item once, and what had finished before is as it was."""
    before = {r.request_id: r for r in read_journal(run / "journal.jsonl").requests}
    code, said = ended(perwatt("resume", str(run)))
    assert code == 0, said
    table = load_tables(run).requests
    done = [k for k, status in enumerate(table["status"]) if status == "ok"]
    assert sorted(table["item_id"][k] for k in done) == sorted(f"q{n}" for n in range(ITEMS))
    assert sum(table["session"][k] == 1 for k in done) == kept
    for k in done:
        old = before.get(table["request_id"][k])
        assert old is None or old.reply.last_chunk_ns == table["last_chunk_ns"][k]


def test_ctrl_c_and_a_second_run_in_its_place(slow: Spawned, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = begin(slow, run)
    wait_until(lambda: finished(run) >= 2)
    process.send_signal(signal.SIGSTOP)  # it stays in the middle, however slow this machine is
    for other in [begin(slow, run), perwatt("resume", str(run))]:
        code, said = ended(other)
        assert code == 2
        assert f"{run} is in use by another perwatt (process {process.pid})." in said
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    code, said = ended(process)
    assert code == 3
    assert said.endswith(f"Go on with: perwatt resume {run}")
    kept = sum(r.reply.status == "ok" for r in read_journal(run / "journal.jsonl").requests)
    assert 2 <= kept < ITEMS
    code, said = ended(begin(slow, run))
    assert (code, f"{run} already holds a run." in said) == (2, True)
    resumed(run, kept)


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_a_disk_that_fills_up_in_the_middle(slow: Spawned, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = begin(slow, run)
    wait_until(lambda: finished(run) >= 2)
    most = (run / "journal.jsonl").stat().st_size + 700
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
    code, said = ended(process)
    assert code == 2
    assert "The disk is full: " in said
    assert str(run) in said
    assert "Free some space" in said
    journal = read_journal(run / "journal.jsonl")  # whole, to the last line
    assert (run / "journal.jsonl").read_bytes().endswith(b"\n")
    kept = sum(r.reply.status == "ok" for r in journal.requests)
    assert 2 <= kept < ITEMS
    resumed(run, kept)
