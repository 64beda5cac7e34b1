"""Which hwmon chips measure what: the table that lets a channel be summed, or keeps it out.

A chip that is not here may sit anywhere (an ina226 is wherever its board's maker soldered it), so
it is never summed unasked. Names and labels are those in the kernel's drivers and their pages under
Documentation/hwmon, unless another source is named.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from perwatt.core.records import Boundary

__all__ = ["GPUS", "Rule", "label_number", "rule"]

GPUS = frozenset({"amdgpu", "i915", "nouveau", "xe"})
"""Drivers of GPUs, which are numbered through."""


class Rule(NamedTuple):
    """What the channels of one driver, with a label of one form, measure."""

    chip: str
    label: str
    """A regular expression for the whole label; its group, where there is one, is the number."""
    boundary: Boundary
    domain: str
    """Name of the domain, `{n}` being the label's number, else the chip's among its like."""
    scope: str
    inside: str | None = None
    """The domain that holds it, so that it is not summed where that one is read."""


_SOCKET = "cores, caches and I/O die of one socket; memory modules are not in it"
_REGULATOR = "as its voltage regulator reports it, which few boards calibrate"

_RULES = (
    # amd_energy left the kernel in 5.13; zenergy (out of tree) took over its labels.
    Rule("amd_energy", r"Esocket(\d+)", "package", "package-{n}", _SOCKET),
    Rule("amd_energy", r"Ecore\d+", "package", "cores", "one core", "package-0"),
    Rule("zenergy", r"Esocket(\d+)", "package", "package-{n}", _SOCKET),
    Rule("zenergy", r"Ecore\d+", "package", "cores", "one core", "package-0"),
    Rule("fam15h_power", r"", "package", "package-{n}", _SOCKET),
    # zenpower (out of tree), zenpower.c: two rails, for each CPU of a Threadripper or EPYC.
    Rule("zenpower", r"(?:cpu(\d+) )?SVI2_P_Core", "package", "cores-{n}", f"cores, {_REGULATOR}"),
    Rule(
        *("zenpower", r"(?:cpu(\d+) )?SVI2_P_SoC", "package", "soc-{n}"),
        f"memory controller and I/O of the CPU, {_REGULATOR}",
    ),
    Rule(
        *("amdgpu", r"PPT|slowPPT|", "accelerator", "gpu{n}"),
        "what the GPU's firmware calls package power: on some cards the chip without the board's "
        "regulators, on an APU the CPU cores too",
    ),
    Rule("amdgpu", r"fastPPT", "accelerator", "gpu{n}-fast", "the same, averaged faster", "gpu{n}"),
    Rule("nouveau", r"", "accelerator", "gpu{n}", "the board's input"),
    Rule("i915", r"", "accelerator", "gpu{n}", "the card"),
    Rule("xe", r"card", "accelerator", "gpu{n}", "the card with its memory"),
    Rule("xe", r"pkg|", "accelerator", "gpu{n}-chip", "the GPU chip of a card", "gpu{n}"),
    # NVIDIA Grace: ACPI meters named in oem_info (NVIDIA Grace Performance Tuning Guide, "Power").
    Rule(
        *("power_meter", r"Module Power Socket (\d+)", "system", "module-{n}"),
        "a Grace Hopper module: CPU, GPU and both memories; not the server around it",
    ),
    Rule(
        *("power_meter", r"Grace Power Socket (\d+)", "package", "package-{n}"),
        "a Grace CPU with its memory and regulators",
    ),
    Rule(
        *("power_meter", r"CPU Power Socket (\d+)", "package", "cores-{n}"),
        *("cores of a Grace CPU", "package-{n}"),
    ),
    Rule(
        *("power_meter", r"SysIO Power Socket (\d+)", "package", "soc-{n}"),
        *("I/O of a Grace CPU", "package-{n}"),
    ),
    Rule(
        *("power_meter", r".*", "system", "platform"),
        "what the firmware's power meter covers, as a rule the whole machine",
    ),
    Rule(
        *("corsairpsu", r"power total", "system", "psu{n}"),
        "all that the power supply delivers; its own losses are not in it",
    ),
    Rule("corsairpsu", r"power \+.*", "system", "psu{n}-rail", "one rail", "psu{n}"),
    Rule(
        *("macsmc_hwmon", r"Total System Power", "system", "system"),
        "the whole Mac, as its system management controller reports it",
    ),
    Rule("macsmc_hwmon", r".*", "system", "system-part", "a part of the Mac", "system"),
)


def rule(chip: str, label: str) -> Rule | None:
    """The rule for a channel; None: where it sits is not known."""
    return next((r for r in _RULES if r.chip == chip and re.fullmatch(r.label, label)), None)


def label_number(chip: str, label: str) -> int | None:
    """The number that its rule finds in a label."""
    ruled = rule(chip, label)
    match = None if ruled is None else re.fullmatch(ruled.label, label)
    if match is None or not match.re.groups or match.group(1) is None:
        return None
    return int(match.group(1))
