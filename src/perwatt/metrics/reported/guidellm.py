"""GuideLLM 0.8.1: guidellm/schemas/base/request_stats.py and statistics.py, and
guidellm/benchmark/schemas/metrics.py.

Its TPOT has the first token in it, and weighs each request by its tokens; its ITL is a mean per
request, weighed by tokens − 1. Percentiles invert the weighted distribution, without interpolation.
"""

from __future__ import annotations

import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.metrics.reported.marks import Served, figure
from perwatt.stats.sample import Floats

__all__ = ["guidellm", "inverted"]

WORDS = (("median", 0.5), ("p95", 0.95), ("p99", 0.99))


def guidellm(seen: Served) -> dict[str, Estimate]:
    """Its own names in its own units; the figures are those of completed requests."""
    even = np.ones(len(seen.latency_s))
    with np.errstate(divide="ignore", invalid="ignore"):
        tpot = np.where(seen.tokens > 0, seen.latency_s / seen.tokens, 0.0)
        itl = np.where(seen.tokens > 1, (seen.latency_s - seen.ttft_s) / (seen.tokens - 1), 0.0)
    less_one = np.maximum(np.nan_to_num(seen.tokens, nan=1.0) - 1, 0.0)
    answered = ~np.isnan(seen.answer_s)
    began = ~np.isnan(seen.ttft_s)
    n = len(seen.latency_s)
    duration = seen.span_s if seen.span_s > 0 else None
    found = {
        "requests_per_second mean": figure(duration and n / duration, "req/s", "Σ / duration", n),
        "output_tokens_per_second mean": figure(
            duration and float(np.nansum(seen.tokens)) / duration, "tok/s", "Σ / duration", n
        ),
    }
    for name, unit, values, weights, how in (
        ("request_latency", "s", seen.latency_s, even, "end − start"),
        (
            "time_to_first_token_ms",
            "ms",
            seen.ttft_s[began] * 1e3,
            even[began],
            "first token − start",
        ),
        (
            "time_to_first_output_token_ms",
            "ms",
            seen.answer_s[answered] * 1e3,
            even[answered],
            "first token that is not reasoning − start",
        ),
        (
            "time_per_output_token_ms",
            "ms",
            tpot * 1e3,
            np.nan_to_num(seen.tokens),
            "(last token − start) / n, the first token in it, weighed by n",
        ),
        (
            "inter_token_latency_ms",
            "ms",
            itl * 1e3,
            less_one,
            "(last token − first token) / (n − 1), weighed by n − 1",
        ),
    ):
        found |= _spread(name, unit, values, weights, how)
    return found


def inverted(values: Floats, weights: Floats, share: float) -> float:
    """The least value at which the weights up to it reach `share` of all; Σ weights > 0."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order] / weights.sum())
    at = int(np.searchsorted(reached, share, side="left"))
    return float(values[order][min(at, len(order) - 1)])


def _spread(name: str, unit: str, values: Floats, weights: Floats, how: str) -> dict[str, Estimate]:
    known = (weights > 0) & ~np.isnan(values)
    values, weights = values[known], weights[known]
    n, why = len(values), "no request has one (it prints 0)"
    if not n:
        return {
            f"{name} {word}": figure(None, unit, how, 0, why)
            for word in ("mean", *(word for word, _ in WORDS))
        }
    mean = float(np.sum(values * weights) / weights.sum())
    tails = {
        f"{name} {word}": figure(
            inverted(values, weights, share),
            unit,
            f"{word} of {how}",
            n,
        )
        for word, share in WORDS
    }
    return {f"{name} mean": figure(mean, unit, f"mean of {how}", n), **tails}
