"""Prompts of an exact length: the last user message is cut, or goes on, until the count is right.

Tokens are those of all messages' texts, by the pair's own tokenizer where its endpoint offers one;
what a chat template adds comes on top, and is in the count that the server gives of each request.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from perwatt.core.errors import SpecError
from perwatt.core.protocols import CountsTokens, Endpoint
from perwatt.core.records import Message, Prompt

__all__ = ["counts", "estimated_tokens", "fitted"]

MOST_CALLS = 48
"""Bisection alone halves a megabyte to one character in 20, over words and then characters."""
_WORD = re.compile(r"\S+")
_PIECE = re.compile(r"\w{1,8}|[^\w\s]")

Count = Callable[[str], Awaitable[int]]


async def fitted(endpoint: Endpoint, prompt: Prompt, tokens: int) -> Prompt:
    """`prompt` with `tokens` tokens of text, by cutting or repeating its last user message.

    Its beginning stays, so that shared prefixes do. Where no cut gives exactly so many, the nearest
    below is taken; where the endpoint cannot count, the length is by `estimated_tokens`. Raises
    SpecError where the other messages leave no room, or there is no user message.
    """
    place = _last_user(prompt)
    count = await _counter(endpoint)
    others = [m.content for k, m in enumerate(prompt.messages) if k != place]
    room = tokens - sum([await count(text) for text in others])
    if room < 1:
        msg = f"{prompt.request_id}: its other messages alone have {tokens - room} tokens."
        raise SpecError(msg, f"Give it a prompt_tokens above {tokens - room}; it has {tokens}.")
    message = prompt.messages[place]
    text = await _Fit(count, room).text(message.content if message.content.strip() else "word")
    messages = list(prompt.messages)
    messages[place] = Message(role=message.role, content=text)
    return msgspec.structs.replace(prompt, messages=tuple(messages))


def estimated_tokens(text: str) -> int:
    """Words, those above eight letters as several, and marks: near the truth for common words."""
    return len(_PIECE.findall(text))


def _last_user(prompt: Prompt) -> int:
    for place in reversed(range(len(prompt.messages))):
        if prompt.messages[place].role == "user":
            return place
    msg = f"{prompt.request_id} has prompt_tokens, but no user message to cut or lengthen."
    raise SpecError(msg, "Give the item a user message.")


async def counts(endpoint: Endpoint) -> bool:
    """Can the pair's own tokenizer be asked?"""
    return isinstance(endpoint, CountsTokens) and await endpoint.count_tokens("word") is not None


async def _counter(endpoint: Endpoint) -> Count:
    """The endpoint's own count, or the estimate where it says once that it cannot."""

    async def estimate(text: str) -> int:
        return estimated_tokens(text)

    if not isinstance(endpoint, CountsTokens) or not await counts(endpoint):
        return estimate

    async def exact(text: str) -> int:
        found = await endpoint.count_tokens(text)
        return estimated_tokens(text) if found is None else found

    return exact


class _Fit:
    """One search for the beginning of a text that has `room` tokens."""

    def __init__(self, count: Count, room: int) -> None:
        self.count = count
        self.room = room
        self._calls = 0

    async def text(self, text: str) -> str:
        text, whole = await self._long_enough(text)
        if whole <= self.room:
            return text
        ends = [0, *(found.end() for found in _WORD.finditer(text))]
        ends[-1] = len(text)
        low, low_tokens, high = await self._search(text, ends, whole)
        if low_tokens == self.room:
            return text[:low]
        # Within one word: a long word, or one that is several tokens.
        inner, inner_tokens, _ = await self._search(text, range(low, high + 1), None)
        if inner_tokens == self.room:
            return text[:inner]
        best = inner if inner_tokens > low_tokens else low
        return await self._filled(text[:best], max(inner_tokens, low_tokens))

    async def _long_enough(self, text: str) -> tuple[str, int]:
        """`text`, repeated where it is too short, and its tokens."""
        whole = await self._tokens(text)
        unit, repeats = text, 1
        while 0 < whole < self.room and self._calls < MOST_CALLS:
            # A text repeated n times has about n times the tokens.
            repeats = max(2 * repeats, -(-self.room * repeats // whole))
            text = " ".join([unit] * repeats)
            whole = await self._tokens(text)
        return text, whole

    async def _search(
        self, text: str, ends: Sequence[int], whole: int | None
    ) -> tuple[int, int, int]:
        """The last of `ends` found with no more tokens than wanted, its tokens, and the next end.

        Counts all but rise with the end, so a straight line through what is known meets the place
        in a few steps; every third is a bisection, which bounds them where it does not.
        """
        low, low_tokens = 0, await self._tokens(text[: ends[0]])
        high = len(ends) - 1
        high_tokens = await self._tokens(text[: ends[-1]]) if whole is None else whole
        step = 0
        while high - low > 1 and low_tokens != self.room and self._calls < MOST_CALLS:
            step += 1
            share = (self.room - low_tokens) / max(high_tokens - low_tokens, 1)
            guess = low + round(share * (high - low)) if step % 3 else (low + high) // 2
            middle = min(max(guess, low + 1), high - 1)
            found = await self._tokens(text[: ends[middle]])
            if found <= self.room:
                low, low_tokens = middle, found
            else:
                high, high_tokens = middle, found
        return ends[low], low_tokens, ends[high]

    async def _filled(self, text: str, tokens: int) -> str:
        """Short of it by a few, which no cut could give: common words make up for them."""
        for filler in (" a", " the", ".", "\n"):
            longer = text + filler * (self.room - tokens)
            if self._calls < MOST_CALLS and await self._tokens(longer) == self.room:
                return longer
        return text

    async def _tokens(self, text: str) -> int:
        self._calls += 1
        return await self.count(text) if text else 0
