from __future__ import annotations

from collections import Counter
from itertools import islice

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perwatt.core.records import Item, Message, Workload
from perwatt.core.spec import RunSpec
from perwatt.runner.loadgen_stretch import due_jobs
from perwatt.runner.plan import Plan, Traces, make_plan, pair_ids, prompt_for
from perwatt.runner.plan_left import Past, what_is_left


def items(count: int) -> tuple[Item, ...]:
    question = (Message(role="user", content="?"),)
    return tuple(
        Item(id=f"i{n}", kind="k", messages=question, reference="a", scorer="exact", stop=("\n",))
        for n in range(count)
    )


def spec(**given: object) -> RunSpec:
    return RunSpec.resolve({"model": ["a", "b"], **given})


@given(
    count=st.integers(1, 20),
    repeats=st.integers(1, 3),
    rounds=st.integers(1, 6),
    seed=st.integers(0, 5),
)
def test_every_pair_is_asked_everything_once_in_the_same_order(
    count: int, repeats: int, rounds: int, seed: int
) -> None:
    plan = make_plan(spec(repeats=repeats, rounds=rounds, seed=seed), items(count))
    assert plan.total == 2 * count * repeats
    orders = {}
    for pair in ("a", "b"):
        jobs = [job for segment in plan.segments if segment.pair_id == pair for job in segment.jobs]
        assert Counter((j.item.id, j.repeat) for j in jobs) == Counter(
            (i.id, r) for i in items(count) for r in range(repeats)
        )
        orders[pair] = [(j.item.id, j.repeat) for j in jobs]
    assert orders["a"] == orders["b"]
    assert len({j.request_id for s in plan.segments for j in s.jobs}) == plan.total


def test_rounds_alternate_so_that_drift_favours_none() -> None:
    plan = make_plan(spec(rounds=4), items(8))
    assert [s.pair_id for s in plan.segments] == ["a", "b", "a", "b", "a"]
    assert [len(s.jobs) for s in plan.segments] == [2, 4, 4, 4, 2]


def test_same_seed_same_plan_other_seed_other_order() -> None:
    one, again, other = (make_plan(spec(seed=s), items(30)) for s in (1, 1, 2))
    assert one == again
    assert one != other


def test_what_is_done_is_not_asked_again() -> None:
    plan = make_plan(spec(), items(3))
    done = {job.request_id for job in plan.segments[0].jobs} | {"b/i1/0"}
    left, _ = what_is_left(plan, Past(done))
    assert [j.request_id for s in left.segments for j in s.jobs if j.item.id == "i1"] == []
    assert left.total == 2
    everything = Past({j.request_id for s in plan.segments for j in s.jobs})
    assert what_is_left(plan, everything)[0].segments == ()


@pytest.mark.parametrize(
    ("models", "ids"),
    [
        (("smollm2-135m", "smollm2-135m@Q4_0"), ["smollm2-135m", "smollm2-135m@q4_0"]),
        (("./x/My model.gguf", "./y/My model.gguf"), ["My-model", "My-model#2"]),
        (("a", "a", "a"), ["a", "a#2", "a#3"]),
        (("org/name",), ["name"]),
    ],
)
def test_pair_ids_are_short_and_distinct(models: tuple[str, ...], ids: list[str]) -> None:
    assert pair_ids(models) == ids


def test_prompt_takes_the_items_limits_unless_told_otherwise() -> None:
    (item,) = items(1)
    workload = Workload(
        name="w",
        version="1",
        items=(item,),
        sha256="0",
        licence="CC0-1.0",
        source="test",
        examples={"k": (Message(role="user", content="e"),)},
    )
    job = make_plan(spec(repeats=2), (item,)).segments[0].jobs[1]
    prompt = prompt_for(spec(seed=7), workload, job)
    assert (prompt.sampling.max_tokens, prompt.sampling.stop) == (64, ("\n",))
    assert prompt.sampling.seed == 7 + job.repeat
    assert prompt.examples[0].content == "e"
    assert prompt_for(spec(max_tokens=5), workload, job).sampling.max_tokens == 5


def stretches(load: str, count: int, traces: Traces | None = None, **given: object) -> Plan:
    return make_plan(spec(model=["a"], load=load, **given), items(count), traces or Traces())


def test_every_stage_asks_everything_under_ids_of_its_own() -> None:
    plan = stretches("closed:1,closed:2,poisson:3", 4, repeats=2)
    (segment,) = plan.segments
    assert [s.load.text for s in segment.stretches] == ["closed:1", "closed:2", "poisson:3"]
    ids = [job.request_id for job in segment.jobs]
    assert len(set(ids)) == len(ids) == 3 * 4 * 2
    orders = [[(j.item.id, j.repeat) for j in s.jobs] for s in segment.stretches]
    assert orders[0] == orders[1] == orders[2]


def test_a_timed_stage_has_an_end_in_time_alone_and_no_id_twice() -> None:
    plan = stretches("closed:1@5s", 3, repeats=2, rounds=2)
    rounds = plan.segments[0].stretches
    assert [s.round for s in rounds] == [0, 1]
    passes = [list(islice(s.in_order(), 9)) for s in rounds]
    ids = [job.request_id for jobs in passes for job in jobs]
    assert len(set(ids)) == len(ids) == 18
    first = [(job.item.id, job.repeat) for job in passes[0]]
    assert [(name, repeat + 2) for name, repeat in first[:3]] == first[3:6]
    skipping = msgspec.structs.replace(rounds[0], done=frozenset(ids[:4]))
    assert [job.request_id for job in islice(skipping.in_order(), 5)] == ids[4:9]


def test_a_trace_file_is_asked_whole_and_its_items_over_again() -> None:
    seven = Traces(files={"t": tuple(float(n) for n in range(7))})
    plan = stretches("trace:t:x2", 3, seven)
    jobs = plan.segments[0].jobs
    assert [job.due_ns for job in jobs] == [n * 500_000_000 for n in range(7)]
    assert Counter(job.repeat for job in jobs) == {0: 3, 1: 3, 2: 1}
    assert plan.notes == ()
    short = stretches("trace:t", 9, seven)
    assert short.notes == ("trace:t: 2 items are never asked: the trace has ended.",)


def test_a_workloads_own_times_are_each_items() -> None:
    own = Traces(items={"i0": 10.0, "i1": 11.0, "i2": 14.0})
    jobs = stretches("trace:x2", 3, own, repeats=2).segments[0].jobs
    timed = [(job.item.id, job.repeat, (job.due_ns or 0) / 1e9) for job in jobs]
    # The second time round begins one mean gap, 2 s, after the end of the first.
    assert timed == [
        ("i0", 0, 0.0),
        ("i1", 0, 0.5),
        ("i2", 0, 2.0),
        ("i0", 1, 3.0),
        ("i1", 1, 3.5),
        ("i2", 1, 5.0),
    ]


def test_a_trace_that_was_cut_goes_on_with_what_is_left() -> None:
    seven = Traces(files={"t": tuple(float(n) for n in range(7))})
    plan = stretches("trace:t", 7, seven)
    jobs = plan.segments[0].jobs
    left, _ = what_is_left(plan, Past({job.request_id for job in jobs[:3]}))
    due = list(due_jobs(left.segments[0].stretches[0], seed=0))
    assert [offset for offset, _ in due] == [n * 1_000_000_000 for n in range(4)]
    assert [job.request_id for _, job in due] == [job.request_id for job in jobs[3:]]


def test_all_pairs_see_the_same_arrivals_and_every_stage_others() -> None:
    plan = make_plan(spec(load="poisson:3,poisson:3"), items(5))
    a, b = plan.segments
    offsets = [
        [offset for offset, _ in due_jobs(stretch, seed=0)]
        for segment in (a, b)
        for stretch in segment.stretches
    ]
    assert offsets[0] == offsets[2] and offsets[1] == offsets[3]
    assert offsets[0] != offsets[1]
    assert [o for o, _ in due_jobs(a.stretches[0], seed=1)] != offsets[0]
