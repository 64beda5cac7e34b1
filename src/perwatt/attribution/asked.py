"""The requests' marks as checked arrays, and when each prompt really began to be worked on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perwatt.core.protocols import Asked

__all__ = ["asked_of", "prefill_begins"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_PROMPTS, MOST_PROMPTS = 5, 400


def asked_of(
    start_ns: ArrayLike,
    first_chunk_ns: ArrayLike,
    end_ns: ArrayLike,
    *,
    prefill_ns: ArrayLike | None = None,
    prompt_tokens: ArrayLike | None = None,
    cached_tokens: ArrayLike | None = None,
    completion_tokens: ArrayLike | None = None,
    chunk_ns: ArrayLike | None = None,
    chunk_at: ArrayLike | None = None,
) -> Asked:
    """Marks (r,): dispatch, first chunk, last chunk; a request without a chunk gives its end twice.

    Tokens (r,) are NaN where unknown, cached ones 0. `prefill_ns` is moved between start and first
    chunk. Raises ValueError for arrays of unlike length or marks out of order.
    """
    start, first, end = (np.asarray(a, dtype=np.int64) for a in (start_ns, first_chunk_ns, end_ns))
    r = len(start)

    def tokens(given: ArrayLike | None, absent: float) -> Floats:
        return np.full(r, absent) if given is None else np.asarray(given, dtype=np.float64)

    prompt, out = tokens(prompt_tokens, np.nan), tokens(completion_tokens, np.nan)
    cached = np.nan_to_num(tokens(cached_tokens, 0.0))
    chunks = np.zeros(0, dtype=np.int64) if chunk_ns is None else np.asarray(chunk_ns, np.int64)
    at = np.zeros(r + 1, dtype=np.int64) if chunk_at is None else np.asarray(chunk_at, np.int64)
    if not r == len(first) == len(end) == len(prompt) == len(cached) == len(out) == len(at) - 1:
        msg = "start, first chunk, end and tokens must be equally long"
        raise ValueError(msg)
    if not ((start <= first) & (first <= end)).all():
        msg = "a request's marks must be in order: dispatch, first chunk, last chunk"
        raise ValueError(msg)
    begun = start if prefill_ns is None else np.asarray(prefill_ns, dtype=np.int64)
    begun = np.clip(begun, start, first)
    return Asked(start, begun, first, end, prompt, cached, out, chunks, at)


def prefill_begins(start_ns: Ints, first_chunk_ns: Ints, new_tokens: Floats) -> Ints:
    """When each prompt began to be worked on, where the server does not say: (r,) of (r,) arrays.

    A client sees waiting as prefill: for the prompt before, for the others' step to end, for the
    network. What grows with the prompt is work: the slope of time to first chunk over tokens, among
    prompts that met no other. A prompt began so long before its first chunk; or, where the one
    before it was answered at about that time, just then.
    """
    order = np.lexsort((start_ns, first_chunk_ns))
    start, first, tokens = start_ns[order], first_chunk_ns[order], np.nan_to_num(new_tokens[order])
    before = np.concatenate((start[:1], first[:-1]))
    slope_ns = _ns_per_token(
        (first - np.maximum(start, before)).astype(np.float64), tokens, start >= before
    )
    if slope_ns is None:
        return np.asarray(start_ns)
    needed = slope_ns * tokens
    gap = first - before
    in_turn = (before > start) & (gap > 0.5 * needed) & (gap < 1.5 * needed)
    begun = np.where(in_turn, before, first - needed.astype(np.int64))
    result = np.empty_like(begun)
    result[order] = np.maximum(begun, start)
    return result


def _ns_per_token(taken_ns: Floats, tokens: Floats, alone: NDArray[np.bool_]) -> float | None:
    """Theil–Sen slope (Sen 1968) over prompts that waited for no other; over all if those are few.

    None where prompts are too much alike, or too few, to tell.
    """
    use = alone & (tokens > 0)
    if use.sum() < LEAST_PROMPTS:
        use = tokens > 0
    taken, n = taken_ns[use][:MOST_PROMPTS], tokens[use][:MOST_PROMPTS]
    i, j = np.triu_indices(len(n), 1)
    apart = np.abs(n[i] - n[j]) > 0.25 * float(n.max(initial=0.0))
    if apart.sum() < LEAST_PROMPTS:
        return None
    slope = float(np.median((taken[i] - taken[j])[apart] / (n[i] - n[j])[apart]))
    return slope if slope > 0 else None
