"""How fast an answer comes once it has begun. ITL is of chunks, TPOT of tokens.

Where a server sends several tokens in a chunk, or one token in several, the two differ:
`chunks_per_token` says so.
"""

from __future__ import annotations

from perwatt.metrics.metric import mean_time, metric, percentile
from perwatt.stats.sample import Floats, Sample, ratio

__all__ = [
    "chunks_per_token",
    "itl",
    "itl_p50",
    "itl_p99",
    "ntpot",
    "tpot",
    "tpot_p50",
    "tpot_p99",
]

itl = mean_time(
    __name__,
    "itl_s",
    name="itl",
    title="Inter-token latency, mean",
    short="ITL",
    formula="mean of the gaps between chunks, those of all requests pooled",
    aliases=("ITL (vLLM)", "time_per_output_chunk (OpenTelemetry)"),
)

itl_p50, itl_p99 = (
    percentile(
        __name__,
        "itl_s",
        share,
        name=f"itl_p{share * 100:.0f}",
        title=f"Inter-token latency, {words}",
        short=f"ITL p{share * 100:.0f}",
        formula=f"{words} of the pooled gaps between chunks",
    )
    for share, words in ((0.5, "median"), (0.99, "99th percentile"))
)

tpot = mean_time(
    __name__,
    "tpot_s",
    name="tpot",
    title="Time per output token",
    short="TPOT",
    formula="mean over requests of (last chunk − first chunk) / (completion tokens − 1)",
    aliases=("TPOT (vLLM, inference-perf)", "ITL (GuideLLM, AIPerf)"),
)

tpot_p50, tpot_p99 = (
    percentile(
        __name__,
        "tpot_s",
        share,
        name=f"tpot_p{share * 100:.0f}",
        title=f"Time per output token, {words}",
        short=f"TPOT p{share * 100:.0f}",
        formula=f"{words} over requests of (last chunk − first chunk) / (completion tokens − 1)",
    )
    for share, words in ((0.5, "median"), (0.99, "99th percentile"))
)

ntpot = mean_time(
    __name__,
    "ntpot_s",
    name="ntpot",
    title="Time per output token, first one included",
    short="NTPOT",
    formula="mean over requests of (last chunk − dispatch) / completion tokens",
    aliases=("NTPOT (inference-perf)", "TPOT (GuideLLM)"),
)


@metric(
    name="chunks_per_token",
    title="Chunks per output token",
    short="Chunks/token",
    unit="1/token",
    formula="Σ chunks / Σ completion tokens; 1 where each token comes in a chunk of its own",
    better="neither",
)
def chunks_per_token(sample: Sample) -> Floats:
    tokens = sample.sum_present("chunk_tokens")
    return ratio(sample.sum_present("chunks"), tokens, "no token came back")
