"""NVIDIA GPUs through NVML (`nvidia-ml-py`): the energy counter, with power and state beside it.

`nvmlDeviceGetTotalEnergyConsumption` counts millijoules since the driver was loaded (Volta and
newer); GPUs without it give `nvmlDeviceGetPowerUsage`, a gauge that newer parts average over 1 s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from perwatt.core.clock import now_ns
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.process_tree import with_descendants

__all__ = ["NvmlSensor"]

GAIN = (0.95, 1.05)
"""NVML documents ±5%, for the power of Fermi and Kepler alone; it is taken over for want of any
figure for the counters of newer parts."""
GAUGE_GAIN = (0.7, 1.3)
"""A judgement: gauges averaged over 1 s, or that look a quarter of the time (arXiv 2312.02741),
miss what is shorter."""


class NvmlSensor:
    """Domains `gpu0`, `gpu1` …, by NVML's index. `pids`: only GPUs that host these processes."""

    def __init__(self, pids: Sequence[int] = ()) -> None:
        self._pids = tuple(pids)
        self._nvml: Any = None
        self._all: dict[str, tuple[Any, Domain]] = {}
        self._read: dict[str, tuple[Any, Domain]] = {}

    def probe(self) -> Sequence[Domain]:
        """Every GPU whose energy or power can be read, or those of `pids`.

        Raises SensorUnavailableError: no library, no driver, no GPU, or none that tells its power.
        """
        if self._nvml is None:
            self._nvml = _started()
            self._all = self._found()
        if not self._all:
            msg = "No NVIDIA GPU here tells its energy or power."
            self.close()
            raise SensorUnavailableError(msg, "See `nvidia-smi -q -d POWER` for what it offers.")
        return self.select(self._pids)

    def select(self, pids: Sequence[int]) -> Sequence[Domain]:
        """Keep to the GPUs that host these processes or their children; call after `probe`.

        Without pids, or where the driver lists none of them (as in a container, whose process ids
        are not the host's), all are kept, and each domain's note says that the others are in it.
        """
        self._pids = tuple(pids)
        kept = self._all
        if pids and len(self._all) > 1:
            wanted = with_descendants(pids)
            hosts = {n: g for n, g in self._all.items() if wanted & self._processes(g[0])}
            unmatched = "; which GPU the engine uses could not be told: all are counted"
            kept = hosts or {n: (h, _noted(d, unmatched)) for n, (h, d) in self._all.items()}
        self._read = kept  # at once, since a sampler may be reading
        return [domain for _, domain in self._read.values()]

    def read(self) -> Sequence[Reading]:
        return [self._reading(handle, domain) for handle, domain in self._read.values()]

    def close(self) -> None:
        if self._nvml is not None:
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
            self._nvml, self._all, self._read = None, {}, {}

    def _found(self) -> dict[str, tuple[Any, Domain]]:
        nvml = self._nvml
        found = {}
        for index in range(nvml.nvmlDeviceGetCount()):
            with suppress(nvml.NVMLError):
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                domain = self._domain(index, handle)
                if domain is not None:
                    found[domain.name] = (handle, domain)
        return found

    def _domain(self, index: int, handle: Any) -> Domain | None:
        nvml = self._nvml
        counter = self._ask(nvml.nvmlDeviceGetTotalEnergyConsumption, handle) is not None
        if not counter and self._ask(nvml.nvmlDeviceGetPowerUsage, handle) is None:
            return None
        name = self._ask(nvml.nvmlDeviceGetName, handle) or "NVIDIA GPU"
        limit_mw = self._ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        gain = GAIN if counter else GAUGE_GAIN
        note = "the board with its memory; not the host"
        if "GH200" in name or "GB200" in name:
            note = "the whole module: CPU, GPU and memory"
        mode = self._ask(nvml.nvmlDeviceGetMigMode, handle)
        if mode and mode[0]:
            note += "; MIG is on, and every slice's work is in it"
        return Domain(
            name=f"gpu{index}",
            kind="counter" if counter else "gauge",
            boundary="accelerator",
            source="nvml",
            grade="B" if counter else "C",
            device=name,
            max_power_w=limit_mw / 1e3 if limit_mw else None,
            gain_low=gain[0],
            gain_high=gain[1],
            note=note,
        )

    def _reading(self, handle: Any, domain: Domain) -> Reading:
        nvml = self._nvml
        counter = domain.kind == "counter"
        energy_mj: int | None = None
        before = now_ns()
        try:
            # The counter alone between the marks: what follows would blur its time.
            if counter:
                energy_mj = nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            else:
                power_mw = nvml.nvmlDeviceGetPowerUsage(handle)
        except nvml.NVMLError as error:
            return Reading(domain=domain.name, t_ns=now_ns(), error=str(error))
        t_ns = (before + now_ns()) // 2
        if counter:
            power_mw = self._ask(nvml.nvmlDeviceGetPowerUsage, handle)
        utilization = self._ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        return Reading(
            domain=domain.name,
            t_ns=t_ns,
            counter_j=None if energy_mj is None else energy_mj / 1e3,
            power_w=None if power_mw is None else power_mw / 1e3,
            utilization=None if utilization is None else utilization.gpu / 100,
            memory_bytes=None if memory is None else int(memory.used),
            temperature_c=self._ask(nvml.nvmlDeviceGetTemperature, handle, 0),
            clock_mhz=self._ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
        )

    def _processes(self, handle: Any) -> set[int]:
        nvml = self._nvml
        asks = (
            nvml.nvmlDeviceGetComputeRunningProcesses,
            nvml.nvmlDeviceGetGraphicsRunningProcesses,
        )
        return {int(process.pid) for ask in asks for process in self._ask(ask, handle) or ()}

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """None where this GPU or driver does not offer it."""
        try:
            return function(*arguments)
        except (self._nvml.NVMLError, self._nvml.NVMLLibraryMismatchError):
            return None


def _started() -> Any:
    try:
        import pynvml
    except ImportError:
        msg = "NVIDIA GPUs cannot be read: the package nvidia-ml-py is not installed."
        raise SensorUnavailableError(msg, "Run: pip install 'perwatt[nvidia]'") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
            msg = "No NVIDIA driver here: libnvidia-ml.so.1 is absent."
            mend = "Install the driver; in a container, start it with --gpus all."
        else:
            msg = f"The NVIDIA driver does not answer: {error}."
            mend = "See that `nvidia-smi` works."
        raise SensorUnavailableError(msg, mend) from None
    if pynvml.nvmlDeviceGetCount() == 0:
        pynvml.nvmlShutdown()
        msg = "The NVIDIA driver is here, but no GPU."
        raise SensorUnavailableError(msg, "In a container, start it with --gpus all.")
    return pynvml


def _noted(domain: Domain, more: str) -> Domain:
    return msgspec.structs.replace(domain, note=f"{domain.note or ''}{more}")
