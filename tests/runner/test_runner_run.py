"""Whole runs against a real HTTP server: what is counted, shared out and left behind."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.errors import EngineError, InterruptedRunError, PerwattError, RunDirError
from perwatt.core.spec import RunSpec
from perwatt.core.summary import RunSummary
from perwatt.runner.events import EnergyFound, Event, Progress
from perwatt.runner.start import resume, start
from perwatt.runner.summary import summarise_run
from perwatt.store.journal import read_journal
from perwatt.store.load import load_tables


def spec(server: Any, questions: Path, out: Path, **given: Any) -> RunSpec:
    quick: dict[str, Any] = {"idle_s": 0.1, "warmup": 0, "sample_hz": 100.0}
    return RunSpec.resolve(
        {
            "model": ["m"],
            "endpoint": server.url,
            "workload": str(questions),
            "out": out,
            **quick,
            **given,
        }
    )


def summary_of(directory: Path) -> RunSummary:
    return summarise_run(load_tables(directory))


def silent(_: Event) -> None:
    return None


@pytest.mark.parametrize("in_flight", [1, 2, 4])
def test_the_parts_sum_to_the_device(
    server: Any, questions: Path, tmp_path: Path, in_flight: int
) -> None:
    out = start(spec(server, questions, tmp_path / "r", load=f"closed:{in_flight}"), silent)
    tables, (pair,) = load_tables(out), summary_of(out).pairs
    ledger = pair.ledger
    assert ledger is not None
    shared = sum(tables.requests["energy_gross_j"])
    parts = shared + ledger.idle_j + ledger.unattributed_j
    assert parts == pytest.approx(ledger.device_j, rel=1e-9, abs=1e-12)
    assert ledger.prefill_j + ledger.decode_j == pytest.approx(shared, rel=1e-9, abs=1e-12)
    assert max(tables.requests["in_flight"]) == in_flight


def test_energy_is_told_first_and_every_item_is_accounted_for(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    heard: list[Event] = []
    server.answer = lambda n: 500 if n % 5 == 0 else ("Answer: A" if n % 2 else "Answer: B")
    out = start(spec(server, questions, tmp_path / "r"), heard.append)
    assert isinstance(heard[0], EnergyFound)
    assert [e.done for e in heard if isinstance(e, Progress)] == list(range(1, 11))
    (pair,) = summary_of(out).pairs
    assert (pair.attempted, pair.served, pair.failed) == (10, 8, 2)
    # n = 1, 3, 7, 9 are right; 5 failed; a failure is a wrong answer, not a missing one.
    assert pair.metrics["accuracy"].value == pytest.approx(0.4)
    assert {v.code for v in summary_of(out).verdicts} >= {"failures", "few-items"}


def test_one_seed_one_result_and_the_summary_does_not_change(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    runs = [start(spec(server, questions, tmp_path / name), silent) for name in "ab"]
    one, other = (load_tables(run).requests for run in runs)
    for column in ("request_id", "item_id", "text", "score", "sampling"):
        assert one[column] == other[column]
    assert summary_of(runs[0]) == summary_of(runs[0])


def test_a_server_that_dies_stops_the_run_and_resume_asks_only_the_rest(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    quits_at = 4

    def answer(n: int) -> str:
        if n == quits_at:
            threading.Thread(target=server.stop).start()
        return "Answer: A"

    server.answer = answer
    server.token_s = 0.05
    out = tmp_path / "r"
    many = questions.parent / "many.jsonl"
    lines = [json.loads(line) for line in questions.read_text().splitlines()]
    copies = [{**line, "id": f"{line['id']}-{n}"} for n in range(3) for line in lines]
    many.write_text("".join(json.dumps(line) + "\n" for line in copies))
    asked = spec(server, many, out)
    with pytest.raises(EngineError, match="stopped answering") as caught:
        start(asked, silent)
    assert f"perwatt resume {out}" in str(caught.value)
    assert json.loads((out / "run.json").read_text())["status"] == "failed"
    with pytest.raises(PerwattError):
        resume(out, silent)  # the server is still away
    assert read_journal(out / "journal.jsonl").requests


def test_interrupted_then_resumed_counts_nothing_twice(
    server: Any, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r"

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError) as caught:
        start(spec(server, questions, out), interrupt)
    assert caught.value.exit_code == 3
    with pytest.raises(RunDirError, match="not finished"):
        load_tables(out)
    resume(out, silent)
    requests = load_tables(out).requests
    done = [i for i, s in zip(requests["item_id"], requests["status"], strict=True) if s == "ok"]
    assert sorted(done) == sorted(f"q{n}" for n in range(10))
    assert "resumed" in {v.code for v in summary_of(out).verdicts}
    before = (out / "requests.parquet").stat().st_mtime_ns
    resume(out, silent)  # complete: nothing is asked, nothing rewritten
    assert (out / "requests.parquet").stat().st_mtime_ns == before


def test_killed_before_the_first_line_of_the_journal(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    def kill(event: Event) -> None:
        if isinstance(event, EnergyFound):
            raise KeyboardInterrupt  # run.json is there, and the journal is not

    out = tmp_path / "r"
    with pytest.raises(InterruptedRunError):
        start(spec(server, questions, out), kill)
    assert not (out / "journal.jsonl").exists()
    resume(out, silent)
    assert sorted(load_tables(out).requests["item_id"]) == sorted(f"q{n}" for n in range(10))


def test_a_failure_of_an_item_that_nobody_judges_is_not_a_wrong_answer(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    lines = [json.loads(line) | {"scorer": "none"} for line in questions.read_text().splitlines()]
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    server.answer = lambda n: 500 if n != 3 else "Hello"
    out = start(spec(server, questions, tmp_path / "r"), silent)
    (pair,) = summary_of(out).pairs
    assert pair.failed == 9
    assert pair.metrics["accuracy"].value is None
    assert load_tables(out).requests["score"] == [None] * 10


def test_changed_items_are_not_mixed_into_an_old_run(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Progress):
            raise KeyboardInterrupt

    out = tmp_path / "r"
    with pytest.raises(InterruptedRunError):
        start(spec(server, questions, out), interrupt)
    questions.write_text(questions.read_text().replace("Question 3?", "Question 3, again?"))
    with pytest.raises(RunDirError, match="have changed"):
        resume(out, silent)


def test_two_pairs_are_compared_on_the_same_items(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    out = start(spec(server, questions, tmp_path / "r", model=["m", "n"], rounds=2), silent)
    summary = summary_of(out)
    assert [pair.identity.pair_id for pair in summary.pairs] == ["m", "n"]
    assert {c.metric for c in summary.comparisons} >= {"accuracy", "ipj"}
    phases = json.loads((out / "run.json").read_text())["phases"]
    assert [p["pair_id"] for p in phases if p["kind"] == "load"] == ["m", "n", "m"]


def test_a_failed_start_leaves_nothing_behind(server: Any, questions: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    with pytest.raises(PerwattError, match="Did you mean"):
        start(spec(server, questions, out, model=["mm"]), silent)
    assert not out.exists()


def test_a_key_reaches_no_file(
    server: Any, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-verysecret")
    server.answer = lambda n: 401 if n else "Answer: A"
    out = start(spec(server, questions, tmp_path / "r", api_key_env="MY_KEY"), silent)
    for file in out.rglob("*"):
        if file.is_file():
            assert b"verysecret" not in file.read_bytes()


def test_energy_of_another_machine_is_unknown_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from perwatt.runner.energy import find_energy

    def found(endpoint: str) -> tuple[bool, str]:
        picked, line = find_energy(RunSpec.resolve({"model": ["m"], "endpoint": endpoint}))
        if picked:
            picked.close()
        return picked is not None, line

    monkeypatch.setenv("OLLAMA_HOST", "gpu.example:11434")
    for far in ("http://gpu.example/v1", "ollama:http://gpu.example:11434", "ollama"):
        ours, line = found(far)
        assert not ours
        assert "UNKNOWN: gpu.example is another machine" in line
    for near in ("http://localhost:1/v1", "ollama:http://127.0.0.1:1", "replay:answers.jsonl"):
        assert found(near)[0]


def test_time_spent_waiting_is_idle_not_a_requests(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    def slow_listener(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 5:
            time.sleep(0.3)

    out = start(spec(server, questions, tmp_path / "r"), slow_listener)
    tables = load_tables(out).requests
    longest = max(
        end - start
        for start, end in zip(tables["dispatched_ns"], tables["last_chunk_ns"], strict=True)
    )
    (pair,) = summary_of(out).pairs
    assert pair.ledger is not None
    busy = sum(
        (e - s) / 1e9 for s, e in zip(tables["dispatched_ns"], tables["last_chunk_ns"], strict=True)
    )
    assert pair.ledger.window_s - busy > 0.25
    assert longest < 0.25e9
