"""What each tool would report, by its name on the command line."""

from __future__ import annotations

from collections.abc import Callable

from perwatt.core.estimate import Estimate
from perwatt.core.records import Columns
from perwatt.metrics.reported.aiperf import aiperf
from perwatt.metrics.reported.guidellm import guidellm
from perwatt.metrics.reported.inference_perf import inference_perf
from perwatt.metrics.reported.marks import Served, served
from perwatt.metrics.reported.vllm import vllm

__all__ = ["NOTES", "TOOLS", "VERSIONS", "formula", "reported_as"]

TOOLS: dict[str, Callable[[Served], dict[str, Estimate]]] = {
    "vllm": vllm,
    "guidellm": guidellm,
    "aiperf": aiperf,
    "inference-perf": inference_perf,
}

VERSIONS = {
    "vllm": "vllm bench serve (vLLM main at 009e6d4a)",
    "guidellm": "GuideLLM 0.8.1",
    "aiperf": "AIPerf 0.13.0",
    "inference-perf": "inference-perf (main at 010d12fb)",
}
"""Whose formulas they are."""

NOTES = {
    "vllm": "Percentiles are linear between ranks.",
    "guidellm": "Percentiles invert the distribution, which weighs TPOT and ITL by their tokens.",
    "aiperf": "Percentiles are linear between ranks.",
    "inference-perf": "Percentiles are linear between ranks.",
}
"""What goes for all of a tool's figures."""


def reported_as(requests: Columns) -> dict[str, dict[str, Estimate]]:
    """{tool: {its own name: number in its own unit}} of attempted rows that count for speed."""
    seen = served(requests)
    return {name: report(seen) for name, report in TOOLS.items()}


def formula(estimate: Estimate) -> str:
    """What its mean, median and percentiles are all taken of."""
    before, of, after = estimate.method.partition(" of ")
    return after if of and " " not in before else estimate.method
