"""What NVML's numbers mean: power fields and their windows, throttle bits, superchips."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from perwatt.sensors.nvml_driver import ask

__all__ = ["SCOPE_GPU", "SCOPE_MODULE", "Power", "is_superchip", "power_now", "throttle_names"]

SCOPE_GPU, SCOPE_MODULE = 0, 1
"""NVML_POWER_SCOPE_GPU and NVML_POWER_SCOPE_MODULE (nvml.h), unnamed in older pynvml."""
AMPERE = 7
GA100 = re.compile(r"\b(A100X?|A800|A30X?|CMP 170HX)\b")
SUPERCHIP = re.compile(r"\bG[HB]\d{3}\b")
"""GH200, GB200, GB300."""
THROTTLE = {
    0x004: "sw-power-cap",
    0x008: "hw-slowdown",
    0x010: "sync-boost",
    0x020: "sw-thermal",
    0x040: "hw-thermal",
    0x080: "hw-power-brake",
    0x200: "board-limit",
    0x400: "reliability",
}
"""nvml.h, nvmlClocksEventReasons. Left out: 1 idle, 2 clocks set by the user, 0x100 by a display:
clocks are then lower because nobody asks for more."""


class Power(NamedTuple):
    """Watts as the power fields give them; None where a field is not offered."""

    instant_w: float | None
    average_w: float | None


def throttle_names(bits: int) -> tuple[str, ...]:
    """Why clocks are held down, of a mask of clocks event reasons."""
    return tuple(name for bit, name in THROTTLE.items() if bits & bit)


def is_superchip(nvml: Any, handle: Any, name: str) -> bool:
    """CPU and GPU on one module, whose energy counter covers both (zeus PR #172, on a GH200).

    Told by its name, or by a chip-to-chip link between them (which zeus goes by too).
    """
    if SUPERCHIP.search(name):
        return True
    link = ask(nvml, nvml.nvmlDeviceGetC2cModeInfoV, handle)
    return link is not None and bool(link.isC2cEnabled)


def usage_window_s(architecture: int | None, name: str) -> float | None:
    """Seconds that nvmlDeviceGetPowerUsage is a mean over; None: it is of the moment.

    "On Ampere (except GA100) or newer GPUs, the API returns power averaged over 1 sec interval"
    (NVML API reference, nvmlDeviceGetPowerUsage).
    """
    if architecture is None or architecture < AMPERE or GA100.search(name):
        return None
    return 1.0


def field_ids(nvml: Any, scope: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Instant and average power, in this order, for nvmlDeviceGetFieldValues."""
    return (nvml.NVML_FI_DEV_POWER_INSTANT, scope), (nvml.NVML_FI_DEV_POWER_AVERAGE, scope)


def power_now(nvml: Any, handle: Any, fields: Sequence[tuple[int, int]]) -> Power:
    """Both power fields in one call. Raises nvml.NVMLError where the call itself fails."""
    values = nvml.nvmlDeviceGetFieldValues(handle, fields)
    instant_w, average_w = (
        value.value.uiVal / 1e3 if value.nvmlReturn == nvml.NVML_SUCCESS else None
        for value in values
    )
    return Power(instant_w, average_w)
