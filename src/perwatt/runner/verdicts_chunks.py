"""Is the stream what it seems? Chunks that came late, together, or not at all."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from perwatt.core.records import Verdict
from perwatt.runner.client_marks import gaps_s, quantile
from perwatt.runner.verdicts_evidence import Evidence, Loaded

__all__ = ["bunched_chunks", "late_chunks", "missing_chunks"]

LATE_TIMES, LATE_S = 10, 0.1
LATE_SHARE = 0.01
TOGETHER_S = 20e-6
"""Closer than this, two chunks came in one read: no token is made so fast."""
BUNCHED_NOTE, BUNCHED_WARN = 0.05, 0.2
MISSING_SHARE, MISSING_LEAST = 0.1, 3
"""Characters of several tokens, and tokens without text such as the last, make a few of each."""
SEVERAL = 1.5
LEAST_CHUNKS = 8


def late_chunks(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """A stall in mid-answer, of the server or the network."""
    usual = quantile(load.gaps_s[load.gaps_s >= TOGETHER_S], 0.5)
    if usual is None:
        return
    limit_s = max(LATE_TIMES * usual, LATE_S)
    worst = [gaps.max() for r in load.answered if len(gaps := gaps_s(r.reply))]
    late = [float(gap) for gap in worst if gap > limit_s]
    if late:
        yield Verdict(
            code="late-chunks",
            severity="warning" if len(late) > LATE_SHARE * len(load.answered) else "note",
            sentence=f"In {len(late)} of {len(load.answered)} answers of {load.label} the stream "
            f"stopped for more than {limit_s:.3g} s, at most {max(late):.3g} s, where "
            f"{usual * 1e3:.3g} ms between chunks are usual.",
            mend="Look at the server's log for that time: other requests' prompts, swapping, "
            "preemption, or a proxy that buffers.",
            pair_id=load.pair_id,
        )


def bunched_chunks(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """Several chunks in one read: gaps between chunks are then not the server's."""
    share = float(np.mean(load.gaps_s < TOGETHER_S)) if len(load.gaps_s) else 0.0
    if share > BUNCHED_NOTE:
        yield Verdict(
            code="bunched-chunks",
            severity="warning" if share > BUNCHED_WARN else "note",
            sentence=f"{share:.0%} of the chunks of {load.label} came together with the one "
            "before: its ITL is of deliveries, not of tokens.",
            mend="Quote TPOT, which this does not change; see if a proxy buffers or the client "
            "was busy.",
            pair_id=load.pair_id,
        )


def missing_chunks(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """Fewer chunks than the server counts tokens, where it sends one token a chunk."""
    counts = [
        (len(r.reply.chunk_offsets_ns), r.reply.completion_tokens or 0)
        for r in load.answered
        if r.reply.tokens_by == "server" and len(r.reply.chunk_offsets_ns) >= LEAST_CHUNKS
    ]
    usual = quantile((tokens / chunks for chunks, tokens in counts), 0.5)
    if usual is None:
        return
    if usual >= SEVERAL:
        yield Verdict(
            code="several-tokens-a-chunk",
            severity="note",
            sentence=f"A chunk of {load.label} carries {usual:.3g} tokens (median): ITL is between "
            "chunks, not tokens.",
            mend="Quote TPOT.",
            pair_id=load.pair_id,
        )
        return
    fewer = [
        tokens - chunks
        for chunks, tokens in counts
        if tokens - chunks * usual > max(MISSING_LEAST, MISSING_SHARE * tokens)
    ]
    more = [
        chunks - tokens
        for chunks, tokens in counts
        if chunks - tokens > max(MISSING_LEAST, MISSING_SHARE * chunks)
    ]
    if fewer:
        yield Verdict(
            code="missing-chunks",
            severity="warning",
            sentence=f"{len(fewer)} of {len(counts)} answers of {load.label} came in fewer chunks "
            f"than the tokens the server counts, by up to {max(fewer):.0f}, where one token a "
            "chunk is usual.",
            mend="Text was lost, or tokens without text were counted: compare `text` with the "
            "server's log.",
            pair_id=load.pair_id,
        )
    if more:
        yield Verdict(
            code="token-counts-differ",
            severity="warning",
            sentence=f"{len(more)} of {len(counts)} answers of {load.label} came in more chunks "
            f"than the tokens the server counts, by up to {max(more):.0f}.",
            mend="Its `usage` counts too few: joules per token are too high by that.",
            pair_id=load.pair_id,
        )
