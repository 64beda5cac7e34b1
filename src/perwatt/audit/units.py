"""The units that a published column may be in, and what each role is recomputed in."""

from __future__ import annotations

import re

__all__ = ["ROLES", "scale_of", "shown"]

ROLES = {
    "accuracy": "share",
    "coverage": "share",
    "share": "share",
    "saving": "share",
    "power_w": "W",
    "rated_w": "W",
    "energy_j": "J",
    "seconds": "s",
    "ipw": "1/W",
    "ipj": "1/J",
    "ratio": "x",
    "count": "count",
    "price": "$/M tokens",
    "fact": "x",
}
"""Role of a column → the unit that rules compute in."""
_SCALES = {
    ("share", "%"): 0.01,
    ("share", "share"): 1.0,
    ("W", "mW"): 1e-3,
    ("W", "W"): 1.0,
    ("W", "kW"): 1e3,
    ("J", "J"): 1.0,
    ("J", "kJ"): 1e3,
    ("J", "MJ"): 1e6,
    ("J", "Wh"): 3600.0,
    ("s", "ms"): 1e-3,
    ("s", "s"): 1.0,
    ("s", "min"): 60.0,
    ("1/W", "1/W"): 1.0,
    ("1/W", "%/W"): 0.01,
    ("1/J", "1/J"): 1.0,
    ("1/J", "%/J"): 0.01,
    ("x", "x"): 1.0,
    ("count", "count"): 1.0,
    ("$/M tokens", "$/M tokens"): 1.0,
}
_LEAST = 1e-30
_POWER = re.compile(r"(1e[-+]?\d+)/(.+)")


def scale_of(role: str, unit: str) -> float:
    """What one printed unit is in the role's own: 0.01 for accuracy in %, 1e-3 for 1e-3/W.

    Raises ValueError, naming what is allowed.
    """
    base = ROLES.get(role)
    if base is None:
        msg = f"there is no role {role!r}; known: {', '.join(ROLES)}"
        raise ValueError(msg)
    factor, bare = 1.0, unit
    if found := _POWER.fullmatch(unit):
        factor, bare = float(found[1]), f"1/{found[2]}"
        if not _LEAST <= factor <= 1 / _LEAST:
            msg = f"{role} in {unit!r} is beyond anything that is printed"
            raise ValueError(msg)
    scale = _SCALES.get((base, bare))
    if scale is None:
        known = ", ".join(u for b, u in _SCALES if b == base)
        msg = f"{role} cannot be in {unit!r}; known: {known}"
        raise ValueError(msg)
    return factor * scale


def shown(value: float, unit: str) -> str:
    """`value`, in the role's own unit, with four digits."""
    match unit:
        case "share":
            return f"{100 * value:.4g}%"
        case "count":
            return f"{value:,.0f}"
        case "x":
            return f"{value:.4g}x"
        case _:
            return f"{value:.4g} {unit}"
