"""How fast tokens and answers come.

Rates of the whole system divide by the counted time under load (`windows`): what came in it, over
its length. Each request carries a share of that time in proportion to its own time in flight, so
that a resampled rate has a time to divide by.
"""

from __future__ import annotations

from perwatt.metrics.metric import metric
from perwatt.stats.sample import Floats, Sample, ratio

__all__ = [
    "decode_tokens_per_s",
    "goodput",
    "output_tokens_per_s",
    "prefill_tokens_per_s",
    "requests_per_s",
]

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
    formula="output tokens that came in the counted time / its seconds",
    better="higher",
    aliases=("output token throughput (vLLM, AIPerf)",),
)
def output_tokens_per_s(sample: Sample) -> Floats:
    return ratio(sample.sum("tokens_came"), sample.sum("wall_s"), _NO_TIME)


@metric(
    name="requests_per_s",
    title="Requests served per second",
    short="Req/s",
    unit="req/s",
    formula="requests whose last chunk came in the counted time / its seconds",
    better="higher",
    aliases=("request throughput (vLLM, AIPerf)",),
)
def requests_per_s(sample: Sample) -> Floats:
    return ratio(sample.sum("ended"), sample.sum("wall_s"), _NO_TIME)


@metric(
    name="goodput",
    title="Good requests per second",
    short="Goodput",
    unit="req/s",
    formula="requests per counted second that were served within every limit of --slo, from when"
    " they were due",
    better="higher",
    aliases=("goodput (vLLM, AIPerf, inference-perf)",),
)
def goodput(sample: Sample) -> Floats:
    return ratio(sample.sum("good"), sample.sum("wall_s"), _NO_TIME)
