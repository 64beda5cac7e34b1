"""Other tools' figures by hand, on requests for which their definitions give different numbers.

Request a: sent at 0 s, chunks at 0.2, 0.3, 0.6, 0.8 s, 4 tokens.  Request b: sent at 1 s, chunks at
1.5 and 2 s, 6 tokens (three to a chunk).  Request c: sent at 2 s, one chunk at 2.1 s, one token.
Request d failed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perwatt.core.records import Columns
from perwatt.metrics.reported.guidellm import inverted
from perwatt.metrics.reported.tools import NOTES, TOOLS, VERSIONS, formula, reported_as

S = 1_000_000_000
MS = 1_000_000


def row(sent: float, chunks: list[float], tokens: int | None, **more: Any) -> dict[str, Any]:
    marks = [round((c - sent) * S) for c in chunks]
    start = round(sent * S)
    return {
        "item_id": f"i{sent}",
        "status": "ok" if chunks else "error",
        "phase_id": "p",
        "scheduled_ns": start,
        "dispatched_ns": start,
        "first_chunk_ns": start + marks[0] if marks else None,
        "first_answer_ns": start + marks[more.pop("answer", 0)] if marks else None,
        "last_chunk_ns": start + (marks[-1] if marks else S),
        "chunk_offsets_ns": marks,
        "prompt_tokens": 10 if marks else None,
        "completion_tokens": tokens,
        "counted_from_ns": None,
        **more,
    }


def table(*rows: dict[str, Any]) -> Columns:
    return {name: [r[name] for r in rows] for name in rows[0]}


A = row(0, [0.2, 0.3, 0.6, 0.8], 4, answer=1)
B = row(1, [1.5, 2.0], 6)
C = row(2, [2.1], 1)
D = row(3, [], None)
FOUND = {
    tool: {name: estimate.value for name, estimate in own.items()}
    for tool, own in reported_as(table(A, B, C, D)).items()
}


def expect(tool: str, **figures: float) -> None:
    found = {name: FOUND[tool][name.replace("__", " ")] for name in figures}
    assert found == pytest.approx(figures)


def test_vllm() -> None:
    # TTFT 200, 500, 100 ms; TPOT 600/3 and 500/5, c has none; gaps 100, 300, 200, 500.
    expect(
        "vllm",
        mean_ttft_ms=800 / 3,
        median_ttft_ms=200,
        p99_ttft_ms=200 + 0.98 * 300,
        mean_tpot_ms=150,
        median_tpot_ms=150,
        p99_tpot_ms=100 + 0.99 * 100,
        mean_itl_ms=275,
        median_itl_ms=250,
        p99_itl_ms=300 + 0.97 * 200,
        mean_e2el_ms=1900 / 3,
        std_e2el_ms=float(np.std([800, 1000, 100])),
        request_throughput=3 / 2.1,
        output_throughput=11 / 2.1,
        total_token_throughput=41 / 2.1,
    )


def test_guidellm() -> None:
    # TPOT with the first token in it: 800/4, 1000/6, 100/1, weighed 4, 6, 1.
    expect(
        "guidellm",
        time_per_output_token_ms__mean=1900 / 11,
        time_per_output_token_ms__median=1000 / 6,
        time_per_output_token_ms__p99=200,
        # ITL a mean of each request: 600/3 and 500/5, weighed 3 and 5; c has no weight.
        inter_token_latency_ms__mean=1100 / 8,
        inter_token_latency_ms__median=100,
        inter_token_latency_ms__p95=200,
        time_to_first_token_ms__mean=800 / 3,
        time_to_first_token_ms__p99=500,
        time_to_first_output_token_ms__mean=(300 + 500 + 100) / 3,
        request_latency__median=0.8,
        requests_per_second__mean=3 / 2.1,
    )


def test_aiperf() -> None:
    # Time to second token is from the first; c has no second chunk.
    expect(
        "aiperf",
        time_to_second_token__avg=300,
        time_to_first_output_token__avg=300,
        inter_token_latency__avg=150,
        inter_token_latency__p90=100 + 0.9 * 100,
        request_latency__p50=800,
        output_token_throughput_per_user__avg=(5 + 10) / 2,
        output_token_throughput=11 / 2.1,
    )


def test_inference_perf() -> None:
    expect(
        "inference-perf",
        normalized_time_per_output_token__mean=(0.8 / 4 + 1 / 6 + 0.1) / 3,
        # c has one marked token, and so no TTFT there.
        time_to_first_token__mean=0.35,
        time_per_output_token__mean=0.15,
        inter_token_latency__median=0.25,
        request_latency__p90=0.8 + 0.8 * 0.2,
    )


def test_the_same_word_is_not_the_same_number() -> None:
    assert len({round(FOUND[t][n] or 0, 3) for t, n in SAME_WORDS}) == 3


SAME_WORDS = (
    ("vllm", "mean_tpot_ms"),
    ("guidellm", "time_per_output_token_ms mean"),
    ("guidellm", "inter_token_latency_ms mean"),
)


def test_what_nobody_has_is_missing_and_never_0() -> None:
    for own in reported_as(table(D)).values():
        for name, estimate in own.items():
            assert estimate.value is None, name
            assert estimate.reason
    one = reported_as(table(C))
    assert one["vllm"]["mean_itl_ms"].reason == "no request has one (it prints 0)"
    assert one["aiperf"]["inter_token_latency avg"].value is None


def test_tokens_nobody_counted_are_chunks_and_pauses_between_phases_are_no_load() -> None:
    uncounted, later = {**A, "completion_tokens": None}, row(101, [101.5, 102.0], 6, phase_id="q")
    found = reported_as(table(uncounted, later))["vllm"]
    assert found["output_throughput"].value == pytest.approx(10 / 1.8)


def test_a_warm_up_is_left_out() -> None:
    counted = [{**each, "counted_from_ns": S} for each in (A, B, C)]
    found = reported_as(table(*counted))["vllm"]
    assert found["mean_ttft_ms"].value == pytest.approx(300)
    assert found["mean_ttft_ms"].n == 2


def test_each_tool_says_whose_formulas_it_has() -> None:
    assert set(TOOLS) == set(VERSIONS) == set(NOTES)
    said = reported_as(table(A))
    assert formula(said["vllm"]["p99_ttft_ms"]) == "first chunk − start"
    assert formula(said["vllm"]["request_throughput"]) == "completed / duration"


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 5)), min_size=1, max_size=12))
def test_a_weighed_percentile_is_that_of_repeated_values(pairs: list[tuple[float, int]]) -> None:
    values, weights = (np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))
    repeated = np.repeat(values, weights.astype(int))
    for share in (0.501, 0.951, 0.991):
        expected = np.quantile(repeated, share, method="inverted_cdf")
        assert inverted(values, weights, share) == pytest.approx(expected)
