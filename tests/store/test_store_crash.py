"""Killed while it writes, again and again: all that was acknowledged is there, once and whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from perwatt.store.journal import read_journal
from perwatt.store.rundir import RunDir

# Goes on from what the journal holds, as `resume` does, and says each number once it is written.
WRITER = """
import sys
from pathlib import Path
from perwatt.core.clock import anchor_now
from perwatt.core.records import Reply, Request, Sampling
from perwatt.store.journal import JournalWriter, Session, read_journal
from perwatt.store.rundir import RunDir

place = Path(sys.argv[1])
with RunDir.open(place) if place.exists() else RunDir.create(place) as run:
    run.write_run({"status": "running"})
    with JournalWriter(run.journal) as journal:
        before = read_journal(run.journal)
        number = len(before.sessions) + 1
        journal.append(Session(session=number, anchor=anchor_now(), perwatt_version="0", pid=1))
        for n in range(len(before.requests), 10**9):
            reply = Reply(status="ok", dispatched_ns=1, last_chunk_ns=2, text=f"{n} " * (n % 500))
            journal.append(Request(
                request_id=str(n), item_id=str(n), pair_id="p", session=number, phase_id="f",
                repeat=0, scheduled_ns=1, in_flight=1, prompt_sha256=None, sampling=Sampling(),
                reply=reply,
            ))
            sys.stdout.write(f"{n}\\n")
            sys.stdout.flush()
            if n % 50 == 0:
                run.write_run({"status": "running", "text": "x" * n})
"""


def test_a_writer_killed_at_random_moments_loses_and_doubles_nothing(tmp_path: Path) -> None:
    place, rng, known = tmp_path / "run", random.Random(5), 0
    for sitting in range(1, 6):
        command = [sys.executable, "-c", WRITER, str(place)]
        said = tmp_path / "said"
        with (
            said.open("wb") as out,
            subprocess.Popen(command, stdout=out, start_new_session=True) as child,
        ):
            end = time.monotonic() + 60
            while said.stat().st_size == 0 and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, 0.1))
            os.killpg(child.pid, signal.SIGKILL)
        acknowledged = said.read_bytes().splitlines(keepends=True)
        last = max(int(line) for line in acknowledged if line.endswith(b"\n"))
        journal = read_journal(place / "journal.jsonl")
        assert len(journal.sessions) == sitting
        assert [r.request_id for r in journal.requests] == [
            str(n) for n in range(len(journal.requests))
        ]
        # What was being written, or was written and not yet said, may be there besides.
        assert known < last + 1 <= len(journal.requests) <= last + 2
        for n, request in enumerate(journal.requests):
            assert request.reply.text == f"{n} " * (n % 500)
        with RunDir.open(place) as run:  # the lock died with its holder
            assert run.read_run()["status"] == "running"
        known = len(journal.requests)
