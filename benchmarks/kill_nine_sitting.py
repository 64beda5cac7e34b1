"""One `perwatt` process of a run: started, watched, and killed at a moment of one's choosing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from perwatt.core.records import SET_ASIDE, Phase, Request, Score
from perwatt.store.journal import Session, read_journal
from perwatt.store.lines import decode_lines

__all__ = ["PHASES", "Sitting", "left_behind", "phase_of", "sit", "whole_lines"]

PHASES = ("starting", "idle", "warm-up", "load", "between", "scoring", "tables", "report")
MARK = "PERWATT_KILL_NINE"
LONGEST_S = 600.0
LOOK_S = 0.15
_KINDS = {"prepare": "starting", "warmup": "warm-up", "load": "load"}


class Sitting(NamedTuple):
    """What became of one process."""

    exit_code: int
    """−9: it was killed."""
    seconds: float
    error: str
    """stderr, whole."""
    looks: int
    """How often the journal was read while it lived: each time it must be whole."""


def sit(args: Sequence[str], run: Path, kill_after_s: float | None, group: bool) -> Sitting:
    """`perwatt ARGS`, killed after so many seconds if still there; all its group, or it alone.

    The journal is read again and again meanwhile. Raises PerwattError where it cannot be read, and
    AssertionError where something that had finished is not there any more.
    """
    command = [sys.executable, "-m", "perwatt", *args]
    log = run.with_suffix(".stderr")
    started = time.monotonic()
    looks, known = 0, b""
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=os.environ | {MARK: str(run)},
            start_new_session=True,
        ) as process,
    ):
        end = started + (LONGEST_S if kill_after_s is None else kill_after_s)
        while process.poll() is None and (left := end - time.monotonic()) > 0:
            try:
                process.wait(min(left, LOOK_S))
            except subprocess.TimeoutExpired:
                known, looks = look(run, known), looks + 1
        if process.poll() is None:
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
    look(run, known)
    text = log.read_text(encoding="utf-8", errors="replace")
    return Sitting(process.returncode, time.monotonic() - started, text, looks)


def look(run: Path, known: bytes) -> bytes:
    """Read the journal as another process would. Its whole lines, which begin with `known`."""
    journal = run / "journal.jsonl"
    if not journal.exists():
        assert not known, "the journal has gone"
        return b""
    read_journal(journal)
    data = whole_lines(journal)
    assert data.startswith(known), "the journal was rewritten"
    return data


def whole_lines(journal: Path) -> bytes:
    data = journal.read_bytes()
    return data[: data.rfind(b"\n") + 1]


def phase_of(run: Path) -> str:
    """In which of PHASES a killed process was, by what it left."""
    journal = run / "journal.jsonl"
    if not (run / "run.json").exists() or not journal.exists():
        return "starting"
    described = msgspec.json.decode((run / "run.json").read_bytes())
    if described["status"] == "complete":
        return "report"
    records = decode_lines(journal)
    sessions = [r.session for r in records if isinstance(r, Session)]
    if not sessions:
        return "starting"
    phases = {r.phase_id: r for r in records if isinstance(r, Phase) and r.session == sessions[-1]}
    running = [phase for phase in phases.values() if phase.end_ns is None]
    if running:
        return _KINDS.get(running[-1].kind, "idle")
    asked = [r for r in records if isinstance(r, Request) and r.reply.status not in SET_ASIDE]
    if len(asked) < described["requests"]:
        return "between" if phases else "starting"
    scored = sum(isinstance(r, Score) for r in records)
    return "scoring" if scored < len(asked) else "tables"


def left_behind(run: Path, patience_s: float = 15.0) -> list[int]:
    """Processes of this run, engine or other, that are still there after so long."""
    end = time.monotonic() + patience_s
    while (found := _marked(run)) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _marked(run: Path) -> list[int]:
    mark = f"{MARK}={run}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue  # it ended just now, or is another user's
            if mark in environment + b"\0":
                found.append(int(entry.name))
    return found
