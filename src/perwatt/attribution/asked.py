"""The requests' marks as checked arrays, and when each prompt really began to be worked on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perwatt.core.protocols import Asked

__all__ = ["asked_of", "prefill_begins"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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

    A client sees waiting as prefill. Servers take prompts in turn, so a prompt is taken to begin
    when the one before it was answered, unless that leaves it less time than the fastest of the
    prompts that met nobody would need (a batch prefilled together is answered together).
    """
    order = np.lexsort((start_ns, first_chunk_ns))
    start, first = start_ns[order], first_chunk_ns[order]
    before = np.concatenate((first[:1] * 0 + np.iinfo(np.int64).min, first[:-1]))
    waited = before > start
    begun = np.where(waited, before, start)
    seconds = (first - start) / 1e9
    alone = ~waited & (seconds > 0) & (new_tokens[order] > 0)
    if alone.any():
        fastest = float(np.quantile(new_tokens[order][alone] / seconds[alone], 0.9))
        needed_ns = np.nan_to_num(new_tokens[order]) / fastest * 1e9
        begun = np.minimum(begun, first - needed_ns.astype(np.int64))
    begun = np.maximum(begun, start)
    result = np.empty_like(begun)
    result[order] = begun
    return result
