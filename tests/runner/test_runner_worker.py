"""Load from several processes: the same requests, one journal, and nobody left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.errors import EngineError, InterruptedRunError, SpecError
from perwatt.core.protocols import EndpointConfig, Timeouts
from perwatt.core.records import PairIdentity, Reply, Request, Sampling, Served
from perwatt.core.spec import RunSpec
from perwatt.runner.events import Event, Progress
from perwatt.runner.loadgen_stretch import Prepared
from perwatt.runner.session_endpoint import for_workers, named
from perwatt.runner.start import resume, start
from perwatt.runner.worker_overlap import in_flight_of_all
from perwatt.runner.worker_wire import Setup, frame, to_worker
from perwatt.store.journal import read_journal
from perwatt.store.load import load_tables

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are told by /proc")


def spec(fake: Any, questions: Path, out: Path, **given: Any) -> RunSpec:
    quick: dict[str, Any] = {"idle_s": 0.05, "warmup": 0, "sample_hz": 100.0, "workers": 2}
    asked = {"model": ["fake"], "endpoint": fake.url, "workload": str(questions), "out": out}
    return RunSpec.resolve({**asked, **quick, **given})


def silent(_: Event) -> None:
    return None


def workers_of(parent: int) -> set[int]:
    """Pids of its load workers."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            state, father = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if b"perwatt.runner.worker" in words and state != "Z" and int(father) == parent:
            found.add(int(entry.name))
    return found


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def wait_until_gone(pids: set[int]) -> None:
    for _ in range(500):
        if {state_of(pid) for pid in pids} <= {"gone", "Z"}:  # nobody may be there to reap it
            return
        time.sleep(0.02)
    raise AssertionError(f"some of {pids} are still there")


@linux
def test_the_workers_ask_it_all_once_and_share_the_stages(
    fake: Any, questions: Path, tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in questions.read_text().splitlines()]
    lines[0]["turns"] = ["And then?"]
    lines[1]["messages"][0]["content"] += " Once more, by a worker. [[fault:http-503*1]]"
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    fake.clear()
    asked = spec(fake, questions, tmp_path / "r", load="closed:1,closed:5,constant:400", retries=2)
    out = start(asked, silent)
    journal = read_journal(out / "journal.jsonl")
    counted = [
        r for r in journal.requests if r.reply.status == "ok" and "turn-" not in r.request_id
    ]
    assert Counter((r.item_id, r.stage) for r in counted) == {
        (f"q{n}", stage): 1 for n in range(10) for stage in range(3)
    }
    assert Counter(r.reply.status for r in journal.requests) == {"ok": 33, "retried": 1}
    assert {r.worker for r in journal.requests if r.stage == 0} == {0}  # one place, one worker
    assert {r.worker for r in journal.requests if r.stage == 1} == {0, 1}
    audits = [(a.phase_id, a.worker) for a in journal.audits]
    # One worker, two, and two; and this process beside them, which asked nothing.
    assert len(audits) == len(set(audits)) == 5 + 3
    assert {a.worker for a in journal.audits if a.loop_lag_s} == {0, 1}
    assert len(fake.truth()) == 34
    tables = load_tables(out).requests
    assert min(tables["in_flight"]) >= 1 and max(tables["in_flight"]) <= 10
    assert not workers_of(os.getpid())


@linux
def test_interrupted_the_workers_tell_what_was_in_flight_and_go(
    fake: Any, questions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r"

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    asked = spec(fake, questions, out, load="closed:4", repeats=3)
    with pytest.raises(InterruptedRunError):
        start(asked, interrupt)
    assert not workers_of(os.getpid())
    resume(out, silent)
    journal = read_journal(out / "journal.jsonl")
    ok = [r for r in journal.requests if r.reply.status == "ok"]
    assert Counter((r.item_id, r.repeat) for r in ok) == {
        (f"q{n}", repeat): 1 for n in range(10) for repeat in range(3)
    }
    assert {r.reply.status for r in journal.requests} <= {"ok", "cancelled"}


@linux
def test_a_worker_that_dies_stops_the_run_and_what_it_did_is_kept(
    fake: Any, questions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r"
    killed: list[int] = []

    def kill_one(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 5 and not killed:
            killed.append(min(workers_of(os.getpid())))
            os.kill(killed[0], signal.SIGKILL)

    asked = spec(fake, questions, out, load="closed:2@20s")
    with pytest.raises(EngineError, match=r"killed by signal 9.*perwatt resume"):
        start(asked, kill_one)
    assert not workers_of(os.getpid())
    assert len(read_journal(out / "journal.jsonl").requests) >= 5


@linux
def test_kill_9_of_the_parent_leaves_no_worker(fake: Any, questions: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    command = [sys.executable, "-m", "perwatt", "run", "--model", "fake", "--endpoint", fake.url]
    command += ["--workload", str(questions), "--load", "closed:4@30s", "--workers", "2"]
    command += ["--idle-s", "0", "--warmup", "0", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as parent:
        try:
            for _ in range(1000):
                if (out / "journal.jsonl").is_file() and b'"request"' in (
                    out / "journal.jsonl"
                ).read_bytes():
                    break
                time.sleep(0.02)
            mine = workers_of(parent.pid)
            assert len(mine) == 2
        finally:
            parent.kill()
    wait_until_gone(mine)
    assert read_journal(out / "journal.jsonl").requests


@linux
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs util-linux")
def test_a_full_disk_stops_all_and_the_journal_is_whole(
    fake: Any, questions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r"
    command = [sys.executable, "-m", "perwatt", "run", "--model", "fake", "--endpoint", fake.url]
    command += ["--workload", str(questions), "--load", "closed:4", "--workers", "2"]
    command += ["--repeats", "20", "--idle-s", "0", "--warmup", "0", "--out", str(out)]
    command = ["prlimit", "--fsize=60000", "--", *command]  # no file may grow beyond this
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "disk is full" in done.stderr and "Traceback" not in done.stderr
    kept = {r.request_id for r in read_journal(out / "journal.jsonl").requests}
    assert 0 < len(kept) < 200
    resume(out, silent)
    requests = load_tables(out).requests
    ok = [i for i, s in zip(requests["request_id"], requests["status"], strict=True) if s == "ok"]
    assert len(ok) == len(set(ok)) == 200


def test_in_flight_is_counted_over_all_workers() -> None:
    def request(n: int, start: int, end: int, worker: int, phase: str = "a") -> Request:
        return Request(
            request_id=f"{phase}{n}",
            item_id="q",
            pair_id="p",
            session=1,
            phase_id=phase,
            repeat=0,
            scheduled_ns=start,
            in_flight=9,
            prompt_sha256=None,
            sampling=Sampling(),
            reply=Reply(status="ok", dispatched_ns=start, last_chunk_ns=end),
            worker=worker,
        )

    two = [request(0, 0, 10, 0), request(1, 5, 20, 1), request(2, 10, 30, 0)]
    alone = [request(0, 0, 10, 0, "b"), request(1, 5, 20, 0, "b")]
    assert [r.in_flight for r in in_flight_of_all(two + alone)] == [1, 2, 2, 9, 9]


def served(url: str | None, mode: str = "chat") -> Served:
    identity = PairIdentity(
        pair_id="m#2", label="m", model="m", engine="e", settings={"mode": mode}
    )
    return Served(identity=identity, url=url, pids=(), uses_accelerator=False)


def test_what_workers_are_told_survives_the_pipe(tmp_path: Path) -> None:
    config = EndpointConfig(
        pair_id="m#2", model="m", work_dir=tmp_path, timeouts=Timeouts(first_s=3), url="http://h"
    )
    setup = Setup(7, "openai", config, Prepared({}, {"q": None}))
    body = frame(setup)[4:]
    assert to_worker().decode(body) == setup


def test_an_engine_of_ours_is_asked_by_its_own_address(tmp_path: Path) -> None:
    config = EndpointConfig(pair_id="m#2", model="m.gguf", work_dir=tmp_path, api_key_env="KEY")
    name, told = for_workers("llamacpp", config, served("http://127.0.0.1:9"))
    assert (name, told.url) == ("openai", "http://127.0.0.1:9/v1/chat/completions")
    assert (told.model, told.api_key_env) == ("m-2", None)
    _, told = for_workers("llamacpp", config, served("http://127.0.0.1:9", "completion"))
    assert told.url == "http://127.0.0.1:9/v1/completions"
    with pytest.raises(SpecError, match="within this process"):
        for_workers("replay", config, served(None))


@pytest.mark.parametrize(
    ("given", "name", "address"),
    [
        ("http://host:8000/v1", "openai", "http://host:8000/v1"),
        ("https://host/v1", "openai", "https://host/v1"),
        ("openai:http://host", "openai", "http://host"),
        ("llamacpp", "llamacpp", None),
        ("nothing-such", "nothing-such", None),
    ],
)
def test_an_endpoint_is_a_name_an_address_or_both(
    given: str, name: str, address: str | None
) -> None:
    assert named(given) == (name, address)
