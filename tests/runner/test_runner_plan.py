from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perwatt.core.records import Item, Message, Workload
from perwatt.core.spec import RunSpec
from perwatt.runner.plan import make_plan, pair_ids, prompt_for
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
