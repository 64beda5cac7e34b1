"""One NVIDIA GPU: what it offers, found once, and a reading of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from perwatt.core.clock import now_ns
from perwatt.core.records import Domain, Reading
from perwatt.sensors.nvml_driver import ask
from perwatt.sensors.nvml_fields import (
    SCOPE_GPU,
    SCOPE_MODULE,
    Power,
    field_ids,
    is_superchip,
    power_now,
    throttle_names,
    usage_window_s,
)

__all__ = ["NvmlDevice", "found"]

GAIN = (0.95, 1.05)
"""NVML documents ±5%, for the power of Fermi and Kepler alone; it is taken over for want of any
figure for the counters of newer parts."""
GAUGE_GAIN = (0.7, 1.3)
"""A judgement: gauges averaged over 1 s, or that look a quarter of the time (arXiv 2312.02741),
miss what is shorter."""
POWER_NS = 40_000_000
"""Beside a counter power is a witness, and is itself renewed every 20 to 100 ms on the parts known.
Asking at each of 100 reads a second costs half as much again (benchmarks/observer_cost.py)."""
STATE_NS = 200_000_000
"""Utilization, clock and throttling are asked for so often: the driver itself renews utilization
every 1/6 to 1 s (nvml.h, nvmlUtilization_t)."""
SLOW_NS = 1_000_000_000
"""Memory, temperature and limit."""


def found(nvml: Any) -> list[NvmlDevice]:
    """Every GPU that tells its energy or its power, by NVML's index."""
    devices = []
    for index in range(nvml.nvmlDeviceGetCount()):
        with suppress(nvml.NVMLError):
            device = NvmlDevice(nvml, index)
            if device.energy_j() is not None or device.power().instant_w is not None:
                devices.append(device)
    return devices


PART_TIME = {"A100": 0.25, "H100": 0.25}
"""Share of the time in which these look at their power (arXiv 2312.02741, abstract). Whether the
counter is made of the same looks is not known, so intervals allow for it."""


class NvmlDevice:
    """A GPU by NVML's index. Raises nvml.NVMLError where the driver has lost it."""

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self.index = index
        self.handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self.product: str = ask(nvml, nvml.nvmlDeviceGetName, self.handle) or "NVIDIA GPU"
        self.uuid: str = ask(nvml, nvml.nvmlDeviceGetUUID, self.handle) or ""
        mode = ask(nvml, nvml.nvmlDeviceGetMigMode, self.handle)
        self.mig = bool(mode and mode[0])
        self._superchip = is_superchip(nvml, self.handle, self.product)
        self._fields = self._offered()
        self._state: dict[str, Any] = {}
        self._slow: dict[str, Any] = {}
        self._power = Power(None, None)
        self._due_ns: dict[int, int] = {}

    def domain(self, broken_counter: str | None = None) -> Domain:
        """As a counter where there is one and nothing is wrong with it, else as a gauge."""
        counter = broken_counter is None and self.energy_j() is not None
        gain = GAIN if counter else GAUGE_GAIN
        return Domain(
            name=f"gpu{self.index}",
            kind="counter" if counter else "gauge",
            boundary="accelerator",
            source="nvml",
            grade="B" if counter else "C",
            device=self.product,
            max_power_w=self._limit_w(),
            gain_low=gain[0],
            gain_high=gain[1],
            duty=next((duty for part, duty in PART_TIME.items() if part in self.product), None),
            power_window_s=self._window_s(),
            note="; ".join(filter(None, [*self._scope(), broken_counter])),
        )

    def read(self, domain: Domain) -> Reading:
        """A reading as a counter or as a gauge, as `domain` says. Never raises an NVMLError.

        What the joules do not come from is up to `POWER_NS`, `STATE_NS` or `SLOW_NS` old.
        """
        nvml = self._nvml
        energy_mj: int | None = None
        before = now_ns()
        try:
            # What the joules come from, alone between the marks: all else would blur its time.
            if domain.kind == "counter":
                energy_mj = nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)
            else:
                self._power = self._ask_power()
        except nvml.NVMLError as error:
            return Reading(domain=domain.name, t_ns=now_ns(), error=str(error))
        after = now_ns()
        if energy_mj is not None and self._is_due(POWER_NS, after):
            self._power = self.power()
        self._renew(after)
        return Reading(
            domain=domain.name,
            t_ns=(before + after) // 2,
            counter_j=None if energy_mj is None else energy_mj / 1e3,
            power_w=self._power.instant_w,
            power_average_w=self._power.average_w,
            **self._state,
            **self._slow,
        )

    def energy_j(self) -> float | None:
        """The counter now; None where the GPU has none."""
        nvml = self._nvml
        energy_mj = ask(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, self.handle)
        return None if energy_mj is None else energy_mj / 1e3

    def power(self) -> Power:
        """The power now, None and None where it cannot be read."""
        try:
            return self._ask_power()
        except self._nvml.NVMLError:
            return Power(None, None)

    def placed(self) -> set[tuple[int, int | None]]:
        """The processes on it: (process id, MIG instance or None)."""
        nvml = self._nvml
        asks = (
            nvml.nvmlDeviceGetComputeRunningProcesses,
            nvml.nvmlDeviceGetGraphicsRunningProcesses,
        )
        return {
            (int(process.pid), process.gpuInstanceId if self.mig else None)
            for each in asks
            for process in ask(nvml, each, self.handle) or ()
        }

    def _ask_power(self) -> Power:
        nvml = self._nvml
        if self._fields is not None:
            power = power_now(nvml, self.handle, self._fields)
            if power.instant_w is not None:
                return power
            return power._replace(instant_w=nvml.nvmlDeviceGetPowerUsage(self.handle) / 1e3)
        return Power(nvml.nvmlDeviceGetPowerUsage(self.handle) / 1e3, None)

    def _offered(self) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """The power fields this GPU has: of the module where the counter covers that."""
        for scope in (SCOPE_MODULE, SCOPE_GPU) if self._superchip else (SCOPE_GPU,):
            fields = field_ids(self._nvml, scope)
            power = ask(self._nvml, power_now, self._nvml, self.handle, fields)
            # 0 W of a module is no module's power; of a GPU it may be one that is off.
            if power is None or power == Power(None, None):
                continue
            if scope == SCOPE_GPU or any(power):
                return fields
        return None

    def _window_s(self) -> float | None:
        nvml = self._nvml
        if self._fields is not None:
            power = ask(nvml, power_now, nvml, self.handle, self._fields)
            if power is not None and power.instant_w is not None:
                return None
        architecture = ask(nvml, nvml.nvmlDeviceGetArchitecture, self.handle)
        return usage_window_s(architecture, self.product)

    def _limit_w(self) -> float | None:
        """What it may draw at most. A superchip's limit is of its GPU alone: not a bound."""
        nvml = self._nvml
        if self._superchip:
            return None
        limit_mw = ask(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, self.handle)
        return limit_mw / 1e3 if limit_mw else None

    def _scope(self) -> list[str]:
        scope = ["the board with its memory; not the host"]
        if self._superchip:
            scope = ["the whole module: CPU, GPU and memory"]
            if self._fields is None or self._fields[0][1] == SCOPE_GPU:
                scope.append("its power reading may be of the GPU alone")
        if self.mig:
            scope.append("MIG is on, and every slice's work is in it")
        return scope

    def _is_due(self, period_ns: int, at_ns: int) -> bool:
        """Is it so long since this was last asked? Then it counts as asked now."""
        due_ns = self._due_ns.get(period_ns, at_ns)
        # A clock that was put back must not keep old values for ever.
        if due_ns - period_ns <= at_ns < due_ns:
            return False
        self._due_ns[period_ns] = at_ns + period_ns
        return True

    def _renew(self, at_ns: int) -> None:
        """Ask again for what changes slowly, where that is due."""
        nvml, handle = self._nvml, self.handle
        if self._is_due(STATE_NS, at_ns):
            busy = ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
            bits = ask(nvml, nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
            if bits is None:  # its name before driver 535
                bits = ask(nvml, nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
            self._state = {
                "utilization": None if busy is None else busy.gpu / 100,
                "clock_mhz": ask(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
                "throttle": throttle_names(bits or 0),
            }
        if self._is_due(SLOW_NS, at_ns):
            memory = ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
            limit_mw = ask(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
            self._slow = {
                "memory_bytes": None if memory is None else int(memory.used),
                "temperature_c": ask(
                    nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU
                ),
                "power_limit_w": None if limit_mw is None else limit_mw / 1e3,
            }
