"""How long until something comes, over served requests that were due in the counted time.

The first chunk may be reasoning; `ttft_answer` waits for the first that is not. From dispatch, and
from when the request was due: a client that falls behind its schedule hides its queue from the
first and not from the second. Percentiles are exact (see `Sample.quantile`).
"""

from __future__ import annotations

from perwatt.metrics.metric import mean_time, percentile

__all__ = [
    "schedule_lag_p50",
    "schedule_lag_p99",
    "ttft",
    "ttft_answer",
    "ttft_answer_p50",
    "ttft_p50",
    "ttft_p90",
    "ttft_p99",
    "ttft_scheduled",
    "ttft_scheduled_p50",
    "ttft_scheduled_p99",
]

ttft = mean_time(
    __name__,
    "ttft_s",
    name="ttft",
    title="Time to first token, mean",
    short="TTFT",
    formula="mean of first chunk − dispatch; the first chunk may be reasoning",
    aliases=("TTFT (vLLM, inference-perf)", "time_to_first_chunk (OpenTelemetry)"),
    sliced=True,
)

ttft_p50, ttft_p90, ttft_p99 = (
    percentile(
        __name__,
        "ttft_s",
        share,
        name=f"ttft_p{share * 100:.0f}",
        title=f"Time to first token, {words}",
        short=f"TTFT p{share * 100:.0f}",
        formula=f"{words} of first chunk − dispatch",
    )
    for share, words in ((0.5, "median"), (0.9, "90th percentile"), (0.99, "99th percentile"))
)

ttft_answer = mean_time(
    __name__,
    "ttft_answer_s",
    name="ttft_answer",
    title="Time to first answer token, mean",
    short="TTFT answer",
    formula="mean of first chunk that is not reasoning − dispatch",
    aliases=("TTFO (AIPerf)",),
)

ttft_answer_p50 = percentile(
    __name__,
    "ttft_answer_s",
    0.5,
    name="ttft_answer_p50",
    title="Time to first answer token, median",
    short="TTFT answer p50",
    formula="median of first chunk that is not reasoning − dispatch",
)

ttft_scheduled = mean_time(
    __name__,
    "ttft_scheduled_s",
    name="ttft_scheduled",
    title="Time to first token from schedule",
    short="TTFT sched.",
    formula="mean of first chunk − when the request was due, so the client's own queue counts",
)

ttft_scheduled_p50, ttft_scheduled_p99 = (
    percentile(
        __name__,
        "ttft_scheduled_s",
        share,
        name=f"ttft_scheduled_p{share * 100:.0f}",
        title=f"Time to first token from schedule, {words}",
        short=f"TTFT sched. p{share * 100:.0f}",
        formula=f"{words} of first chunk − when the request was due",
    )
    for share, words in ((0.5, "median"), (0.99, "99th percentile"))
)

schedule_lag_p50, schedule_lag_p99 = (
    percentile(
        __name__,
        "schedule_lag_s",
        share,
        name=f"schedule_lag_p{share * 100:.0f}",
        title=f"Schedule lag, {words}",
        short=f"Lag p{share * 100:.0f}",
        formula=f"{words} of dispatch − when the request was due, first attempts alone",
        aliases=("request dispatch delay (GuideLLM)", "schedule_delay (inference-perf)"),
    )
    for share, words in ((0.5, "median"), (0.99, "99th percentile"))
)
