"""One AMD GPU through the `amdsmi` package: its counter checked, its readings, its state.

The accumulator counts ticks of 15.3 µJ on the parts so far (`counter_resolution`, µJ), and comes
with the time at which the firmware's table was taken, in nanoseconds since boot.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

from perwatt.core.clock import now_ns
from perwatt.core.records import Reading

__all__ = ["CHECK_S", "AmdGpu", "check_counters", "counter_fault"]

CHECK_S = 0.5
"""As zeus does (ml-energy/zeus at 75a8b939): long enough for a few updates of either source."""
AGREES = (0.5, 2.0)
"""Counter over power: a running mean may be off so far while the load changes. The faults on
record (ROCm/amdsmi issues 22 and 38) are a counter that stands still or is off by far more."""
FRESH_NS = 1_000_000_000
"""A table older than this is no longer taken for the newest: the counter stands still."""
SLACK_NS = 1_000_000
"""Between two clocks read one after the other."""
STATE_NS = 500_000_000
"""The state table costs 0.3 ms of Python a read, so it is read twice a second."""

THROTTLES = {
    "ppt_residency_acc": "sw-power-cap",
    "prochot_residency_acc": "hw-slowdown",
    "socket_thm_residency_acc": "hw-thermal",
    "vr_thm_residency_acc": "hw-thermal",
    "hbm_thm_residency_acc": "hw-thermal",
}
"""Time spent held down by each, counted by MI300 and newer (ROCm 6.3 change log)."""


class _Energy(NamedTuple):
    joules: float
    boot_ns: int
    """When the firmware's table was taken, on CLOCK_BOOTTIME."""


class _BootOffset(NamedTuple):
    """How far the boot clock is ahead of ours."""

    ns: int
    slack_ns: int
    """How long looking at both took: the offset is no surer."""


class _State(NamedTuple):
    utilization: float | None = None
    memory_bytes: int | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    power_limit_w: float | None = None
    throttle: tuple[str, ...] = ()


class AmdGpu:
    """`smi`: the started package; `handle`: its handle of this GPU."""

    def __init__(self, smi: Any, handle: Any, index: int) -> None:
        self._smi = smi
        self._handle = handle
        self.index = index
        self.domain = f"gpu{index}"
        self.name: str = (self._ask("amdsmi_get_gpu_asic_info") or {}).get("market_name", "AMD GPU")
        self._last_boot_ns: int | None = None
        self._boot_offset: _BootOffset | None = None
        self._residency: dict[str, int] = {}
        self._state = _State()
        self._state_ns: int | None = None

    def energy(self) -> _Energy | None:
        """The counter; None where this GPU, or a guest, has none."""
        shown = self._ask("amdsmi_get_energy_count")
        return None if shown is None else _energy(shown)

    def power_w(self) -> float | None:
        """Watts of the socket; None where it tells none, or 0 as a second die does."""
        return _watts(self._ask("amdsmi_get_power_info") or {})

    def limit_w(self) -> float | None:
        """The power cap."""
        cap = _number((self._ask("amdsmi_get_power_cap_info") or {}).get("power_cap"))
        if not cap:
            return None
        return cap / 1e6 if cap > 1e5 else cap  # microwatts, or watts, by version

    def pids(self) -> set[int]:
        """Processes on it, as far as this user may see them."""
        listed = self._ask("amdsmi_get_gpu_process_list") or []
        return {int(process["pid"]) for process in listed if process.get("pid")}

    def read(self, counter: bool) -> Reading | None:
        """A reading; None when the counter's table is still the one read before."""
        smi = self._smi
        before = now_ns()
        try:
            if counter:
                energy = _energy(smi.amdsmi_get_energy_count(self._handle))
            else:
                power_w = _watts(smi.amdsmi_get_power_info(self._handle))
        except (smi.AmdSmiException, KeyError, TypeError, ValueError) as error:
            return Reading(domain=self.domain, t_ns=now_ns(), error=_sentence(error))
        after = now_ns()
        t_ns = (before + after) // 2
        if counter:
            self._boot_offset = offset = _boot_offset(self._boot_offset)
            dated = energy.boot_ns - offset.ns
            fresh = after - FRESH_NS <= dated <= after + SLACK_NS
            if fresh and energy.boot_ns == self._last_boot_ns:
                return None
            self._last_boot_ns = energy.boot_ns
            t_ns = min(dated, after) if fresh else t_ns
            power_w = self.power_w()
        elif power_w is None:
            return Reading(domain=self.domain, t_ns=t_ns, error="it tells no power")
        if self._state_ns is None or after - self._state_ns >= STATE_NS:
            self._state, self._state_ns = self._read_state(), after
        return Reading(
            domain=self.domain,
            t_ns=t_ns,
            counter_j=energy.joules if counter else None,
            power_w=power_w,
            **self._state._asdict(),
        )

    def _read_state(self) -> _State:
        table = self._ask("amdsmi_get_gpu_metrics_info") or {}
        busy = _number(table.get("average_gfx_activity"))
        vram = _number((self._ask("amdsmi_get_gpu_vram_usage") or {}).get("vram_used"))
        clock = _number(table.get("current_gfxclk"))
        if clock is None:
            clocks = [_number(value) for value in table.get("current_gfxclks") or ()]
            clock = next((value for value in clocks if value is not None), None)
        return _State(
            utilization=None if busy is None else busy / 100,
            memory_bytes=None if vram is None else int(vram) * 2**20,  # told in MiB
            temperature_c=_number(table.get("temperature_hotspot")),
            clock_mhz=clock,
            power_limit_w=self.limit_w(),
            throttle=self._throttle(table),
        )

    def _throttle(self, table: dict[str, Any]) -> tuple[str, ...]:
        """By which residencies grew since the last look; else one word for any of them."""
        before = self._residency
        now = {name: table.get(name) for name in THROTTLES}
        self._residency = {name: value for name, value in now.items() if isinstance(value, int)}
        if not self._residency:
            return ("throttled",) if table.get("indep_throttle_status") is True else ()
        grown = [name for name, value in self._residency.items() if value > before.get(name, value)]
        return tuple(dict.fromkeys(THROTTLES[name] for name in grown))

    def _ask(self, function: str) -> Any:
        """None where this GPU, driver or version does not offer it."""
        try:
            return getattr(self._smi, function)(self._handle)
        except (self._smi.AmdSmiException, AttributeError, KeyError, TypeError, ValueError):
            return None


def check_counters(gpus: Sequence[AmdGpu], seconds: float = CHECK_S) -> dict[str, str | None]:
    """By domain why its counter is not to be used; None: it agrees with the power. Takes `seconds`.

    All GPUs are watched at once.
    """
    first = {gpu.domain: gpu.energy() for gpu in gpus}
    watts: dict[str, list[float]] = {gpu.domain: [] for gpu in gpus}
    end_ns = now_ns() + round(seconds * 1e9)
    while now_ns() < end_ns:
        for gpu in gpus:
            power_w = gpu.power_w()
            if power_w is not None:
                watts[gpu.domain].append(power_w)
        time.sleep(0.02)
    faults = {}
    for gpu in gpus:
        one, two, seen = first[gpu.domain], gpu.energy(), watts[gpu.domain]
        counter_w = None
        if one is not None and two is not None:
            # Where the date stands still, so does the counter.
            spent_s = (two.boot_ns - one.boot_ns) / 1e9
            counter_w = (two.joules - one.joules) / spent_s if spent_s > 0 else 0.0
        faults[gpu.domain] = counter_fault(counter_w, fmean(seen) if seen else None)
    return faults


def counter_fault(counter_w: float | None, power_w: float | None) -> str | None:
    """Why a counter is not to be used, from its watts and the gauge's (None: it tells none)."""
    if counter_w is None:
        return "it has no energy counter, as in virtual machines"
    if counter_w <= 0:
        return "its energy counter stands still"
    if power_w is None:
        return None
    if not AGREES[0] <= counter_w / power_w <= AGREES[1]:
        return f"its energy counter said {counter_w:.3g} W while its power was {power_w:.3g} W"
    return None


def _energy(shown: dict[str, Any]) -> _Energy:
    ticks = shown.get("energy_accumulator", shown.get("power"))  # `power` before ROCm 6.4
    return _Energy(int(ticks or 0) * shown["counter_resolution"] / 1e6, int(shown["timestamp"]))


def _watts(info: dict[str, Any]) -> float | None:
    names = ("current_socket_power", "average_socket_power", "socket_power")
    values = (_number(info.get(name)) for name in names)
    return next((value for value in values if value), None)


def _number(value: Any) -> float | None:
    """A number; None for "N/A" and for the all-ones that older versions let through."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if value in {0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF} else value


def _boot_offset(known: _BootOffset | None) -> _BootOffset:
    """Of three looks the quickest, since a thread may be held up in one.

    `known` stays unless they contradict it, as they do after the machine slept: a new offset for
    every table would move them against each other, and one be dated before its predecessor.
    """
    looks = []
    for _ in range(3):
        before = now_ns()
        boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        after = now_ns()
        looks.append(_BootOffset(boot - (before + after) // 2, after - before))
    new = min(looks, key=lambda look: look.slack_ns)
    if known is not None and abs(new.ns - known.ns) <= new.slack_ns + known.slack_ns:
        return known
    return new


def _sentence(error: Exception) -> str:
    text = getattr(error, "err_info", None) or str(error)
    return " ".join(str(text).split())
