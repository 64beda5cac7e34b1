"""What can be made to go wrong, and when: one table, and rules that pick from it.

A fault is named by, from the strongest:

header  `x-fake-fault: reset`
prompt  `[[fault:reset]]`, or `[[fault:http-503*1]]`: only the first time this prompt is asked
rule    `reset:every=7` each seventh request, `reset:p=0.01` with that probability by seed,
        `reset:word=BOOM` where the prompt holds that word
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

import msgspec

from perwatt.core.errors import SpecError, UnknownNameError

__all__ = ["FAULTS", "Faults", "Rule", "http_status", "parse_rule"]

FAULTS: Mapping[str, str] = {
    "timeout-first": "nothing is ever sent",
    "timeout-chunk": "after half of the chunks, nothing more",
    "timeout-total": "chunks drip slowly and without end",
    "http-400": "refused; any http-4xx and http-5xx can be named",
    "http-401": "refused: no such key",
    "http-429": "refused: too many requests, with Retry-After",
    "http-500": "refused: the server failed",
    "http-503": "refused: the server is overloaded, with Retry-After",
    "context-overflow": "400 that says that the prompt is too long",
    "content-filter": "400 that says that a filter refused the prompt",
    "reset-first": "TCP reset before anything is sent",
    "reset": "TCP reset after half of the chunks",
    "closed": "the connection closed after half of the chunks, the HTTP body unfinished",
    "truncated": "the HTTP body ended well after half of the chunks, no finish reason, no [DONE]",
    "malformed": "an event that is no JSON after half of the chunks",
    "malformed-http": "a chunk size that is no number after half of the chunks",
    "bad-utf8": "an event with bytes that are no UTF-8 after half of the chunks",
    "wrong-model": "answered, by a model of another name",
    "empty": "an answer without a token, counted as none",
    "server": "an error object in the stream after half of the chunks",
    "not-streamed": "plain JSON though a stream was asked for",
    "late": "a stall in the middle, then all of the rest",
    "duplicate": "one chunk sent twice",
    "no-done": "all of it but [DONE]",
}
_IN_PROMPT = re.compile(r"\[\[fault:([a-z0-9-]+)(?:\*(\d+))?\]\]")
_STATUS = re.compile(r"http-([45]\d\d)")


class Rule(msgspec.Struct, frozen=True):
    """When a fault happens of itself. Exactly one of the last three is set."""

    kind: str
    every: int | None = None
    probability: float | None = None
    word: str | None = None


def http_status(kind: str) -> int | None:
    """The status of a fault that is one; None for the others."""
    found = _STATUS.fullmatch(kind)
    return int(found[1]) if found else None


def parse_rule(text: str) -> Rule:
    """`kind:every=N`, `kind:p=X` or `kind:word=W`. Raises SpecError, UnknownNameError."""
    kind, _, when = text.partition(":")
    if kind not in FAULTS and http_status(kind) is None:
        raise UnknownNameError("fault", kind, FAULTS)
    name, _, value = when.partition("=")
    if name == "every" and re.fullmatch(r"[1-9]\d*", value):
        return Rule(kind, every=int(value))
    if name == "p" and re.fullmatch(r"0(\.\d+)?|1(\.0+)?", value):
        return Rule(kind, probability=float(value))
    if name == "word" and value:
        return Rule(kind, word=value)
    msg = f"--fault {text!r} does not say when."
    raise SpecError(msg, f"Write {kind}:every=7, {kind}:p=0.01 or {kind}:word=BOOM.")


class Faults:
    """Picks each request's fault."""

    def __init__(self, rules: tuple[str, ...]) -> None:
        self._rules = tuple(parse_rule(rule) for rule in rules)
        self._seen: dict[str, int] = {}
        self.draws = any(rule.probability is not None for rule in self._rules)
        """Whether `pick` needs a generator."""

    def pick(
        self, header: str | None, prompt: str, n: int, rng: random.Random | None
    ) -> str | None:
        """The fault of the n-th request (from 1); None for none. An unknown name is a 400."""
        if header is not None:
            return _known(header)
        if "[[fault:" in prompt and (found := _IN_PROMPT.search(prompt)):
            if found[2] is None:
                return _known(found[1])
            self._seen[prompt] = self._seen.get(prompt, 0) + 1
            if self._seen[prompt] <= int(found[2]):
                return _known(found[1])
        for rule in self._rules:
            if rule.every is not None and n % rule.every == 0:
                return rule.kind
            if rule.word is not None and rule.word in prompt:
                return rule.kind
            if rule.probability is not None and rng is not None and rng.random() < rule.probability:
                return rule.kind
        return None


def _known(kind: str) -> str:
    # A misspelt fault must not pass for a healthy answer: it is refused.
    return kind if kind in FAULTS or http_status(kind) is not None else "http-400"
