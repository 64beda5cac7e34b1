"""inference-perf 0.7: compute_request_latency_metrics and summarize of
inference_perf/reportgen/base.py (main at 010d12fb).

Its NTPOT has the first token in it, and a request without tokens enters it as 0. A request needs
two marked tokens to have a TTFT. It counts tokens again with a tokenizer of its own and dates every
token of a chunk with the chunk; here a token is a chunk, which is the same where the two agree.
"""

from __future__ import annotations

import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.metrics.reported.marks import Served, figure, linear
from perwatt.stats.sample import Floats

__all__ = ["inference_perf"]


def inference_perf(seen: Served) -> dict[str, Estimate]:
    """Its own names, all in seconds."""
    streamed = ~np.isnan(seen.second_s)
    several = streamed & (seen.tokens > 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ntpot = np.where(seen.tokens > 0, seen.latency_s / seen.tokens, 0.0)
    tpot = (seen.latency_s - seen.ttft_s)[several] / (seen.tokens[several] - 1)
    n, tokens = len(seen.latency_s), float(np.nansum(seen.tokens))
    duration = seen.span_s if seen.span_s > 0 else None
    found: dict[str, Estimate] = {}
    for name, values, how in (
        ("request_latency", seen.latency_s, "end − start"),
        ("normalized_time_per_output_token", ntpot, "(end − start) / n"),
        ("time_to_first_token", seen.ttft_s[streamed], "first token − start"),
        ("time_per_output_token", tpot, "(last token − first token) / (n − 1)"),
        ("inter_token_latency", seen.gaps_s, "gaps between tokens, pooled"),
    ):
        found |= _spread(name, values, how)
    found["requests_per_sec"] = figure(duration and n / duration, "req/s", "requests / time", n)
    found["output_tokens_per_sec"] = figure(
        duration and tokens / duration, "tok/s", "Σ output tokens / time", n
    )
    return found


def _spread(name: str, values: Floats, how: str) -> dict[str, Estimate]:
    known = values[~np.isnan(values)]
    median, p90, p99 = linear(known, (50, 90, 99)) if len(known) else (None, None, None)
    mean = float(np.mean(known)) if len(known) else None
    return {
        f"{name} {word}": figure(
            value,
            "s",
            f"{word} of {how}",
            len(known),
            "no request has one",
        )
        for word, value in (("mean", mean), ("median", median), ("p90", p90), ("p99", p99))
    }
