"""Synthetic prompts: lengths as asked, one seed one text, nothing shared but what is asked for."""

from __future__ import annotations

from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.errors import SpecError, UnknownNameError
from perwatt.core.records import Item
from perwatt.core.registry import registry
from perwatt.workloads.lengths import parse_lengths
from perwatt.workloads.load import load
from perwatt.workloads.words import Words


def words_of(item: Item) -> list[str]:
    return item.messages[0].content.split()


def test_items_have_the_lengths_asked_for() -> None:
    workload = load("synthetic:prompt=300,output=150,n=20")
    assert len(workload.items) == 20
    assert {len(words_of(item)) for item in workload.items} == {300}
    assert {(i.prompt_tokens, i.max_tokens, i.scorer) for i in workload.items} == {
        (300, 150, "none")
    }
    assert workload.source == "synthetic:n=20,output=150,prompt=300"


def test_a_seed_fixes_the_items_and_their_hash() -> None:
    one = load("synthetic:n=5,seed=7")
    # A literal: other items under an unchanged version would not be noticed otherwise.
    assert one.sha256 == "24207d8ad523faac7f2671fc5049ba14a2ed6262db505ca77d4881519a19549a"
    assert load("synthetic:seed=7,n=5").sha256 == one.sha256
    assert load("synthetic:n=5,seed=8").sha256 != one.sha256
    assert load("synthetic:n=9,seed=7,turns=1").items[:5] == one.items


@given(st.integers(2, 40), st.integers(1, 30), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_no_two_prompts_begin_alike(length: int, count: int, seed: int) -> None:
    items = load(f"synthetic:prompt={length},n={count},seed={seed}").items
    assert len({words_of(item)[0] for item in items}) == count


def test_a_prefix_is_all_that_is_shared() -> None:
    items = load("synthetic:prompt=40,prefix=200,n=30").items
    assert {item.prompt_tokens for item in items} == {240}
    assert len({tuple(words_of(item)[:200]) for item in items}) == 1
    assert len({words_of(item)[200] for item in items}) == 30


def test_turns_are_further_questions_of_their_own() -> None:
    items = load("synthetic:prompt=12,turns=3,n=4").items
    texts = [text for item in items for text in (item.messages[0].content, *item.turns)]
    assert {len(item.turns) for item in items} == {2}
    assert len(set(texts)) == 12
    assert {len(text.split()) for text in texts} == {12}
    assert load("synthetic:prompt=12,turns=3,n=9").items[:4] == items


@pytest.mark.parametrize(
    ("text", "mean", "spread"),
    [
        ("400±50", 400, 50),
        ("400+-50", 400, 50),
        ("normal:400±50", 400, 50),
        ("uniform:100-500", 300, 401 / 12**0.5),
        ("lognormal:300±200", 300, 200),
        ("25", 25, 0),
    ],
)
def test_drawn_lengths_have_the_mean_and_deviation_named(
    text: str, mean: float, spread: float
) -> None:
    rng = Random(3)
    lengths = parse_lengths("prompt", text)
    drawn = [lengths.draw(rng) for _ in range(4000)]
    assert min(drawn) >= 1
    assert fmean(drawn) == pytest.approx(mean, abs=0.02 * mean + 0.1 * spread)
    assert stdev(drawn) == pytest.approx(spread, rel=0.15, abs=0.01)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("promt=3", "no option 'promt'.*Did you mean prompt"),
        ("prompt=x", r"--workload synthetic: prompt=x is not a number of tokens.*300±50"),
        ("prompt=0", "not a number of tokens"),
        ("prompt=uniform:9-3", "not a number of tokens"),
        ("prompt=lognormal:0±3", "not a number of tokens"),
        ("n=0", "n=0 is not a whole number of 1 up"),
        ("seed=-1", "seed=-1 is not a whole number"),
        ("prompt", "'prompt' is not written name=value"),
        ("n=", "'n=' is not written name=value"),
        ("n=1,n=2", "n is given twice"),
    ],
)
def test_an_option_that_cannot_be_read_is_named(options: str, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        load(f"synthetic:{options}")
    assert caught.value.mend


def test_options_are_for_workloads_that_take_them() -> None:
    with pytest.raises(SpecError, match="core takes no options"):
        load("core:level=1")
    with pytest.raises(UnknownNameError, match="Did you mean synthetic"):
        load("synthetc:n=4")
    assert load("synthetic:").sha256 == load("synthetic").sha256


def test_the_text_is_of_common_words_and_bounded_by_no_pool() -> None:
    text = Words(0).text("long", 5, 150_000).split()
    assert len(text) == 150_000
    assert len(set(text)) == 1024
    assert all(word.isascii() and word.islower() for word in text)


def test_an_unscored_answer_is_neither_right_nor_wrong() -> None:
    (item,) = load("synthetic:n=1").items
    judgement = registry("scorer").get("none")()(item, "whatever")
    assert (judgement.value, judgement.abstained) == (None, True)
    assert judgement.explanation
