"""How long an answer takes. Over the requests that were served: a failure has no latency.

Quantiles are those of the inverted distribution function (see `Sample.quantile`).
"""

from __future__ import annotations

from perwatt.metrics.metric import metric
from perwatt.stats.sample import Floats, Sample

__all__ = [
    "itl",
    "itl_p99",
    "latency",
    "latency_p50",
    "latency_p90",
    "latency_scheduled",
    "tpot",
    "ttft",
    "ttft_p50",
    "ttft_p90",
    "ttft_scheduled",
]


@metric(
    name="ttft",
    title="Time to first token, mean",
    short="TTFT",
    unit="s",
    formula="mean of first chunk − dispatch; the first chunk may be reasoning",
    better="lower",
    aliases=("TTFT (vLLM, inference-perf)", "time_to_first_chunk (OpenTelemetry)"),
    sliced=True,
)
def ttft(sample: Sample) -> Floats:
    return sample.mean_present("ttft_s")


@metric(
    name="ttft_p50",
    title="Time to first token, median",
    short="TTFT p50",
    unit="s",
    formula="median of first chunk − dispatch",
    better="lower",
)
def ttft_p50(sample: Sample) -> Floats:
    return sample.quantile("ttft_s", 0.5)


@metric(
    name="ttft_p90",
    title="Time to first token, 90th percentile",
    short="TTFT p90",
    unit="s",
    formula="90th percentile of first chunk − dispatch",
    better="lower",
)
def ttft_p90(sample: Sample) -> Floats:
    return sample.quantile("ttft_s", 0.9)


@metric(
    name="ttft_scheduled",
    title="Time to first token from schedule",
    short="TTFT sched.",
    unit="s",
    formula="mean of first chunk − when the request was due, so the client's own queue counts",
    better="lower",
)
def ttft_scheduled(sample: Sample) -> Floats:
    return sample.mean_present("ttft_scheduled_s")


@metric(
    name="latency",
    title="Latency, mean",
    short="Latency",
    unit="s",
    formula="mean τ_i: last chunk − dispatch",
    better="lower",
    aliases=("E2EL (vLLM)", "request latency (GuideLLM, AIPerf)"),
)
def latency(sample: Sample) -> Floats:
    return sample.mean_present("latency_s")


@metric(
    name="latency_p50",
    title="Latency, median",
    short="Latency p50",
    unit="s",
    formula="median of last chunk − dispatch",
    better="lower",
)
def latency_p50(sample: Sample) -> Floats:
    return sample.quantile("latency_s", 0.5)


@metric(
    name="latency_p90",
    title="Latency, 90th percentile",
    short="Latency p90",
    unit="s",
    formula="90th percentile of last chunk − dispatch",
    better="lower",
)
def latency_p90(sample: Sample) -> Floats:
    return sample.quantile("latency_s", 0.9)


@metric(
    name="latency_scheduled",
    title="Latency from schedule",
    short="Latency sched.",
    unit="s",
    formula="mean of last chunk − when the request was due, so the client's own queue counts",
    better="lower",
)
def latency_scheduled(sample: Sample) -> Floats:
    return sample.mean_present("latency_scheduled_s")


@metric(
    name="itl",
    title="Inter-token latency, mean",
    short="ITL",
    unit="s",
    formula="mean of the gaps between chunks, those of all requests pooled",
    better="lower",
    aliases=("ITL (vLLM)", "time_per_output_chunk (OpenTelemetry)"),
)
def itl(sample: Sample) -> Floats:
    return sample.mean_present("itl_s")


@metric(
    name="itl_p99",
    title="Inter-token latency, 99th percentile",
    short="ITL p99",
    unit="s",
    formula="99th percentile of the pooled gaps between chunks",
    better="lower",
)
def itl_p99(sample: Sample) -> Floats:
    return sample.quantile("itl_s", 0.99)


@metric(
    name="tpot",
    title="Time per output token",
    short="TPOT",
    unit="s",
    formula="mean over requests of (last chunk − first chunk) / (completion tokens − 1)",
    better="lower",
    aliases=("TPOT (vLLM, inference-perf)", "ITL (GuideLLM, AIPerf)"),
)
def tpot(sample: Sample) -> Floats:
    return sample.mean_present("tpot_s")
