"""Was the work done, and is the stream whole? What raises each verdict, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from perwatt.core.records import Item, Request, Sampling, ServerTimes
from perwatt.runner.verdicts import Evidence, find_verdicts
from tests.runner.asked_load import MS, evidence, reply, request


def each(**changed: Any) -> tuple[Request, ...]:
    """Forty requests; a callable gives a field of the n-th reply."""
    return tuple(
        request(
            n,
            reply(n * 140 * MS, **{k: v(n) if callable(v) else v for k, v in changed.items()}),
        )
        for n in range(40)
    )


def codes(requests: tuple[Request, ...], **changed: Any) -> dict[str, str]:
    return {v.code: v.severity for v in find_verdicts(evidence(requests=requests, **changed))}


def sentence(requests: tuple[Request, ...], **changed: Any) -> str:
    seen: Evidence = evidence(requests=requests, **changed)
    (verdict,) = find_verdicts(seen)
    return verdict.sentence


LONG = "The same words to everybody who asks, whatever it was that they wanted to know of it."


def test_long_answers_that_are_the_same_to_different_prompts() -> None:
    same = each(text=lambda n: LONG if n % 4 == 0 else f"{LONG} {n}")
    assert codes(same) == {"duplicate-answers": "warning"}
    assert sentence(same).startswith("10 of 40 long answers of Model A")
    assert codes(each(text="Answer: A")) == {}  # short ones are rightly so


def test_the_same_answer_to_the_same_prompt_is_no_duplicate() -> None:
    one = "0" * 64
    requests = tuple(
        request(n, reply(n * 140 * MS, text=LONG), prompt_sha256=one) for n in range(40)
    )
    assert "duplicate-answers" not in codes(requests)


@pytest.mark.parametrize(("kept", "severity"), [(4, "warning"), (30, "invalid")])
def test_answers_that_a_proxy_kept(kept: int, severity: str) -> None:
    assert codes(each(answer_cached=lambda n: n < kept)) == {"cached-answers": severity}


def repeated(temperature: float, ttft_ms: float) -> tuple[Request, ...]:
    """Each item twice, the second time after `ttft_ms` and in one piece."""
    sampling = Sampling(temperature=temperature)
    first = [
        request(n, reply(n * 140 * MS, text=f"{LONG} {n}"), sampling=sampling) for n in range(40)
    ]
    second = [
        request(
            40 + n,
            reply((40 + n) * 140 * MS, ttft_ms=ttft_ms, gaps_ms=(), text=f"{LONG} {n}"),
            item_id=str(n),
            prompt_sha256=f"{n:064x}",
            sampling=sampling,
            repeat=1,
        )
        for n in range(40)
    ]
    return (*first, *second)


def test_sampled_answers_that_come_again_at_once_were_kept() -> None:
    assert codes(repeated(0.7, 3))["cached-answers"] == "warning"
    assert "cached-answers" not in codes(repeated(0.7, 130))  # in the usual time
    assert "cached-answers" not in codes(repeated(0.0, 3))  # greedy: its words are rightly equal


def test_prompts_read_from_the_prefix_cache() -> None:
    assert codes(each(cached_tokens=30)) == {"cache-inflated": "warning"}
    assert "30% of its prompt tokens" in sentence(each(cached_tokens=30))
    assert codes(each(cached_tokens=4)) == {}
    # A server that only says how many tokens it worked on.
    worked = each(server=ServerTimes(total_s=0.139, prompt_tokens=60))
    assert "40% of its prompt tokens" in sentence(worked)
    assert codes(each(server=ServerTimes(total_s=0.139, prompt_tokens=100))) == {}


def test_later_turns_find_their_own_past_in_the_cache() -> None:
    turns = tuple(
        request(n, reply(n * 140 * MS, cached_tokens=80 * (n % 2)), turn=n % 2) for n in range(40)
    )
    assert codes(turns) == {}


def test_answers_without_anything_to_read() -> None:
    empty = each(
        text=lambda n: "" if n < 3 else f"Answer {n}",
        first_answer_ns=lambda n: None if n < 3 else n * 140 * MS + 50 * MS,
        reasoning=lambda n: "Hm." if n < 2 else None,
    )
    assert codes(empty) == {"empty-answers": "warning"}
    assert "3 of 40 answers of Model A are empty; in 2 of them" in sentence(empty)
    # A metering address keeps marks and no texts; a tool call is an answer too.
    assert codes(each(text="")) == {}
    assert codes(each(text="", first_answer_ns=None, tool_calls="[]")) == {}


def item(n: int, **changed: Any) -> Item:
    known = {"id": str(n), "kind": "k", "messages": (), "reference": "", "scorer": "exact"}
    return Item(**{**known, **changed})


def test_answers_that_were_cut() -> None:
    cut = each(finish_reason=lambda n: "length" if n < 8 else "stop")
    assert codes(cut) == {"truncated-answers": "note"}
    assert codes(each(finish_reason=lambda n: "length" if n < 4 else "stop")) == {}
    unscored = {str(n): item(n, scorer="none") for n in range(40)}
    assert codes(cut, items=unscored) == {}  # a length was asked for, and given


@pytest.mark.parametrize(
    ("wanted", "raises"), [(100, False), (60, False), (104, False), (110, True), (20, True)]
)
def test_prompts_of_a_chosen_length(wanted: int, raises: bool) -> None:
    # 100 tokens are counted; a template may add 64 to what was wanted.
    items = {str(n): item(n, prompt_tokens=wanted) for n in range(40)}
    assert codes(each(), items=items) == ({"prompt-lengths": "warning"} if raises else {})


def stuck(n: int) -> tuple[float, ...]:
    return (10, 10, 500, 10, 10, 10, 10, 10, 10) if n < 2 else (10,) * 9


def test_a_stream_that_stops_in_mid_answer() -> None:
    late = each(gaps_ms=stuck)
    found = codes(late)
    assert found["late-chunks"] == "warning"
    (said,) = [
        v.sentence for v in find_verdicts(evidence(requests=late)) if v.code == "late-chunks"
    ]
    assert "In 2 of 40 answers" in said
    assert "at most 0.5 s, where 10 ms between chunks are usual" in said


@pytest.mark.parametrize(
    ("gaps_ms", "severity"),
    [((0, 20, 0, 20, 0, 20, 0, 20, 0), "warning"), ((0, *(10,) * 8), "note")],
)
def test_chunks_that_come_together(gaps_ms: tuple[float, ...], severity: str) -> None:
    assert codes(each(gaps_ms=gaps_ms)) == {"bunched-chunks": severity}


def test_chunks_that_never_came() -> None:
    missing = each(completion_tokens=lambda n: 20 if n < 2 else 10)
    assert codes(missing) == {"missing-chunks": "warning"}
    assert "2 of 40 answers of Model A came in fewer chunks" in sentence(missing)
    assert codes(each(completion_tokens=12)) == {}  # tokens without text of their own
    assert codes(each(completion_tokens=20, tokens_by="chunks")) == {}  # our own count


def test_a_server_that_sends_several_tokens_a_chunk_misses_none() -> None:
    assert codes(each(completion_tokens=30)) == {"several-tokens-a-chunk": "note"}


def test_a_server_that_counts_fewer_tokens_than_it_sent() -> None:
    assert codes(each(completion_tokens=5)) == {"token-counts-differ": "warning"}


def again(kind: str, count: int) -> tuple[Request, ...]:
    failed = [
        request(
            100 + n,
            reply(n * 140 * MS, status="retried", error_kind=kind),
            request_id=f"a/{n}/0#attempt-1",
            item_id=str(n),
        )
        for n in range(count)
    ]
    return (*failed, *each())


def test_attempts_made_again_are_counted_by_kind_with_their_joules() -> None:
    requests = again("http-429", 3)
    seen = evidence(requests=requests, set_aside_j={"a": 1.25})
    (verdict,) = [v for v in find_verdicts(seen) if v.code == "retried"]
    assert verdict.severity == "warning"
    assert "3 attempts at Model A failed and were made again (3 http-429)" in verdict.sentence
    assert "They drew 1.25 J" in verdict.sentence
    (unknown,) = [v for v in find_verdicts(evidence(requests=requests)) if v.code == "retried"]
    assert " J" not in unknown.sentence
    assert "retried" not in codes(each())
