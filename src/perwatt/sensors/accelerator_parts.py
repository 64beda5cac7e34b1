"""What an accelerator is rated at, and what it draws idle and at work, from its name alone.

Rated watts are the vendors' data sheets' (NVIDIA, AMD; for Apple the SoC's watts that reviews
report, since Apple states none). Idle watts, where given, were measured by others and are named
beside the part. The share of rated watts at work was fitted by benchmarks/estimate_error.py.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

__all__ = ["Accelerator", "active_w", "amd", "apple", "gain", "idle_w", "nvidia"]

ACTIVE_SHARE = 0.57
"""Watts over rated watts of GPUs at work, over four kinds (H100, B200, A100, V100)."""
ACTIVE_GAIN = (0.29, 1.77)
"""95% of truth over estimate for a kind left out: low by Student's t, high at the rated watts."""
IDLE_LOW_SHARE = 0.03
"""The most frugal idle known: RTX 4090, 15 of 450 W."""
IDLE_HIGH_SHARE = 0.29
"""The least frugal, a process holding it: L40S, 35 W and 66 W more of 350 (arXiv 2605.23918)."""


class Accelerator(NamedTuple):
    """A part: its rated watts, and the least it was seen to draw idle."""

    name: str
    rated_w: float
    idle_low_w: float | None = None
    """None: unknown, and taken as a share of the rated watts."""


# first match wins: the more special name stands before the plainer one
_NVIDIA: tuple[tuple[str, Accelerator], ...] = (
    (r"GH200", Accelerator("GH200 module", 1000.0)),
    (r"B300", Accelerator("B300", 1400.0)),
    (r"\bG?B200", Accelerator("B200", 1000.0)),
    (r"H200 NVL", Accelerator("H200 NVL", 600.0)),
    (r"H200", Accelerator("H200 SXM", 700.0, 73.0)),  # 73.6 W, RunPod, nvidia-smi
    (r"H100 NVL", Accelerator("H100 NVL", 400.0, 60.0)),  # 60.3 to 63.7 W, TokenPowerBench
    (r"H100 PCIe", Accelerator("H100 PCIe", 350.0)),
    (r"H100", Accelerator("H100 SXM", 700.0, 70.0)),  # arXiv 2605.23918
    (r"A100.*SXM", Accelerator("A100 SXM", 400.0, 45.0)),  # 59 to 62 W at 80 GB, less at 40
    (r"A100.*80GB|A100 80GB", Accelerator("A100 PCIe 80GB", 300.0)),
    (r"A100", Accelerator("A100 PCIe 40GB", 250.0)),
    (r"\bA40\b", Accelerator("A40", 300.0)),
    (r"\bA30\b", Accelerator("A30", 165.0)),
    (r"\bA10\b", Accelerator("A10", 150.0)),
    (r"L40S", Accelerator("L40S", 350.0, 35.0)),  # arXiv 2605.23918
    (r"\bL4\b", Accelerator("L4", 72.0, 12.0)),
    (r"\bT4\b", Accelerator("T4", 70.0, 8.0)),
    (r"V100.*SXM2", Accelerator("V100 SXM2", 300.0)),
    (r"V100", Accelerator("V100 PCIe", 250.0)),
    (r"RTX 3090", Accelerator("RTX 3090", 350.0, 17.0)),  # 17.5 to 22.3 W, measured
    (r"RTX 4090", Accelerator("RTX 4090", 450.0, 15.0)),
    (r"RTX 5090", Accelerator("RTX 5090", 575.0)),
    (r"RTX 6000 Ada", Accelerator("RTX 6000 Ada", 300.0, 24.0)),  # 24.9 to 29.2 W, measured
    (r"RTX PRO 6000 Blackwell", Accelerator("RTX PRO 6000 Blackwell", 600.0)),
)

# PCI device ids as in pci.ids; the largest part where several share one
_AMD: dict[int, Accelerator] = {
    0x74A1: Accelerator("Instinct MI300X", 750.0),
    0x74A5: Accelerator("Instinct MI325X", 1000.0),
    0x75A0: Accelerator("Instinct MI350X", 1000.0),
    0x75A3: Accelerator("Instinct MI355X", 1400.0),
    0x740C: Accelerator("Instinct MI250X or MI250", 560.0),
    0x7408: Accelerator("Instinct MI250X", 560.0),
    0x740F: Accelerator("Instinct MI210", 300.0),
    0x738C: Accelerator("Instinct MI100", 300.0),
    0x744C: Accelerator("Radeon RX 7900", 355.0),
    0x7448: Accelerator("Radeon PRO W7900", 295.0),
    0x73BF: Accelerator("Radeon RX 6800 or 6900", 300.0),
    0x7550: Accelerator("Radeon RX 9070", 304.0),
}

# whole SoC: CPU, GPU, neural engine and memory; an idle one is reported at under a tenth of a watt
_APPLE: tuple[tuple[str, Accelerator], ...] = (
    (r"Apple M\d+ Ultra", Accelerator("Apple Ultra", 200.0, 0.2)),
    (r"Apple M\d+ Max", Accelerator("Apple Max", 100.0, 0.1)),
    (r"Apple M\d+ Pro", Accelerator("Apple Pro", 46.0, 0.1)),
    (r"Apple M\d+", Accelerator("Apple M", 25.0, 0.1)),
)


def nvidia(model: str) -> Accelerator | None:
    """By the driver's name, such as `NVIDIA H100 80GB HBM3`. None: not listed."""
    return _first(_NVIDIA, model)


def apple(brand: str) -> Accelerator | None:
    """By `machdep.cpu.brand_string`, such as `Apple M4 Max`. None: not listed."""
    return _first(_APPLE, brand)


def amd(device_id: int) -> Accelerator | None:
    """By PCI device id. None: not listed; graphics inside a CPU package are left out on purpose."""
    return _AMD.get(device_id)


def idle_w(part: Accelerator) -> tuple[float, float, float]:
    """(low, middle, high) idle watts: bare at the least, held by a process at the most."""
    low = IDLE_LOW_SHARE * part.rated_w if part.idle_low_w is None else part.idle_low_w
    high = IDLE_HIGH_SHARE * part.rated_w
    return low, math.sqrt(low * high), high


def active_w(part: Accelerator, utilization: float) -> float:
    """Watts at a utilization of 0 to 1: idle + u × (active − idle)."""
    idle = idle_w(part)[1]
    return idle + utilization * (ACTIVE_SHARE * part.rated_w - idle)


def gain(part: Accelerator) -> tuple[float, float]:
    """95% range of truth over `active_w`, at whatever utilization."""
    low, middle, high = idle_w(part)
    return (
        round(min(low / middle, ACTIVE_GAIN[0]), 2),
        round(max(high / middle, ACTIVE_GAIN[1]), 2),
    )


def _first(table: tuple[tuple[str, Accelerator], ...], text: str) -> Accelerator | None:
    return next((part for pattern, part in table if re.search(pattern, text)), None)
