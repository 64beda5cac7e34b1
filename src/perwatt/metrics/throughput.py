"""How fast tokens and answers come.

Rates of the whole system divide by the time under load. Each request carries a share of that time
in proportion to its own latency, so that a resampled rate has a time to divide by.
"""

from __future__ import annotations

from perwatt.metrics.metric import metric
from perwatt.stats.sample import Floats, Sample, ratio

__all__ = ["decode_tokens_per_s", "output_tokens_per_s", "prefill_tokens_per_s", "requests_per_s"]

_NO_TIME = "no time under load"


@metric(
    name="decode_tokens_per_s",
    title="Decode rate of a request",
    short="Decode tok/s",
    unit="tok/s",
    formula="Σ (completion tokens − 1) / Σ (last chunk − first chunk)",
    better="higher",
    aliases=("eval rate (llama.cpp, Ollama)", "tg (llama-bench)"),
)
def decode_tokens_per_s(sample: Sample) -> Floats:
    tokens = sample.sum_present("decode_tokens")
    return ratio(tokens, sample.sum_present("decode_s"), "no request had a second chunk")


@metric(
    name="prefill_tokens_per_s",
    title="Prefill rate of a request",
    short="Prefill tok/s",
    unit="tok/s",
    formula="Σ (prompt tokens − cached tokens) / Σ (first chunk − dispatch)",
    better="higher",
    aliases=("prompt eval rate (llama.cpp, Ollama)", "pp (llama-bench)"),
)
def prefill_tokens_per_s(sample: Sample) -> Floats:
    tokens = sample.sum_present("prefill_tokens")
    return ratio(tokens, sample.sum_present("prefill_s"), "no request had a first chunk")


@metric(
    name="output_tokens_per_s",
    title="Output rate of the system",
    short="Output tok/s",
    unit="tok/s",
    formula="Σ completion tokens / seconds under load",
    better="higher",
    aliases=("output token throughput (vLLM, AIPerf)",),
)
def output_tokens_per_s(sample: Sample) -> Floats:
    return ratio(sample.sum("completion_tokens"), sample.sum("wall_s"), _NO_TIME)


@metric(
    name="requests_per_s",
    title="Requests served per second",
    short="Req/s",
    unit="req/s",
    formula="served requests / seconds under load",
    better="higher",
    aliases=("request throughput (vLLM, AIPerf)",),
)
def requests_per_s(sample: Sample) -> Floats:
    return ratio(sample.sum("served"), sample.sum("wall_s"), _NO_TIME)
