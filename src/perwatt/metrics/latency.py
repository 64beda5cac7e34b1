"""How long a whole answer takes, over served requests that were due in the counted time.

A failure has no latency. Percentiles are exact (see `Sample.quantile`).
"""

from __future__ import annotations

from perwatt.metrics.metric import mean_time, percentile

__all__ = [
    "latency",
    "latency_p50",
    "latency_p90",
    "latency_p99",
    "latency_scheduled",
    "latency_scheduled_p50",
    "latency_scheduled_p99",
]

latency = mean_time(
    __name__,
    "latency_s",
    name="latency",
    title="Latency, mean",
    short="Latency",
    formula="mean τ_i: last chunk − dispatch",
    aliases=("E2EL (vLLM)", "request latency (GuideLLM, AIPerf)"),
)

latency_p50, latency_p90, latency_p99 = (
    percentile(
        __name__,
        "latency_s",
        share,
        name=f"latency_p{share * 100:.0f}",
        title=f"Latency, {words}",
        short=f"Latency p{share * 100:.0f}",
        formula=f"{words} of last chunk − dispatch",
    )
    for share, words in ((0.5, "median"), (0.9, "90th percentile"), (0.99, "99th percentile"))
)

latency_scheduled = mean_time(
    __name__,
    "latency_scheduled_s",
    name="latency_scheduled",
    title="Latency from schedule",
    short="Latency sched.",
    formula="mean of last chunk − when the request was due, so the client's own queue counts",
    aliases=("request scheduled latency (GuideLLM)",),
)

latency_scheduled_p50, latency_scheduled_p99 = (
    percentile(
        __name__,
        "latency_scheduled_s",
        share,
        name=f"latency_scheduled_p{share * 100:.0f}",
        title=f"Latency from schedule, {words}",
        short=f"Latency sched. p{share * 100:.0f}",
        formula=f"{words} of last chunk − when the request was due",
    )
    for share, words in ((0.5, "median"), (0.99, "99th percentile"))
)
