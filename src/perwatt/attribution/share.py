"""Three plain rules for sharing a moment among requests in flight together.

All conserve, and none is right: what a request costs depends on its prompt, its cached prefix and
its context (see `phase`). `python -m benchmarks.joules_truth` prints how far each is off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perwatt.core.protocols import Asked, Evidence, Rule, Shares

__all__ = ["active", "by_kv", "by_time", "by_tokens"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def by_time(evidence: Evidence) -> Rule:
    """Every request in flight gets an equal part of each moment: an `Attribution`.

    Bias: a long prompt beside short ones is under-charged while it is prefilled, and a request that
    waits in the server's queue is charged as if it worked. Alone in flight it is exact to a tick.
    """
    return Rule(_time, evidence.idle_power_w)


def by_tokens(evidence: Evidence) -> Rule:
    """In proportion to output tokens, spread evenly from first to last chunk: an `Attribution`.

    Prefill beside decode is free (used by ML.ENERGY and Aitra). Bias: a
    prompt is charged to whoever is writing; at 0.02 J a prompt token and 0.15 J an output token, a
    request of 4,000 in and 50 out beside one of 50 in and 500 out gets 14.9 J of its 87.5 J.
    Where nobody decodes, or where a token count is unknown, the moment is shared equally.
    """
    return Rule(_tokens, evidence.idle_power_w)


def by_kv(evidence: Evidence) -> Rule:
    """By KV-time, the integral of context tokens over time: an `Attribution`.

    A prompt's context counts from when its prefill begins, the answer's as it grows. Bias: right
    for decoding long contexts, where reading the cache is the cost, and for nothing else.
    """
    return Rule(_kv, evidence.idle_power_w)


def active(edges_ns: Ints, start_ns: Ints, end_ns: Ints) -> tuple[Ints, Ints]:
    """Every (interval, request) in which the request is in flight, without a dense matrix."""
    first = np.searchsorted(edges_ns, start_ns)
    last = np.minimum(np.searchsorted(edges_ns, end_ns), len(edges_ns) - 1)
    count = np.maximum(last - first, 0)
    request = np.repeat(np.arange(len(start_ns), dtype=np.int64), count)
    begins = np.cumsum(count) - count
    within = np.arange(len(request), dtype=np.int64) - np.repeat(begins, count)
    return np.repeat(first, count) + within, request


def _time(edges_ns: Ints, asked: Asked) -> Shares:
    interval, request = active(edges_ns, asked.start_ns, asked.end_ns)
    return _shares(edges_ns, interval, request, np.ones(len(request)))


def _tokens(edges_ns: Ints, asked: Asked) -> Shares:
    interval, request = active(edges_ns, asked.start_ns, asked.end_ns)
    decoding = edges_ns[interval] >= asked.first_chunk_ns[request]
    span_s = (asked.end_ns - asked.first_chunk_ns)[request] / 1e9
    rate = np.zeros(len(request))
    tokens = asked.completion_tokens[request]
    np.divide(tokens, span_s, out=rate, where=decoding & (span_s > 0))
    return _shares(edges_ns, interval, request, rate)


def _kv(edges_ns: Ints, asked: Asked) -> Shares:
    interval, request = active(edges_ns, asked.start_ns, asked.end_ns)
    middle = (edges_ns[interval] + edges_ns[interval + 1]) / 2
    first, end = asked.first_chunk_ns[request], asked.end_ns[request]
    written = np.zeros(len(request))
    np.divide(middle - first, end - first, out=written, where=(middle > first) & (end > first))
    context = asked.prompt_tokens[request] + written * asked.completion_tokens[request]
    working = edges_ns[interval] >= asked.prefill_ns[request]
    return _shares(edges_ns, interval, request, np.where(working, context, 0.0))


def _shares(edges_ns: Ints, interval: Ints, request: Ints, rate: Floats) -> Shares:
    """Weights by `rate`; equal in intervals where its sum is nothing, or not known."""
    t = len(edges_ns) - 1
    total = np.bincount(interval, weights=rate, minlength=t)
    equal = 1.0 / np.bincount(interval, minlength=t)[interval]
    usable = np.isfinite(total) & (total > 0)
    work = equal.copy()
    np.divide(rate, total[interval], out=work, where=usable[interval])
    return Shares(interval, request, work, equal, None)
