"""Which of another tool's figures is what: a column for each quantity, and how its unit is met."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from perwatt.core.estimate import Estimate

__all__ = ["QUANTITIES", "Quantity", "Said", "in_unit"]


class Said(msgspec.Struct, frozen=True):
    """A tool's metric as one of ours: `scale × value`, or `scale ÷ value`."""

    metric: str
    scale: float = 1.0
    inverse: bool = False


class Quantity(msgspec.Struct, frozen=True, kw_only=True):
    """One column."""

    name: str
    title: str
    unit: str
    what: str
    said: tuple[Said, ...]
    """The first that a row has is shown."""


_MS = 1e-3
_KWH_J = 3.6e6
QUANTITIES = (
    Quantity(
        name="j_per_output_token",
        title="J/token",
        unit="J",
        what="Joules over output tokens; prefill is in it except in decode's of optimum-benchmark.",
        said=(
            Said("j_per_output_token"),
            Said("mlenergy.j_per_out_token"),
            Said("mlenergy.j_per_out_token_derived"),
            Said("aiperf.nvidia_energy_per_output_token.avg", 1e-3),
            Said("aiperf.amd_energy_per_output_token.avg", 1e-3),
            Said("optimum.decode.efficiency", _KWH_J, inverse=True),
        ),
    ),
    Quantity(
        name="j_per_request",
        title="J/request",
        unit="J",
        what="Mean joules of a request, as the tool gives them.",
        said=(
            Said("energy_gross_j"),
            Said("mlenergy.j_per_request"),
            Said("aiperf.nvidia_energy_per_request.avg"),
            Said("aiperf.amd_energy_per_request.avg"),
        ),
    ),
    Quantity(
        name="power_w",
        title="W",
        unit="W",
        what="Mean watts of all that the boundary covers.",
        said=(
            Said("power_gross_w"),
            Said("mlenergy.avg_power_w_all_gpus"),
            Said("mlenergy.avg_power_w_all_gpus_derived"),
            Said("aiperf.nvidia_average_gpu_power.avg"),
            Said("aiperf.amd_average_gpu_power.avg"),
        ),
    ),
    Quantity(
        name="output_tokens_per_s",
        title="tok/s",
        unit="tok/s",
        what="Output tokens a second, of all requests together.",
        said=(
            Said("output_tokens_per_s"),
            Said("mlenergy.out_tok_per_s"),
            Said("mlenergy.tok_per_s"),
            Said("aiperf.output_token_throughput.avg"),
            Said("guidellm.output_tokens_per_second.mean"),
            Said("vllm.output_throughput"),
            Said("llama_bench.avg_ts.tg"),
            Said("optimum.decode.throughput"),
        ),
    ),
    Quantity(
        name="prompt_tokens_per_s",
        title="prompt tok/s",
        unit="tok/s",
        what="Prompt tokens a second while only prompts are read.",
        said=(Said("prefill_tokens_per_s"), Said("llama_bench.avg_ts.pp")),
    ),
    Quantity(
        name="requests_per_s",
        title="req/s",
        unit="1/s",
        what="Requests a second.",
        said=(
            Said("requests_per_s"),
            Said("aiperf.request_throughput.avg"),
            Said("guidellm.requests_per_second.mean"),
            Said("vllm.request_throughput"),
        ),
    ),
    Quantity(
        name="ttft_p50_s",
        title="TTFT p50",
        unit="s",
        what="Median time to the first token.",
        said=(
            Said("aiperf.time_to_first_token.p50", _MS),
            Said("guidellm.time_to_first_token_ms.median", _MS),
            Said("vllm.median_ttft_ms", _MS),
            Said("optimum.prefill.latency.p50"),
        ),
    ),
    Quantity(
        name="itl_p50_s",
        title="ITL p50",
        unit="s",
        what="Median time between tokens, not alike: vLLM's is of all gaps between chunks, AIPerf's"
        " and GuideLLM's of each request's mean gap.",
        said=(
            Said("mlenergy.itl_ms_p50", _MS),
            Said("aiperf.inter_token_latency.p50", _MS),
            Said("guidellm.inter_token_latency_ms.median", _MS),
            Said("vllm.median_itl_ms", _MS),
            Said("optimum.per_token.latency.p50"),
        ),
    ),
    Quantity(
        name="output_tokens",
        title="tokens out",
        unit="tokens",
        what="Mean output tokens of a request.",
        said=(
            Said("mlenergy.output_len_mean"),
            Said("aiperf.output_sequence_length.avg"),
            Said("guidellm.output_token_count.mean"),
        ),
    ),
)


def in_unit(quantity: Quantity, figures: Mapping[str, Estimate]) -> Estimate | None:
    """The row's figure in the column's unit; None where it has none.

    A figure in that unit already is given on bit for bit.
    """
    for said in quantity.said:
        found = figures.get(said.metric)
        if found is None or found.value is None or (said.inverse and not found.value):
            continue
        if said.scale == 1 and not said.inverse:
            return msgspec.structs.replace(
                found, unit=quantity.unit, reason=found.reason or said.metric
            )
        value, low, high = (
            None if x is None else said.scale / x if said.inverse else said.scale * x
            for x in (found.value, found.low, found.high)
        )
        way = f"{said.scale:g} ÷ " if said.inverse else f"{said.scale:g} × "
        return msgspec.structs.replace(
            found,
            value=value,
            low=high if said.inverse else low,
            high=low if said.inverse else high,
            unit=quantity.unit,
            reason=found.reason or f"{way}{said.metric} in {found.unit}",
        )
    return None
