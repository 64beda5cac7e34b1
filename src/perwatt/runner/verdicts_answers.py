"""Was the work done? Answers from a cache, prompts half read already, answers empty or cut."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from perwatt.core.records import Reply, Request, Verdict
from perwatt.runner.client_marks import latency_s
from perwatt.runner.verdicts_evidence import Evidence, Loaded

__all__ = [
    "cache_inflated",
    "cached_answers",
    "duplicate_answers",
    "empty_answers",
    "prompt_lengths",
    "truncated_answers",
]

LONG = 80
"""Characters: shorter answers are rightly the same to many questions."""
DUPLICATE_SHARE = 0.02
QUICK = 0.25
"""A sampled answer that comes again word for word in so small a part of the time was kept."""
INVALID_SHARE = 0.5
CACHED_SHARE = 0.05
EMPTY_SHARE = 0.01
CUT_SHARE = 0.1
LENGTH_SHARE, TEMPLATE_TOKENS = 0.05, 64
"""A chat template and a system prompt add tokens that nobody asked for."""


def duplicate_answers(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """The same long text to different prompts."""
    asked: dict[str, set[object]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    long = [r for r in load.ended if r.reply.status == "ok" and len(r.reply.text) >= LONG]
    for request in long:
        asked[request.reply.text].add(request.prompt_sha256 or (request.item_id, request.turn))
        counts[request.reply.text] += 1
    same = sum(count for text, count in counts.items() if len(asked[text]) > 1)
    if same > max(1, DUPLICATE_SHARE * len(long)):
        yield Verdict(
            code="duplicate-answers",
            severity="warning",
            sentence=f"{same} of {len(long)} long answers of {load.label} are word for word those "
            "to another prompt: a cache, a loop of the model, or a server that does not read "
            "its prompts.",
            mend="Read the column `text` of requests.parquet before quoting accuracy or joules.",
            pair_id=load.pair_id,
        )


def cached_answers(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """Answers that no model made: a proxy says so, or a sampled answer came again at once."""
    answered = [r for r in load.ended if r.reply.status == "ok"]
    kept = {r.request_id for r in answered if r.reply.answer_cached}
    first: dict[tuple[str, int], Request] = {}
    for request in answered:
        before = first.setdefault((request.item_id, request.turn), request)
        if (
            before is not request
            and request.sampling.temperature > 0
            and len(request.reply.text) >= LONG
            and request.reply.text == before.reply.text
            and latency_s(request.reply) < QUICK * latency_s(before.reply)
        ):
            kept.add(request.request_id)
    if kept:
        yield Verdict(
            code="cached-answers",
            severity="invalid" if len(kept) > INVALID_SHARE * len(answered) else "warning",
            sentence=f"{len(kept)} of {len(answered)} answers of {load.label} came from a cache of "
            "whole answers: their times and joules are the cache's.",
            mend="Turn the cache of the server or proxy off.",
            pair_id=load.pair_id,
        )


def cache_inflated(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """Prompt tokens read from the server's prefix cache: TTFT and joules are flattered."""
    # A conversation's later turns find their own past there, as they would anywhere.
    told = [
        (cached, r.reply.prompt_tokens)
        for r in load.answered
        if r.turn == 0 and r.reply.prompt_tokens and (cached := _cached_tokens(r.reply)) is not None
    ]
    prompt, cached = sum(p for _, p in told), sum(c for c, _ in told)
    if prompt and cached > CACHED_SHARE * prompt:
        yield Verdict(
            code="cache-inflated",
            severity="warning",
            sentence=f"{load.label} read {cached / prompt:.0%} of its prompt tokens from a prefix "
            "cache: its TTFT and joules are those of prompts seen before.",
            mend="Turn prefix caching off, or ask more different items; or quote it as a share of "
            "cached tokens that your users have too.",
            pair_id=load.pair_id,
        )


def empty_answers(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """Answered, with nothing to read."""
    answered = [r for r in load.ended if r.reply.status == "ok"]
    empty = [r.reply for r in answered if _is_empty(r.reply)]
    thought = sum(bool(x.reasoning) for x in empty)
    if empty:
        why = f"; in {thought} of them there is reasoning alone" if thought else ""
        yield Verdict(
            code="empty-answers",
            severity="warning" if len(empty) > EMPTY_SHARE * len(answered) else "note",
            sentence=f"{len(empty)} of {len(answered)} answers of {load.label} are empty{why}.",
            mend="Raise --max-tokens, so that reasoning comes to an end."
            if thought
            else "See `finish_reason`, and whether the model has the chat template it needs.",
            pair_id=load.pair_id,
        )


def truncated_answers(seen: Evidence, load: Loaded) -> Iterable[Verdict]:
    """Cut at the longest that was allowed, and judged as they are."""
    # Where nothing is judged, answers of a given length are what was asked for.
    answered = [
        r
        for r in load.ended
        if r.reply.status == "ok"
        and ((item := seen.items.get(r.item_id)) is None or item.scorer != "none")
    ]
    cut = sum(r.reply.finish_reason == "length" for r in answered)
    if cut > CUT_SHARE * len(answered):
        yield Verdict(
            code="truncated-answers",
            severity="note",
            sentence=f"{cut} of {len(answered)} answers of {load.label} were cut at their longest "
            "allowed length, and are judged as they are.",
            mend="Raise --max-tokens.",
            pair_id=load.pair_id,
        )


def prompt_lengths(seen: Evidence, load: Loaded) -> Iterable[Verdict]:
    """Prompts of a chosen length that the server counts otherwise."""
    known = [
        (wanted, r.reply.prompt_tokens)
        for r in load.ended
        if r.turn == 0
        and r.reply.prompt_tokens is not None
        and (item := seen.items.get(r.item_id)) is not None
        and (wanted := item.prompt_tokens) is not None
    ]
    off = [
        counted - wanted
        for wanted, counted in known
        if not -LENGTH_SHARE * wanted <= counted - wanted <= LENGTH_SHARE * wanted + TEMPLATE_TOKENS
    ]
    if off:
        yield Verdict(
            code="prompt-lengths",
            severity="warning",
            sentence=f"{len(off)} of {len(known)} prompts to {load.label} are not as long as was "
            f"asked: the server counts {np.median(off):+.0f} tokens (median).",
            mend="Quote the tokens the server counts; give prompts their length with a server "
            "that tells how it counts (docs/endpoints.md).",
            pair_id=load.pair_id,
        )


def _cached_tokens(reply: Reply) -> int | None:
    if reply.cached_tokens is not None:
        return reply.cached_tokens
    worked_on = reply.server.prompt_tokens if reply.server else None
    if worked_on is None or reply.prompt_tokens is None:
        return None
    return max(0, reply.prompt_tokens - worked_on)


def _is_empty(reply: Reply) -> bool:
    # An address that meters others' requests keeps no texts; and of an answer in one piece, such as
    # embeddings, no marks of chunks either.
    told = reply.first_answer_ns is not None or reply.tool_calls is not None
    whole = reply.first_chunk_ns is None and (reply.completion_tokens or not reply.finish_reason)
    return not (reply.text or told or whole)
