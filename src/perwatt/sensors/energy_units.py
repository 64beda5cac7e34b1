"""Units of power and energy as meters name them: joules are counted, watts are gauged."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["UNITS", "Unit", "unit_of"]


class Unit(NamedTuple):
    """How to come to joules or watts."""

    kind: Literal["counter", "gauge"]
    factor: float
    """Times this: joules of a counter, watts of a gauge."""


UNITS = {
    "J": Unit("counter", 1.0),
    "mJ": Unit("counter", 1e-3),
    "uJ": Unit("counter", 1e-6),
    "kJ": Unit("counter", 1e3),
    "MJ": Unit("counter", 1e6),
    "Wh": Unit("counter", 3600.0),
    "kWh": Unit("counter", 3.6e6),
    "W": Unit("gauge", 1.0),
    "mW": Unit("gauge", 1e-3),
    "uW": Unit("gauge", 1e-6),
    "kW": Unit("gauge", 1e3),
}
ENDINGS = {
    "kilojoules": "kJ",
    "megajoules": "MJ",
    "millijoules": "mJ",
    "microjoules": "uJ",
    "joules": "J",
    "mj": "mJ",
    "uj": "uJ",
    "kilowatt_hours": "kWh",
    "kilowatthours": "kWh",
    "kwh": "kWh",
    "watt_hours": "Wh",
    "watthours": "Wh",
    "wh": "Wh",
    "kilowatts": "kW",
    "milliwatts": "mW",
    "microwatts": "uW",
    "watts": "W",
    "watt": "W",
}
KNOWN = {
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "mJ",
    "DCGM_FI_DEV_POWER_USAGE": "W",
}
"""Names that do not say it: NVIDIA DCGM's field identifiers."""


def unit_of(name: str) -> str | None:
    """`node_rapl_package_joules_total` -> `J`; None where the name does not tell.

    Names end in the unit, and counters in `_total` after it: prometheus.io/docs/practices/naming.

    >>> unit_of("shelly_device_aenergy_watt_hours_total"), unit_of("node_hwmon_power_average_watt")
    ('Wh', 'W')
    """
    if name in KNOWN:
        return KNOWN[name]
    stem = name.removesuffix("_total").lower()
    for ending, unit in ENDINGS.items():
        if stem == ending or stem.endswith(f"_{ending}"):
            return unit
    return None
