"""Whole runs under other loads than one closed loop, against the server of known truth."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.errors import InterruptedRunError, SpecError
from perwatt.core.records import Phase, Request
from perwatt.core.spec import RunSpec
from perwatt.runner.events import Event, Note, Progress
from perwatt.runner.start import resume, start
from perwatt.store.journal import Journal, read_journal
from perwatt.store.load import load_tables

S = 1_000_000_000


def spec(fake: Any, questions: Path, out: Path, **given: Any) -> RunSpec:
    quick: dict[str, Any] = {"idle_s": 0.05, "warmup": 0, "sample_hz": 100.0}
    asked = {"model": ["fake"], "endpoint": fake.url, "workload": str(questions), "out": out}
    return RunSpec.resolve({**asked, **quick, **given})


def silent(_: Event) -> None:
    return None


def journal_of(out: Path) -> Journal:
    return read_journal(out / "journal.jsonl")


def load_phases(journal: Journal) -> list[Phase]:
    return [phase for phase in journal.phases if phase.kind == "load"]


def test_each_stage_is_a_phase_over_all_items(fake: Any, questions: Path, tmp_path: Path) -> None:
    load = "closed:2,constant:200"
    out = start(spec(fake, questions, tmp_path / "r", load=load, warmup_s=0.02), silent)
    journal = journal_of(out)
    phases = load_phases(journal)
    assert [(p.stage, p.load) for p in phases] == [(0, "closed:2"), (1, "constant:200")]
    assert [p.counted_from_ns for p in phases] == [p.start_ns + S // 50 for p in phases]
    assert Counter(r.stage for r in journal.requests) == {0: 10, 1: 10}
    for request in journal.requests:
        phase = phases[request.stage]
        assert request.phase_id == phase.phase_id
        assert phase.start_ns <= request.scheduled_ns <= request.reply.dispatched_ns
    kinds = [p.kind for p in journal.phases]
    assert kinds == ["bare_idle", "prepare", "loaded_idle", "load", "load", "after_idle"]
    assert {audit.phase_id for audit in journal.audits} == {p.phase_id for p in phases}
    assert len({*load_tables(out).requests["request_id"]}) == 20


def test_rounds_go_over_every_stage(fake: Any, questions: Path, tmp_path: Path) -> None:
    load = "closed:1,closed:2"
    out = start(spec(fake, questions, tmp_path / "r", load=load, rounds=2), silent)
    journal = journal_of(out)
    assert [p.stage for p in load_phases(journal)] == [0, 1, 0, 1]
    per_phase = Counter(r.phase_id for r in journal.requests)
    assert set(per_phase.values()) == {5}
    assert Counter(r.item_id for r in journal.requests) == {f"q{n}": 2 for n in range(10)}


def test_a_timed_stage_goes_on_after_a_resume_for_the_time_that_is_left(
    fake: Any, questions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r"

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 15:
            raise KeyboardInterrupt

    load = "constant:50@600ms,constant:100@200ms"
    with pytest.raises(InterruptedRunError):
        start(spec(fake, questions, out, load=load, cooldown_s=0.05), interrupt)
    resume(out, silent)
    journal = journal_of(out)
    ok = [r for r in journal.requests if r.reply.status == "ok"]
    assert len({(r.item_id, r.repeat, r.stage) for r in ok}) == len(ok)
    # Thirty and twenty were due. Those in flight when it was stopped are not asked again.
    assert 15 <= sum(r.stage == 0 for r in ok) <= 30
    assert 25 <= len({(r.item_id, r.repeat) for r in journal.requests if r.stage == 0}) <= 30
    assert sum(r.stage == 1 for r in ok) == 20
    first, *second, last = load_phases(journal)
    assert (first.stage, last.stage) == (0, 1)
    for phase in second:  # none, where a busy machine let it come to fifteen after 600 ms only
        assert phase.stage == 0
        assert phase.counted_to_ns is not None and phase.end_ns is not None
        assert phase.counted_to_ns < phase.start_ns + 0.35 * S
    assert second or (first.end_ns or 0) - first.start_ns > 0.55 * S


def test_a_sweep_stops_where_more_gives_nothing_more(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    heard: list[Event] = []
    one_at_a_time = asyncio.Semaphore(1)
    streamed = server._chat

    async def in_turn(request: Any) -> Any:
        async with one_at_a_time:
            return await streamed(request)

    server.handler = in_turn
    asked = spec(server, questions, tmp_path / "r", load="sweep:1..16", repeats=2, model=["m"])
    out = start(asked, heard.append)
    *others, last = (p.stopped for p in load_phases(journal_of(out)))
    assert last == "saturated" and set(others) == {None} and len(others) < 4
    assert any(isinstance(e, Note) and "saturated" in e.text for e in heard)
    assert json.loads((out / "run.json").read_text())["status"] == "complete"


def test_a_trace_is_asked_whole_and_items_it_never_reaches_are_told(
    fake: Any, questions: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "t.csv"
    rows = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    rows += [f"2023-11-16 18:15:4{n}.5000000,10,4" for n in range(7)]
    trace.write_text("\n".join(rows) + "\n")
    heard: list[Event] = []
    load = f"trace:{trace}:x50"
    out = start(spec(fake, questions, tmp_path / "r", load=load), heard.append)
    due = sorted(r.scheduled_ns for r in journal_of(out).requests)
    assert [each - due[0] for each in due] == [n * S // 50 for n in range(7)]
    assert any(isinstance(e, Note) and "3 items are never asked" in e.text for e in heard)


def test_retries_are_rows_that_count_nowhere(fake: Any, questions: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in questions.read_text().splitlines()]
    for line in lines[:4]:
        line["messages"][0]["content"] += " [[fault:http-503*1]]"
    lines[4]["messages"][0]["content"] += " [[fault:http-400]]"
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    fake.clear()
    out = start(spec(fake, questions, tmp_path / "r", load="closed:4", retries=3), silent)
    tables = load_tables(out)
    statuses = Counter(tables.requests["status"])
    assert statuses == {"ok": 9, "error": 1, "retried": 4}
    assert len(fake.truth()) == 14
    assert len(tables.scores["request_id"]) == 10
    attempts = Counter(zip(tables.requests["status"], tables.requests["attempt"], strict=True))
    assert attempts["ok", 2] == 4 and attempts["error", 1] == 1


def test_conversations_are_scored_once(fake: Any, questions: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in questions.read_text().splitlines()][:3]
    lines[0]["turns"] = ["And then?", "And after that?"]
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    fake.clear()
    out = start(spec(fake, questions, tmp_path / "r", load="closed:2"), silent)
    requests: tuple[Request, ...] = journal_of(out).requests
    assert Counter(r.item_id for r in requests) == {"q0": 3, "q1": 1, "q2": 1}
    assert len(load_tables(out).scores["request_id"]) == 3
    with pytest.raises(SpecError, match="conversations"):
        start(spec(fake, questions, tmp_path / "s", per_query=True), silent)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"load": "trace"}, "does not say when to ask"),
        ({"load": "closed:2", "workers": 3}, "more than the 2"),
        ({"load": "poisson:9", "workers": 3, "max_in_flight": 2}, "more than the 2"),
        ({"load": "closed:2@1s", "warmup_s": 0.6, "cooldown_s": 0.4}, "nothing of it is left"),
        ({"load": "closed:2", "cooldown_s": 0.4}, "nobody knows beforehand"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_asked(
    fake: Any, questions: Path, tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        start(spec(fake, questions, tmp_path / "r", **given), silent)
    assert caught.value.mend
    assert not (tmp_path / "r").exists()


def test_an_endpoint_may_be_named_with_its_address(
    fake: Any, questions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r"
    start(spec(fake, questions, out, endpoint=f"openai:{fake.url}", limit=2), silent)
    assert {r.reply.status for r in journal_of(out).requests} == {"ok"}
