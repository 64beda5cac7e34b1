"""hwmon: energy counters and power gauges that Linux drivers show in /sys/class/hwmon.

Only chips whose place is known are counted (hwmon_chips), and of those that lie inside one another
only the outermost; anything else is taken when its address is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec

from perwatt.core.clock import now_ns
from perwatt.core.errors import SensorUnavailableError, SpecError
from perwatt.core.records import Boundary, Domain, Reading
from perwatt.sensors.drm_clients import gpus_of
from perwatt.sensors.hwmon_channels import Channel, Chip, chips, number, root_of
from perwatt.sensors.hwmon_chips import GPUS, Rule, label_number, rule
from perwatt.sensors.process_tree import with_descendants

__all__ = ["HwmonSensor"]

COUNTER_GAIN = (0.9, 1.1)
"""As for the RAPL counters, which amd_energy reads too; Intel states none for its GPUs."""
GAUGE_GAIN = (0.7, 1.3)
"""A judgement, as for NVML's gauges: what is shorter than their averaging is missed."""


class _Source(NamedTuple):
    domain: Domain
    channel: Channel
    gpu: Path | None
    """Of a GPU: the chip's folder, whose `device` tells its utilization and is its PCI device."""


class HwmonSensor:
    """`address`: `chip`, `chip/label`, either with `@boundary`, or another root (`/sys/…`).

    `chip` is the driver's name or the entry, such as `hwmon3`. Without an address every known chip.
    """

    def __init__(self, address: str | None = None, *, proc: Path = Path("/proc")) -> None:
        """`proc`: where /proc is."""
        self._address = address
        self._proc = proc
        self._pids: tuple[int, ...] = ()
        self._all: list[_Source] = []
        self._sources: list[_Source] = []

    def probe(self) -> Sequence[Domain]:
        """Raises SensorUnavailableError: nothing known here, or not readable; SpecError: address.

        What is not counted, and why, is in the last domain's note.
        """
        root = root_of(self._address)
        found = chips(root)
        asked = self._address if self._address and not self._address.startswith("/") else None
        self._all = _named(found, asked, root) if asked else _known(found, root)
        return self.select(self._pids)

    def select(self, pids: Sequence[int]) -> Sequence[Domain]:
        """Of several GPUs, keep those which these processes or their children have open.

        Without pids, or where none is told, all are kept, and their notes say so. What is no GPU
        stays. Call after `probe`.
        """
        self._pids = tuple(pids)
        kept = self._all
        gpus = [source for source in kept if source.gpu is not None]
        if pids and len(gpus) > 1:
            wanted = gpus_of(with_descendants(pids, self._proc), self._proc)
            others = [source for source in gpus if _pci(source) not in wanted]
            if len(others) < len(gpus):
                kept = [source for source in kept if source not in others]
            else:
                unmatched = "which GPU the engine uses could not be told: all are counted"
                kept = [
                    source if source.gpu is None else _with(source, note=_and(source, unmatched))
                    for source in kept
                ]
        self._sources = kept  # at once, since a sampler may be reading
        return [source.domain for source in kept]

    def read(self) -> Sequence[Reading]:
        return [_read(source) for source in self._sources]

    def close(self) -> None:
        """Nothing is held open."""


def _known(found: Sequence[Chip], root: Path) -> list[_Source]:
    """Channels of known place. Of those inside one another the outermost is kept, and covers."""
    kept: dict[str, _Source] = {}
    nested: list[tuple[str, _Source]] = []
    unknown: list[str] = []
    refused: list[Channel] = []
    for chip, channel in _each(found):
        ruled, name = _place(found, chip, channel)
        if ruled is None or _is_battery(chip):
            if channel.volts is None:  # volts and amperes alone are no power meter
                unknown.append(_address(chip, channel))
        elif channel.problem is not None:
            refused.append(channel)
        elif ruled.inside is not None:
            outer = _name_of(ruled.inside, found, chip, channel)
            nested.append((outer, _source(chip, channel, name, ruled.boundary, ruled.scope)))
        elif name in kept:  # two firmware meters, say: nobody tells whether one holds the other
            unknown.append(_address(chip, channel))
        else:
            kept[name] = _source(chip, channel, name, ruled.boundary, ruled.scope)
    for outer, source in nested:
        if outer in kept:
            covers = dict.fromkeys((*kept[outer].domain.covers, source.domain.name))
            kept[outer] = _with(kept[outer], covers=tuple(covers))
        elif source.domain.boundary == "accelerator":  # a card that shows its chip alone
            kept.setdefault(source.domain.name, source)
    if not kept or any(_boundary(found, channel) == "package" for channel in refused):
        raise _nothing(root, unknown, refused)
    more = [f"not counted, for where it sits is not known: {text}" for text in unknown]
    more += [f"not counted, for it cannot be read: {_file(channel)}" for channel in refused]
    last = list(kept)[-1]
    kept[last] = _with(kept[last], note=_and(kept[last], *more))
    return list(kept.values())


def _named(found: Sequence[Chip], address: str, root: Path) -> list[_Source]:
    """The channels that an address names."""
    where, _, boundary_text = address.partition("@")
    boundary = next((b for b in get_args(Boundary) if b == boundary_text), None)
    if boundary_text and boundary is None:
        msg = f"hwmon:{address} names the boundary {boundary_text!r}."
        raise SpecError(msg, "Use @accelerator, @package or @system.")
    name, _, label = where.partition("/")
    chip_wide = [(c, ch) for c, ch in _each(found) if name in {c.name, c.entry}]
    hits = [(c, ch) for c, ch in chip_wide if not label or ch.label == label]
    if not label:
        outermost = [(c, ch) for c, ch in hits if (r := _place(found, c, ch)[0]) and not r.inside]
        hits = outermost or hits
    if not hits:
        listed = ", ".join(_address(c, ch) for c, ch in chip_wide or _each(found))
        msg = f"hwmon has no {where!r} in {root}."
        raise SensorUnavailableError(msg, f"It has: {listed or 'nothing that tells power'}.")
    if len(hits) > 1 and any(_place(found, c, ch)[0] is None for c, ch in hits):
        listed = ", ".join(f"{c.entry}/{ch.label}" for c, ch in hits)
        msg = f"hwmon:{address} names several channels, which may lie inside one another."
        raise SensorUnavailableError(msg, f"Name one of: {listed}.")
    sources = []
    for chip, channel in hits:
        if channel.problem is not None:
            raise _unreadable(channel)
        ruled, domain_name = _place(found, chip, channel)
        scope = ruled.scope if ruled else "its place is as its user says"
        settled = boundary or (ruled.boundary if ruled else "system")
        sources.append(_source(chip, channel, domain_name, settled, scope))
    return sources


def _each(found: Sequence[Chip]) -> list[tuple[Chip, Channel]]:
    return [(chip, channel) for chip in found for channel in chip.channels]


def _place(found: Sequence[Chip], chip: Chip, channel: Channel) -> tuple[Rule | None, str]:
    """The rule for a channel, None where its place is not known, and the name of its domain."""
    ruled = rule(chip.name, channel.label)
    if ruled is None:
        return None, _address(chip, channel)
    return ruled, _name_of(ruled.domain, found, chip, channel)


def _name_of(pattern: str, found: Sequence[Chip], chip: Chip, channel: Channel) -> str:
    """`{n}` is the number in the label, else the chip's among those of its driver, or the GPUs."""
    digits = label_number(chip.name, channel.label)
    names = GPUS if chip.name in GPUS else {chip.name}
    alike = [other for other in found if other.name in names]
    return pattern.format(n=alike.index(chip) if digits is None else digits)


def _boundary(found: Sequence[Chip], channel: Channel) -> Boundary | None:
    chip = next(chip for chip in found if channel in chip.channels)
    ruled = rule(chip.name, channel.label)
    return None if ruled is None or ruled.inside else ruled.boundary


def _address(chip: Chip, channel: Channel) -> str:
    return f"{chip.name}/{channel.label}" if channel.label else chip.name


def _is_battery(chip: Chip) -> bool:
    return bool(number(chip.folder / "power1_is_battery"))


def _source(chip: Chip, channel: Channel, name: str, boundary: Boundary, scope: str) -> _Source:
    counter = channel.energy is not None
    low, high = COUNTER_GAIN if counter else GAUGE_GAIN
    only_average = not counter and channel.power is None and channel.average is not None
    domain = Domain(
        name=name,
        kind="counter" if counter else "gauge",
        boundary=boundary,
        source="hwmon",
        grade="B" if counter else "C",
        device=f"{chip.name} ({chip.entry})",
        max_power_w=channel.limit_w,
        gain_low=low,
        gain_high=high,
        power_window_s=channel.window_s if only_average else None,
        note=scope,
    )
    return _Source(domain, channel, chip.folder if boundary == "accelerator" else None)


def _and(source: _Source, *more: str) -> str:
    return "; ".join(part for part in (source.domain.note, *more) if part)


def _pci(source: _Source) -> str | None:
    return None if source.gpu is None else (source.gpu / "device").resolve().name.lower()


def _with(source: _Source, **changes: Any) -> _Source:
    return source._replace(domain=msgspec.structs.replace(source.domain, **changes))


def _read(source: _Source) -> Reading:
    domain, channel, gpu = source
    before = now_ns()
    try:
        counter_uj = power_uw = None
        if channel.energy is not None:
            counter_uj = int(channel.energy.read_bytes())
        elif channel.power is not None:
            power_uw = int(channel.power.read_bytes())
        elif channel.average is not None:
            power_uw = int(channel.average.read_bytes())
        elif channel.volts is not None and channel.amperes is not None:
            power_uw = int(channel.volts.read_bytes()) * int(channel.amperes.read_bytes())
    except (OSError, ValueError) as error:
        return Reading(domain=domain.name, t_ns=now_ns(), error=str(error))
    t_ns = (before + now_ns()) // 2
    average_uw = None
    if channel.average is not None:
        average_uw = number(channel.average)
    if counter_uj is not None and channel.power is not None:
        power_uw = number(channel.power)
    reading = Reading(
        domain=domain.name,
        t_ns=t_ns,
        counter_j=None if counter_uj is None else counter_uj / 1e6,
        power_w=None if power_uw is None else power_uw / 1e6,
        power_average_w=None if average_uw is None else average_uw / 1e6,
    )
    return reading if gpu is None else _with_state(reading, gpu)


def _with_state(reading: Reading, folder: Path) -> Reading:
    """What a GPU's driver shows beside (amdgpu's names; others lack some, which stay None)."""
    busy = number(folder / "device" / "gpu_busy_percent")
    celsius, hertz = number(folder / "temp1_input"), number(folder / "freq1_input")
    return msgspec.structs.replace(
        reading,
        utilization=None if busy is None else busy / 100,
        memory_bytes=number(folder / "device" / "mem_info_vram_used"),
        temperature_c=None if celsius is None else celsius / 1e3,
        clock_mhz=None if hertz is None else hertz / 1e6,
    )


def _nothing(
    root: Path, unknown: Sequence[str], refused: Sequence[Channel]
) -> SensorUnavailableError:
    if refused:
        return _unreadable(refused[0])
    if unknown:
        msg = f"hwmon shows power of parts whose place is not known: {', '.join(unknown)}."
        mend = f"If you know it, name one: --sensors 'hwmon:{unknown[0]}@system'."
        return SensorUnavailableError(msg, mend)
    msg = f"No chip in {root} tells energy or power." if root.is_dir() else f"{root} is absent."
    return SensorUnavailableError(msg, "See `sensors` (package lm-sensors) for what there is.")


def _unreadable(channel: Channel) -> SensorUnavailableError:
    path = _file(channel)
    if channel.forbidden:
        msg = f"hwmon's {path} is readable by root alone."
        mend = f"If you trust everybody on this machine, run: sudo chmod a+r {path} "
        return SensorUnavailableError(msg, mend + "(until the next boot).")
    msg = f"hwmon's {path} cannot be read: {channel.problem}."
    return SensorUnavailableError(msg, "See `sensors` (package lm-sensors) for what it says.")


def _file(channel: Channel) -> Path | None:
    return channel.energy or channel.power or channel.average or channel.volts
