"""What devices can do, by their vendors: peaks, bandwidth, power limits (devices.toml)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Literal

import msgspec

from perwatt.core.decoding import prepare
from perwatt.predict.catalogue import built_in, find

__all__ = ["Device", "device_key", "devices", "find_device"]

Positive = Annotated[float, msgspec.Meta(gt=0)]


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator or processor. Peaks are dense, without sparsity; None: not published."""

    name: str
    aliases: tuple[str, ...] = ()
    """Other spellings of exactly this device; case, punctuation and vendor do not matter."""
    vendor: str | None = None
    kind: Literal["gpu", "soc", "cpu", "accelerator"] | None = None
    place: Literal["local", "cloud"] | None = None
    """On a desk or in a pocket, or in a data centre."""
    year: int | None = None
    """Of release."""
    memory_gb: Positive | None = None
    bandwidth_gb_s: Positive | None = None
    """To its main memory, in 10⁹ bytes per second."""
    fp16_tflops: Positive | None = None
    fp8_tflops: Positive | None = None
    int8_tops: Positive | None = None
    fp4_tflops: Positive | None = None
    tdp_w: Positive | None = None
    """The upper end where it is configurable; `note` has the range."""
    idle_w: Positive | None = None
    """Without any context on it; `note` says who measured it."""
    source: str
    note: str | None = None


prepare(Device)


@cache
def devices() -> tuple[Device, ...]:
    """All that come with perwatt."""
    return built_in("devices.toml", "device", Device)


def find_device(text: str, extra: Sequence[Device] = ()) -> Device | None:
    """The device that a driver, an operating system or a table calls `text`.

    NVML's "NVIDIA H100 80GB HBM3", a processor's model name or the study's "M4 Max". None where
    the name is unknown, or where several devices bear it ("A100"): never the likeliest.
    `extra` goes before perwatt's own.
    """
    return find(text, extra, device_key) or find(text, devices(), device_key)


_ASIDE = re.compile(
    r"\((?:r|tm|c)\)|[®™]|\b\d+(?:st|nd|rd|th) gen\b|\s@\s.*$|\s(?:w/|with)\s.*$"
    r"|\b\d+-core (?:processor|cpu)\b|\brev \d.*$"
)
"""What a processor's name carries beside the name: marks, generation, clock, graphics, cores."""
_VENDORS = frozenset(
    [
        "nvidia",
        "amd",
        "intel",
        "geforce",
        "tesla",
        "instinct",
        "radeon",
        "gpu",
        "cpu",
        "processor",
        "corporation",
        "core",
        "google",
        "habana",
        "accelerator",
        "qualcomm",
        "sambanova",
    ]
)


def device_key(text: str) -> str:
    """Equal for two spellings of one device."""
    plain = _ASIDE.sub(" ", text.lower())
    plain = re.sub(r"\b(\d+) gb\b", r"\1gb", plain)
    words = re.findall(r"[a-z0-9.]+\+?", plain)
    return " ".join(word for word in words if word not in _VENDORS)
