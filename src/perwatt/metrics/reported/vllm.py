"""`vllm bench serve`: calculate_metrics of vllm/benchmarks/serve.py, marks of
vllm/benchmarks/lib/endpoint_request_func.py (vLLM main at 009e6d4a and 02cfb534).

Its ITL is of chunks, pooled. Its TPOT leaves the first token out, and requests of one token. It
prints 0 where there is nothing to average; here that is missing. Its duration ends when the last
response has ended, ours with the last chunk.
"""

from __future__ import annotations

import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.metrics.reported.marks import Served, figure, linear
from perwatt.stats.sample import Floats

__all__ = ["vllm"]


def vllm(seen: Served) -> dict[str, Estimate]:
    """Its own keys in its own units."""
    several = seen.tokens > 1
    tpot = (seen.latency_s - seen.ttft_s)[several] / (seen.tokens[several] - 1)
    n, tokens = len(seen.latency_s), float(np.nansum(seen.tokens))
    everything = tokens + float(np.nansum(seen.prompt_tokens))
    found = {
        "request_throughput": _rate(n, seen, "req/s", "completed / duration"),
        "output_throughput": _rate(tokens, seen, "tok/s", "Σ output tokens / duration"),
        "total_token_throughput": _rate(
            everything, seen, "tok/s", "Σ prompt and output tokens / duration"
        ),
    }
    for name, values, how in (
        ("ttft", seen.ttft_s, "first chunk − start"),
        ("tpot", tpot, "(E2EL − TTFT) / (n − 1) of each request with n > 1 tokens"),
        ("itl", seen.gaps_s, "gaps between chunks, those of all requests pooled"),
        ("e2el", seen.latency_s, "last chunk − start"),
    ):
        found |= _spread(name, values, how)
    return found


def _rate(amount: float, seen: Served, unit: str, how: str) -> Estimate:
    value = amount / seen.span_s if seen.span_s > 0 else None
    return figure(value, unit, how, len(seen.latency_s))


def _spread(name: str, values: Floats, how: str) -> dict[str, Estimate]:
    known = values[~np.isnan(values)]
    middle, p99 = linear(known, (50, 99)) if len(known) else (None, None)
    mean = float(np.mean(known)) if len(known) else None
    deviation = float(np.std(known)) if len(known) else None
    return {
        f"{word}_{name}_ms": figure(
            None if value is None else value * 1e3,
            "ms",
            f"{word} of {how}",
            len(known),
            "no request has one (it prints 0)",
        )
        for word, value in (("mean", mean), ("median", middle), ("std", deviation), ("p99", p99))
    }
