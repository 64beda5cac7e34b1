"""How much work each request had been given by any moment: prompt tokens, tokens written, context.

Piecewise linear and never falling. A prompt is worked on evenly from `prefill_ns` to the first
chunk; its cached prefix is free. A token after the first costs a decode step, and that step reads
the context that stands before it. A step lasts from chunk to chunk, but for a long pause, in which
nothing was decoded (a server that stops for another's prompt).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perwatt.core.protocols import Asked

__all__ = ["KINDS", "PAUSE_GAPS", "Given", "Totals", "Work", "given_by", "totals", "work_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KINDS = ("prefill", "decode", "context", "step", "busy")
"""Columns of work: new prompt tokens, decode tokens, context tokens read, decode steps (shared by
those that decode), seconds in which anybody is served."""
PAUSE_GAPS = (1.25, 4.0)
"""A gap of more than so many of the request's median gaps was a pause, then a step. The first for a
server that stops for another's prompt, the second for one that goes on more slowly beside it."""


class Work(NamedTuple):
    """Knots of r requests: request i's are `at[i]:at[i + 1]`. Times count from `origin_ns`."""

    origin_ns: int
    t: Floats
    """(k,) ns, never falling within a request."""
    tokens: Floats
    """(k,) decode tokens by then; `context` (k,): context tokens read by then."""
    context: Floats
    at: Ints
    new_tokens: Floats
    """(r,) prompt tokens that were not cached."""
    prefill: tuple[Floats, Floats]
    """(r,) when its prefill begins and ends."""
    end: Floats


class Given(NamedTuple):
    """Work done in each (interval, request), arrays (m,)."""

    interval: Ints
    request: Ints
    columns: Floats
    """(3, m): prefill, decode and context tokens."""
    served: NDArray[np.bool_]
    """Is the request being worked on, rather than waiting?"""


class Totals(NamedTuple):
    """All requests' work by any time: knots `t` (k,) ns from `origin_ns`, `columns` (5, k)."""

    origin_ns: int
    t: Floats
    columns: Floats

    def at(self, t_ns: Floats) -> Floats:
        """(5, n) work by `t_ns` (n,), absolute."""
        where = t_ns - self.origin_ns
        return np.stack([np.interp(where, self.t, column) for column in self.columns])


def work_of(asked: Asked, pause_gaps: float = PAUSE_GAPS[0]) -> Work:
    """Knots from marks. A prompt of unknown length is taken for a median one; where no length is
    known, prompts count in milliseconds of prefill. An unknown answer has as many tokens as chunks.
    """
    origin = int(asked.start_ns.min(initial=0)) if len(asked.start_ns) else 0
    begun, first, end = (
        (a - origin).astype(np.float64)
        for a in (asked.prefill_ns, asked.first_chunk_ns, asked.end_ns)
    )
    known = np.isfinite(asked.prompt_tokens)
    if known.any():
        prompt = np.where(known, asked.prompt_tokens, np.median(asked.prompt_tokens[known]))
        new = np.maximum(prompt - asked.cached_tokens, 1.0)
    else:
        prompt, new = np.zeros(len(first)), (first - begun) / 1e6
    t, tokens, context = [], [], []
    for i in range(len(first)):
        chunks = (asked.chunk_ns[asked.chunk_at[i] : asked.chunk_at[i + 1]] - origin).astype(float)
        knots = _steps(first[i], end[i], chunks, asked.completion_tokens[i], pause_gaps)
        t.append(knots[0])
        tokens.append(knots[1])
        # Token n is written by a step that reads the prompt and the n tokens before it.
        context.append(knots[1] * (prompt[i] + (knots[1] + 1.0) / 2))
    at = np.concatenate(([0], np.cumsum([len(one) for one in t]))).astype(np.int64)
    return Work(
        origin,
        np.concatenate(t) if t else np.zeros(0),
        np.concatenate(tokens) if t else np.zeros(0),
        np.concatenate(context) if t else np.zeros(0),
        at,
        new,
        (begun, first),
        end,
    )


def given_by(work: Work, edges_ns: Ints, interval: Ints, request: Ints) -> Given:
    """Work in each (interval, request): pairs as `active` gives them, request after request."""
    edges = (edges_ns - work.origin_ns).astype(np.float64)
    columns = np.zeros((3, len(request)))
    begun, first = work.prefill
    bounds = np.flatnonzero(np.diff(request, prepend=-1, append=-2))
    for a, b in pairwise(bounds.tolist()):
        i = request[a]
        where = edges[interval[a] : interval[b - 1] + 2]
        if first[i] > begun[i]:
            ramp = np.clip((where - begun[i]) / (first[i] - begun[i]), 0.0, 1.0)
            columns[0, a:b] = np.diff(ramp) * work.new_tokens[i]
        own = slice(work.at[i], work.at[i + 1])
        columns[1, a:b] = np.diff(np.interp(where, work.t[own], work.tokens[own]))
        columns[2, a:b] = np.diff(np.interp(where, work.t[own], work.context[own]))
    served = edges[interval] >= begun[request]
    return Given(interval, request, columns, served)


def totals(work: Work) -> Totals:
    """The sum over requests, and the seconds in which anything was being served."""
    begun, first = work.prefill
    inner = np.ones(len(work.t), dtype=np.bool_)
    inner[work.at[1:] - 1] = False
    a = np.flatnonzero(inner)
    t0 = np.concatenate([begun, work.t[a]])
    t1 = np.concatenate([first, work.t[a + 1]])
    rise = np.zeros((3, len(t0)))
    rise[0, : len(begun)] = work.new_tokens
    rise[1, len(begun) :] = work.tokens[a + 1] - work.tokens[a]
    rise[2, len(begun) :] = work.context[a + 1] - work.context[a]
    length = np.maximum(t1 - t0, 1e3)  # work of no length is done within a microsecond
    slope = rise / length
    events = np.concatenate([t0, t0 + length, begun, work.end])
    order = np.argsort(events, kind="stable")
    t = events[order]
    n = len(begun)
    decoding = (rise[1] > 0).astype(float)
    nobody, one = np.zeros(len(t0)), np.ones(n)
    change = np.concatenate([slope, -slope, np.zeros((3, 2 * n))], axis=1)[:, order]
    decoders = np.cumsum(np.concatenate([decoding, -decoding, 0 * one, 0 * one])[order])[:-1]
    served = np.cumsum(np.concatenate([nobody, nobody, one, -one])[order])[:-1]
    rate = np.maximum(np.cumsum(change, axis=1)[:, :-1], 0.0)  # rounding of the running sum
    step = rate[1] / np.maximum(decoders, 1.0)
    done = np.vstack([rate, step, (served > 0.5) / 1e9]) * np.diff(t)
    return Totals(work.origin_ns, t, np.concatenate([np.zeros((5, 1)), np.cumsum(done, axis=1)], 1))


def _steps(
    first: float, end: float, chunks: Floats, tokens: float, pause_gaps: float
) -> tuple[Floats, Floats]:
    """Knots (time, decode tokens by then) of one request."""
    if len(chunks) < 2:
        after = max(tokens - 1.0, 0.0) if np.isfinite(tokens) else 0.0
        return np.array([first, end]), np.array([0.0, after])
    each = tokens / len(chunks) if np.isfinite(tokens) and tokens > 0 else 1.0
    gaps = np.diff(chunks)
    usual = float(np.median(gaps))
    begins = np.where(gaps > pause_gaps * usual, chunks[1:] - usual, chunks[:-1])
    t = np.empty(2 * len(gaps) + 1)
    t[0], t[1::2], t[2::2] = chunks[0], begins, chunks[1:]
    done = np.arange(len(chunks)) * each
    written = np.empty(2 * len(gaps) + 1)
    written[0], written[1::2], written[2::2] = 0.0, done[:-1], done[1:]
    return t, written
