"""NVIDIA Jetson: the INA3221 monitors of the module's rails, straight from hwmon.

Each rail is millivolts × milliamperes. Where one rail is the module's input it is the system
boundary, with those it feeds beside it at the package boundary; where there is none, the parallel
rails that make up the module are the system, and a rail inside one of them is left out. Nothing is
averaged here: jtop's `avg` halves towards the newest value and is no mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from perwatt.core.clock import now_ns
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Boundary, Domain, Reading
from perwatt.sensors.hwmon_channels import Channel, chips, number, root_of

__all__ = ["JetsonSensor"]

INPUTS = ("VIN", "VDD_IN", "POM_5V_IN", "5V_IN")
"""Rails that feed the whole module, or on Thor the whole kit; the first that is there counts."""

PARTS: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    (("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"), {"VDDQ_VDD2_1V8AO": "VIN_SYS_5V0"}),
    (("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"), {}),
)
"""Modules without an input rail: parallel rails, and those inside one of them. AGX Orin: the memory
rail is fed from the 5 V one (its monitor reads 5 V). AGX Xavier: Product Design Guide DG-09840-001,
figure 5-14."""

GAIN = (0.95, 1.05)
"""A judgement: shunts of 1% (the same figure), the INA3221's 0.25% and 80 µV of offset (TI
SBOS576), which on a lightly loaded rail is some per cent."""


class _Rail(NamedTuple):
    domain: Domain
    files: tuple[Path, ...]
    """Millivolts and milliamperes, or microwatts: their product is microwatts."""


class JetsonSensor:
    """Gauges of grade C, named by their rails. `address`: another hwmon root."""

    def __init__(
        self, address: str | None = None, *, model: Path = Path("/proc/device-tree/model")
    ) -> None:
        """`model`: the file with the product's name."""
        self._address = address
        self._model = model
        self._rails: list[_Rail] = []

    def probe(self) -> Sequence[Domain]:
        """Raises SensorUnavailableError: no Jetson, no monitor, or rails that make no known sum."""
        product = _product(self._model)
        root = root_of(self._address)
        found = _channels(root, product)
        if "Jetson" not in product and not any(name in found for name in INPUTS):
            msg = "This is no NVIDIA Jetson with power monitors."
            raise SensorUnavailableError(msg, "The Jetson sensor reads INA3221 rails from hwmon.")
        if not found:
            msg = f"{product} shows no INA3221 rail in {root}."
            mend = "JetPack 5 or newer shows them; in a container, mount /sys/class/hwmon into it."
            raise SensorUnavailableError(msg, mend)
        self._rails = _rails(found, product)  # at once, since a sampler may be reading
        return [rail.domain for rail in self._rails]

    def read(self) -> Sequence[Reading]:
        return [_read(rail) for rail in self._rails]

    def close(self) -> None:
        """Nothing is held open."""


def _channels(root: Path, product: str) -> dict[str, tuple[Channel, Path]]:
    """The readable rails by label, each with its chip's folder."""
    found: dict[str, tuple[Channel, Path]] = {}
    for chip in chips(root):
        for channel in chip.channels:
            if channel.problem is not None:
                continue
            # "NC" is not connected, and a seventh channel sums shunts of unlike volts.
            if chip.name == "ina3221" and channel.label not in {"", "NC", "sum of shunt voltages"}:
                found.setdefault(channel.label, (channel, chip.folder))
            # Thor's input has an INA238, unlabelled (jetson_stats pull request 900).
            if chip.name == "ina238" and channel.power is not None and "Thor" in product:
                found.setdefault("VIN", (channel, chip.folder))
    return found


def _rails(found: dict[str, tuple[Channel, Path]], product: str) -> list[_Rail]:
    """Those to read: the system's first. Raises SensorUnavailableError for an unknown set."""
    whole = next((name for name in INPUTS if name in found), None)
    if whole is not None:
        others = tuple(name for name in found if name != whole)
        place = "the module's input: CPU, GPU, memory, regulators; not the carrier board"
        if whole == "VIN":
            place = "the input of module and carrier board"
        return [
            _rail(whole, found[whole], product, "system", place, others),
            *(_rail(o, found[o], product, "package", f"inside {whole}", ()) for o in others),
        ]
    for parts, nested in PARTS:
        if set(parts) <= set(found):
            place = "one of the module's parallel rails; not the carrier board"
            covers = {p: tuple(i for i, o in nested.items() if o == p) for p in parts}
            return [_rail(p, found[p], product, "system", place, covers[p]) for p in parts]
    msg = f"The rails of {product} are not known to make a sum: {', '.join(sorted(found))}."
    raise SensorUnavailableError(msg, "Please report them, with the product's data sheet.")


def _rail(
    name: str,
    at: tuple[Channel, Path],
    product: str,
    boundary: Boundary,
    note: str,
    covers: tuple[str, ...],
) -> _Rail:
    channel, folder = at
    interval_ms = number(folder / "update_interval")
    domain = Domain(
        name=name,
        kind="gauge",
        boundary=boundary,
        source="jetson",
        grade="C",
        device=product,
        gain_low=GAIN[0],
        gain_high=GAIN[1],
        covers=covers,
        power_window_s=interval_ms / 1e3 if interval_ms else None,
        note=note,
    )
    return _Rail(domain, tuple(f for f in (channel.power, channel.volts, channel.amperes) if f))


def _read(rail: _Rail) -> Reading:
    before = now_ns()
    try:
        microwatts = math.prod(int(file.read_bytes()) for file in rail.files)
    except (OSError, ValueError) as error:
        return Reading(domain=rail.domain.name, t_ns=now_ns(), error=str(error))
    t_ns = (before + now_ns()) // 2
    return Reading(domain=rail.domain.name, t_ns=t_ns, power_w=microwatts / 1e6)


def _product(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return "this machine"
