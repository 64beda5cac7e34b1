"""Limits that make a request good: `--slo ttft=0.5,tpot=0.05,latency=5`, all in seconds."""

from __future__ import annotations

import re

import msgspec

from perwatt.core.errors import SpecError

__all__ = ["Slo", "parse_slo"]

_PART = re.compile(r"(ttft|tpot|latency)=(\d+(?:\.\d+)?)(ms|s)?")


class Slo(msgspec.Struct, frozen=True, kw_only=True):
    """Every stated limit must hold; None: no limit. Times are from when a request was due."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    latency_s: float | None = None


def parse_slo(text: str) -> Slo:
    """Raises SpecError naming the part that cannot be read."""
    limits: dict[str, float] = {}
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        name = f"{found[1]}_s" if found else ""
        value = float(found[2]) * (0.001 if found[3] == "ms" else 1.0) if found else 0.0
        if not value or name in limits:
            msg = f"--slo {part.strip()!r} cannot be read."
            raise SpecError(msg, "Write such as ttft=0.5,tpot=0.05,latency=5, in seconds or ms.")
        limits[name] = value
    return Slo(**limits)
