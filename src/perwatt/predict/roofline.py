"""The least time and energy that a device's own peaks allow for the tokens that a load came to.

The roofline (Williams, Waterman & Patterson, CACM 52(4), 2009) of a decoder: a token costs two
floating-point operations per active parameter, and a decode step reads the weights that its tokens
touch once, and the KV cache of each one's context. Nothing here is fitted: what an engine adds
(attention's own arithmetic, launch times, activations, a draft model) only raises the truth above
this floor.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from perwatt.core.records import PairIdentity
from perwatt.predict.devices import Device
from perwatt.predict.models import ModelFacts

__all__ = ["NoRoofline", "Roofline", "Weights", "Work", "peak_of", "roofline", "weights_of"]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of the device."""

    prompt_tokens: int
    """Read in prefill: without those served from a cache."""
    decode_tokens: int
    """Made in decode steps: all but each answer's first, which prefill makes."""
    output_tokens: int
    context_tokens: int = 0
    """Σ over decode steps of the tokens before it, for the reads of the KV cache."""
    batch: float = 1.0
    """Mean answers in decode while any was: each step makes so many tokens. At least 1."""
    overlapped: bool = False
    """Were several requests in flight? One's prefill may then hide behind another's decode."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """A model as the device sees it."""

    parameters: float
    active: float
    """Parameters that one token passes through; of a dense model all."""
    size_bytes: float
    kv_bytes_per_token: float | None = None
    """That decode reads of each token before it. None: not known, and left out, which lowers the
    floor."""
    precision: str | None = None


class NoRoofline(msgspec.Struct, frozen=True):
    """Why there is none, as a sentence."""

    reason: str


class Roofline(msgspec.Struct, frozen=True, kw_only=True):
    """The floor for one load on `devices` devices alike."""

    prefill_s: float
    decode_s: float
    seconds: float
    """Their sum; where requests overlap, what the busier of arithmetic and memory needs."""
    flops: float
    decode_bytes: float
    """Weights and KV cache."""
    kv_share: float | None
    """Of `decode_bytes`, what the KV cache is. None: not known, and not in them."""
    peak_flops: float
    peak: str
    """Which of the device's peaks, such as `fp16`."""
    bandwidth: float
    """Bytes per second."""
    bound: Literal["arithmetic", "memory"]
    """What decode waits for."""
    idle_j: float | None
    """`seconds` at idle watts: no device does work for less. None: its idle watts are unknown."""
    limit_j: float | None
    """`seconds` at the power limit (TDP)."""


def roofline(
    work: Work, weights: Weights, device: Device, devices: int = 1
) -> Roofline | NoRoofline:
    """The floor, or why it cannot be had. Peaks and bandwidth of several devices add up."""
    found = peak_of(device, weights.precision)
    if found is None:
        return NoRoofline(f"no peak of {device.name}'s arithmetic is known")
    if device.bandwidth_gb_s is None:
        return NoRoofline(f"the memory bandwidth of {device.name} is not known")
    if work.prompt_tokens + work.output_tokens <= 0:
        return NoRoofline("no token of this load was counted")
    name, tera = found
    peak, bandwidth = tera * 1e12 * devices, device.bandwidth_gb_s * 1e9 * devices
    batch = max(work.batch, 1.0)
    touched = weights.size_bytes * _touched(weights.active / weights.parameters, batch)
    read = touched * work.decode_tokens / batch
    cache = work.context_tokens * (weights.kv_bytes_per_token or 0.0)
    read += cache
    prefill_flops = 2.0 * weights.active * work.prompt_tokens
    decode_flops = 2.0 * weights.active * work.decode_tokens
    prefill_s = prefill_flops / peak
    decode_s = max(read / bandwidth, decode_flops / peak)
    hidden = max((prefill_flops + decode_flops) / peak, read / bandwidth)
    seconds = hidden if work.overlapped else prefill_s + decode_s
    return Roofline(
        prefill_s=prefill_s,
        decode_s=decode_s,
        seconds=seconds,
        flops=prefill_flops + decode_flops,
        decode_bytes=read,
        kv_share=cache / read if read and weights.kv_bytes_per_token is not None else None,
        peak_flops=peak,
        peak=name,
        bandwidth=bandwidth,
        bound="memory" if read / bandwidth >= decode_flops / peak else "arithmetic",
        idle_j=None if device.idle_w is None else seconds * device.idle_w * devices,
        limit_j=None if device.tdp_w is None else seconds * device.tdp_w * devices,
    )


def _touched(share: float, batch: float) -> float:
    """Share of the weights that `batch` tokens pass through, experts being picked evenly."""
    return 1.0 if share >= 1.0 else 1.0 - (1.0 - share) ** batch


_BY_PRECISION: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"nvfp4|mxfp4|fp4", ("fp4", "fp8", "fp16")),
    (r"fp8|e4m3|e5m2", ("fp8", "fp16")),
    # llama.cpp multiplies quantised blocks as 8-bit integers, or unpacks them to 16 bits.
    (r"int8|w8a8|\bi?q\d", ("int8", "fp16")),
    (r"f16|fp16|bf16|f32|fp32|awq|gptq|int4|w4a16", ("fp16",)),
)
_ALL = ("fp4", "fp8", "int8", "fp16")


def peak_of(device: Device, precision: str | None) -> tuple[str, float] | None:
    """(name, 10¹² operations per second): the most that this precision could be computed at.

    The highest of those that engines use for it, so that the floor stays one; of all that the
    device has where the precision is not known. 32-bit arithmetic is given the 16-bit peak.
    """
    tera = {
        "fp16": device.fp16_tflops,
        "fp8": device.fp8_tflops,
        "int8": device.int8_tops,
        "fp4": device.fp4_tflops,
    }
    words = (precision or "").lower()
    names = next((n for pattern, n in _BY_PRECISION if re.search(pattern, words)), _ALL)
    known = [(name, own) for name in names if (own := tera[name]) is not None]
    return max(known, key=lambda each: each[1], default=None)


KV_BYTES = 2.0
"""Of a value in the KV cache: engines keep 16 bits unless told otherwise, whatever the weights'
precision. With fewer the floor lies lower than it is said to."""
_BYTES: tuple[tuple[str, float], ...] = (
    (r"nvfp4|mxfp4|fp4|int4|w4a16|awq|gptq", 0.5),
    (r"fp8|e4m3|e5m2|int8|w8a8", 1.0),
    (r"bf16|fp16|f16", 2.0),
    (r"fp32|f32", 4.0),
)
"""Bytes per parameter, scales left out; of a GGUF file the size is known."""


def weights_of(identity: PairIdentity, facts: ModelFacts | None) -> Weights | NoRoofline:
    """What is known of a pair's weights: from its own file first, then from the catalogue."""
    told = facts.parameters_b if facts else None
    parameters = identity.parameters or (None if told is None else told * 1e9)
    if parameters is None:
        return NoRoofline(f"how many parameters {identity.model} has is not known")
    active = parameters
    if facts and facts.active_b and facts.parameters_b:
        active = parameters * min(1.0, facts.active_b / facts.parameters_b)
    size: float | None = identity.model_bytes
    if size is None:
        words = (identity.precision or "").lower()
        each = next((own for pattern, own in _BYTES if re.search(pattern, words)), None)
        if each is None:
            return NoRoofline(f"how many bytes the weights of {identity.label} take is not known")
        size = parameters * each
    attention = facts.attention if facts else None
    return Weights(
        parameters=parameters,
        active=active,
        size_bytes=size,
        kv_bytes_per_token=None if attention is None else attention.values_per_token * KV_BYTES,
        precision=identity.precision,
    )
