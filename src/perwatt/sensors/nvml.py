"""NVIDIA GPUs through NVML (`nvidia-ml-py`): the energy counter, with power and state beside it.

`nvmlDeviceGetTotalEnergyConsumption` counts millijoules since the driver was loaded (Volta and
newer). A GPU without it, or whose counter stands still while it draws power, is read as a gauge:
its instant power field, or where that is missing `nvmlDeviceGetPowerUsage`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from perwatt.core.clock import now_ns
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.nvml_device import NvmlDevice, found
from perwatt.sensors.nvml_driver import opened, within
from perwatt.sensors.process_tree import with_descendants

__all__ = ["NvmlSensor"]

Metered = tuple[NvmlDevice, Domain]

PATIENCE_S = 30.0
"""Without persistence mode the driver takes 1 to 3 s to wake each GPU, and there may be 8."""
STILL_S = 1.0
"""No counter is known to tick slower than 0.1 s; one that stands still ten times as long, while its
GPU draws power, does not count."""


class NvmlSensor:
    """Domains `gpu0`, `gpu1` …, by NVML's index.

    `address`: indices or UUIDs (their beginnings will do), as in `0,2`: only these GPUs. Else all,
    or those that host the processes given to `select`.
    """

    def __init__(self, address: str | None = None, patience_s: float = PATIENCE_S) -> None:
        self._address = address
        self._patience_s = patience_s
        self._nvml: Any = None
        self._all: list[Metered] = []
        self._named: list[Metered] = []
        self._read: list[Metered] = []

    def probe(self) -> Sequence[Domain]:
        """Every GPU whose energy or power can be read, or those of the address.

        Raises SensorUnavailableError: no library, no driver, one that hangs, no GPU, none that
        tells its power, none of the address.
        """
        if self._nvml is None:
            self._nvml, self._all = within(self._patience_s, _opened_and_found)
        if not self._all:
            self.close()
            msg = "No NVIDIA GPU here tells its energy or power."
            raise SensorUnavailableError(msg, "See `nvidia-smi -q -d POWER` for what it offers.")
        try:
            self._named = _addressed(self._all, self._address)
        except SensorUnavailableError:
            self.close()
            raise
        self._read = self._named
        return [domain for _, domain in self._read]

    def select(self, pids: Sequence[int]) -> Sequence[Domain]:
        """Keep to the GPUs that host these processes or their children; call after `probe`.

        Without pids, or where the driver lists none of them (as in a container, whose process ids
        are not the host's), all are kept, and each domain's note says that the others are in it.
        GPUs of an address are kept whatever runs on them.

        Raises SensorUnavailableError where the processes are on a MIG slice beside others that are
        in use: NVML counts the joules of the whole GPU only.
        """
        kept = self._named
        if pids and kept:
            wanted = with_descendants(pids)
            placed = [(metered, metered[0].placed()) for metered in self._all]
            hosts = [m for m, on in placed if wanted & {pid for pid, _ in on}]
            for (device, _), on in placed:
                _no_neighbour_slices(device, on, wanted)
            kept = _kept(kept, hosts, self._address is not None, len(self._all))
        self._read = kept  # at once, since a sampler may be reading
        return [domain for _, domain in kept]

    def read(self) -> Sequence[Reading]:
        return [device.read(domain) for device, domain in self._read]

    def close(self) -> None:
        if self._nvml is not None:
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
            self._nvml, self._all, self._named, self._read = None, [], [], []


def _opened_and_found() -> tuple[Any, list[Metered]]:
    nvml = opened()
    devices = found(nvml)
    still = _standing_still(devices)
    return nvml, [(device, device.domain(still.get(device.index))) for device in devices]


def _standing_still(devices: Sequence[NvmlDevice]) -> dict[int, str]:
    """What to say of each GPU, by index, whose counter does not move while it draws power."""
    first = {device.index: device.energy_j() for device in devices}
    waiting = [d for d in devices if first[d.index] is not None and d.power().instant_w]
    end_ns = now_ns() + round(STILL_S * 1e9)
    while waiting := [d for d in waiting if d.energy_j() == first[d.index]]:
        if now_ns() >= end_ns:
            break
        time.sleep(0.005)
    said = {}
    for device in waiting:
        power_w = device.power().instant_w
        if power_w:
            said[device.index] = (
                f"its energy counter stood still at {first[device.index]:g} J for {STILL_S:g} s "
                f"while it drew {power_w:.0f} W, so its power is read instead"
            )
    return said


def _addressed(all_: list[Metered], address: str | None) -> list[Metered]:
    if address is None:
        return all_
    chosen: dict[int, Metered] = {}
    for part in (text.strip() for text in address.split(",")):
        if part.startswith("MIG-"):
            msg = f"nvml:{address} names the MIG slice {part}, whose joules NVML does not count."
            raise SensorUnavailableError(msg, "Name its GPU, and leave its other slices idle.")
        same = [m for m in all_ if part == str(m[0].index)] or [
            m for m in all_ if part and not part.isdigit() and m[0].uuid.startswith(part)
        ]
        if len(same) != 1:
            here = ", ".join(f"{d.index} ({d.product}, {d.uuid})" for d, _ in all_)
            what = "more than one NVIDIA GPU" if same else "no NVIDIA GPU that can be read here"
            msg = f"nvml:{address}: {part!r} is {what}."
            raise SensorUnavailableError(msg, f"There are: {here}.")
        chosen[same[0][0].index] = same[0]
    return list(chosen.values())


def _kept(named: list[Metered], hosts: list[Metered], asked: bool, gpus: int) -> list[Metered]:
    """Of `named`, what is read when the processes are on `hosts`."""
    if gpus == 1:
        return named
    if not hosts:
        unmatched = "which GPU the engine uses could not be told: all are counted"
        return named if asked else _noted(named, unmatched)
    if not asked:
        return hosts
    elsewhere = [m for m in named if m not in hosts]
    noted = {m[0].index: m for m in _noted(elsewhere, "no process under test is on it")}
    return [noted.get(m[0].index, m) for m in named]


def _no_neighbour_slices(
    device: NvmlDevice, placed: Iterable[tuple[int, int | None]], wanted: set[int]
) -> None:
    own = {instance for pid, instance in placed if pid in wanted}
    others = {instance for _, instance in placed} - own
    if device.mig and own and others:
        msg = (
            f"gpu{device.index} is split by MIG and {len(others)} more of its slices are in use: "
            "NVML counts the joules of the whole GPU, so those of one slice cannot be told."
        )
        raise SensorUnavailableError(msg, "Stop what runs on its other slices, or use a whole GPU.")


def _noted(metered: Sequence[Metered], more: str) -> list[Metered]:
    return [
        (device, msgspec.structs.replace(domain, note=f"{domain.note or ''}; {more}"))
        for device, domain in metered
    ]
