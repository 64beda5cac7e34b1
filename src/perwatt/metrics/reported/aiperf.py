"""AIPerf 0.13.0: aiperf/metrics/types/*.py; percentiles of aiperf/metrics/metric_dicts.py.

Its "inter token latency" is one number for each request, and its time to second token is counted
from the first. It counts output tokens with a tokenizer of its own unless told to believe the
server; here they are the server's.
"""

from __future__ import annotations

import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.metrics.reported.marks import Served, figure, linear
from perwatt.stats.sample import Floats

__all__ = ["aiperf"]


def aiperf(seen: Served) -> dict[str, Estimate]:
    """Its own tags, in the units it displays."""
    several = seen.tokens >= 2
    itl = (seen.latency_s - seen.ttft_s)[several] / (seen.tokens[several] - 1)
    n, tokens = len(seen.latency_s), float(np.nansum(seen.tokens))
    duration = seen.span_s if seen.span_s > 0 else None
    found: dict[str, Estimate] = {}
    for name, values, how in (
        ("time_to_first_token", seen.ttft_s, "first response − request start"),
        ("time_to_second_token", seen.second_s, "second response − first response"),
        ("time_to_first_output_token", seen.answer_s, "first non-reasoning − request start"),
        ("request_latency", seen.latency_s, "last response − request start"),
        ("inter_token_latency", itl, "(request latency − TTFT) / (n − 1) of each request"),
    ):
        found |= _spread(name, values * 1e3, "ms", how)
    per_user = 1 / itl[itl > 0]
    found |= _spread(
        "output_token_throughput_per_user", per_user, "tok/s/user", "1 / inter token latency"
    )
    found["output_token_throughput"] = figure(
        duration and tokens / duration, "tok/s", "Σ output tokens / duration", n
    )
    found["request_throughput"] = figure(
        duration and n / duration, "req/s", "requests / duration", n
    )
    return found


def _spread(name: str, values: Floats, unit: str, how: str) -> dict[str, Estimate]:
    known = values[~np.isnan(values)]
    p50, p90, p99 = linear(known, (50, 90, 99)) if len(known) else (None, None, None)
    mean = float(np.mean(known)) if len(known) else None
    return {
        f"{name} {word}": figure(
            value,
            unit,
            f"{word} of {how}",
            len(known),
            "no request has one",
        )
        for word, value in (("avg", mean), ("p50", p50), ("p90", p90), ("p99", p99))
    }
