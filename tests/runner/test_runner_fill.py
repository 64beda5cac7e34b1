"""Short queries are repeated until their joules can be quoted one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perwatt.core.errors import InterruptedRunError, SpecError
from perwatt.core.load import parse_load
from perwatt.core.records import Item, Message, Prompt, Reply, Request, Sampling
from perwatt.core.spec import RunSpec
from perwatt.runner.events import Event, Progress
from perwatt.runner.fill import Filler, is_filled, measured_s
from perwatt.runner.plan import Job, Plan, Segment, Stretch
from perwatt.runner.plan_left import Past, what_is_left
from perwatt.runner.queries import one_row_each
from perwatt.runner.start import resume, start
from perwatt.runner.summary import summarise_run
from perwatt.store.load import load_tables

S = 1_000_000_000
ITEM = Item(
    id="q", kind="k", messages=(Message(role="user", content="?"),), reference="", scorer="exact"
)


def asked(job: Job, seconds: float, status: str = "ok") -> Request:
    return Request(
        request_id=job.request_id,
        item_id=job.item.id,
        pair_id="p",
        session=1,
        phase_id="s1-1",
        repeat=job.repeat,
        scheduled_ns=0,
        in_flight=1,
        prompt_sha256=None,
        sampling=Sampling(),
        reply=Reply(status=status, dispatched_ns=0, last_chunk_ns=round(seconds * S)),  # type: ignore[arg-type]
    )


def feed(filler: Filler, seconds: float, status: str = "ok") -> list[tuple[str, int]]:
    prompt = Prompt(request_id="p/q/0", messages=ITEM.messages, sampling=Sampling(seed=7))
    made = []
    for job, each in filler.feed("p", [(Job("p/q/0", ITEM, 0), prompt)]):
        made.append((each.request_id, each.sampling.seed))
        filler.heard(asked(job, seconds, status))
    return made


def test_repeats_go_on_until_five_seconds_are_measured() -> None:
    filler = Filler(0.02, {})
    assert feed(filler, 1.5) == [(f"p/q/{n}", 7 + n) for n in range(4)]
    assert filler.added == 3


def test_a_slow_tick_asks_for_more() -> None:
    assert len(feed(Filler(0.2, {}), 2.5)) == 4  # fifty ticks of 0.2 s


def test_what_is_long_enough_is_asked_once_and_what_fails_is_not_repeated() -> None:
    assert len(feed(Filler(0.02, {}), 6.0)) == 1
    assert len(feed(Filler(0.02, {}), 0.1, status="error")) == 1


def test_what_takes_no_time_ends_all_the_same() -> None:
    assert len(feed(Filler(0.02, {}), 0.0)) == 1000
    assert is_filled(0.0, 1000, 0.02) and not is_filled(4.9, 999, 0.02)


def test_an_item_half_filled_goes_on_after_a_resume() -> None:
    done = [asked(Job(f"p/q/{n}", ITEM, n), 2.0) for n in range(2)]
    so_far = measured_s([*done, asked(Job("p/q/2", ITEM, 2), 1.0, status="cancelled")])
    assert so_far == {("p", "q"): (4.0, 2)}
    (load,) = parse_load("closed:1").stages
    one = Stretch(pair_id="p", load=load, jobs=(Job("p/q/0", ITEM, 0),))
    plan = Plan((Segment("p", "m", (one,)),))
    left, _ = what_is_left(plan, Past({"p/q/0", "p/q/1"}, again={("p", "q"): 2}))
    assert [job.request_id for segment in left.segments for job in segment.jobs] == ["p/q/2"]


def test_queries_are_measured_one_at_a_time() -> None:
    with pytest.raises(SpecError, match=r"--per-query.*share the device"):
        RunSpec.resolve({"model": ["m"], "load": "closed:2", "per_query": True})


def test_a_whole_run_repeats_its_item_and_resumes(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    server.token_s = 0.2
    out = tmp_path / "r"
    spec = RunSpec.resolve(
        {
            "model": ["m"],
            "endpoint": server.url,
            "workload": str(questions),
            "out": out,
            "limit": 1,
            "per_query": True,
            "idle_s": 0.1,
            "warmup": 0,
        }
    )

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError):
        start(spec, stop)
    resume(out, lambda _: None)
    requests = load_tables(out).requests
    whole = [n for n, s in zip(requests["repeat"], requests["status"], strict=True) if s == "ok"]
    assert whole == list(range(len(whole)))
    lengths = [
        (b - a) / S
        for a, b, s in zip(
            requests["dispatched_ns"], requests["last_chunk_ns"], requests["status"], strict=True
        )
        if s == "ok"
    ]
    assert sum(lengths) >= 5 > sum(lengths[:-1])
    summary = summarise_run(load_tables(out))
    assert summary.pairs[0].attempted == 1  # one item, however often it was asked


def test_an_item_that_was_asked_more_often_weighs_no_more() -> None:
    joined = one_row_each(
        {
            "item_id": ["a", "b", "a", "a", "b"],
            "repeat": [1, 0, 0, 2, 1],
            "score": [1.0, 0.0, 1.0, None, 0.0],
            "energy_gross_j": [3.0, 8.0, 1.0, 2.0, None],
            "energy_net_j": [None] * 5,
            "dispatched_ns": [10, 20, 5, 30, 40],
        }
    )
    assert joined == {
        "item_id": ["a", "b"],
        "repeat": [0, 0],
        "score": [1.0, 0.0],
        "energy_gross_j": [2.0, 8.0],
        "energy_net_j": [None, None],
        "dispatched_ns": [5, 20],
    }
