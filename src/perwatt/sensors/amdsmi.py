"""AMD GPUs through AMD's own `amdsmi` package: the energy accumulator, with power and state beside.

A counter is trusted only after it agreed with the GPU's power for half a second: it stands still in
guests and on some firmware. One that does not is replaced by the power gauge, and the note says so.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Sequence
from typing import Any

import msgspec

from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.amdsmi_gpu import AmdGpu, check_counters
from perwatt.sensors.process_tree import with_descendants

__all__ = ["AmdSmiSensor"]

GAIN = (0.9, 1.1)
"""A judgement: AMD states none. Wider than NVML's, since nobody has published a comparison with a
meter that could be found."""
GAUGE_GAIN = (0.7, 1.3)
"""As for NVML's gauges: what is shorter than their averaging is missed."""

_Kept = dict[str, tuple[AmdGpu, Domain]]


class AmdSmiSensor:
    """Domains `gpu0`, `gpu1` …, by AMD's index. `address`: only these, as in `0,2`."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._wanted: tuple[int, ...] = ()
        self._smi: Any = None
        self._all: _Kept = {}
        self._read: _Kept = {}
        self._twins: dict[str, AmdGpu] = {}
        """Second dies that tell nothing themselves, by the domain their joules are in."""

    def probe(self) -> Sequence[Domain]:
        """Every GPU that tells energy or power. The first call watches the counters for 0.5 s.

        Raises SensorUnavailableError: no package, library, driver or GPU, or none that tells.
        """
        if self._smi is None:
            self._smi = _started()
            try:
                self._all = self._found()
            except BaseException:
                self.close()
                raise
        return self.select(self._wanted)

    def select(self, pids: Sequence[int]) -> Sequence[Domain]:
        """Keep to the GPUs that host these processes or their children; call after `probe`.

        Without pids, or where the driver lists none of them (as in a container), all are kept, and
        each domain's note says that the others are in it.
        """
        self._wanted = tuple(pids)
        kept = self._all
        if pids and len(self._all) > 1:
            wanted = with_descendants(pids)
            hosts = {n: kept for n, kept in self._all.items() if wanted & self._pids(n, kept[0])}
            unmatched = "; which GPU the engine uses could not be told: all are counted"
            kept = hosts or {n: (g, _noted(d, unmatched)) for n, (g, d) in self._all.items()}
        self._read = kept  # at once, since a sampler may be reading
        return [domain for _, domain in kept.values()]

    def read(self) -> Sequence[Reading]:
        readings = (gpu.read(domain.kind == "counter") for gpu, domain in self._read.values())
        return [reading for reading in readings if reading is not None]

    def close(self) -> None:
        if self._smi is not None:
            with contextlib.suppress(self._smi.AmdSmiException):
                self._smi.amdsmi_shut_down()
            self._smi, self._all, self._read, self._twins = None, {}, {}, {}

    def _found(self) -> _Kept:
        try:
            handles = self._smi.amdsmi_get_processor_handles()
        except self._smi.AmdSmiException as error:
            msg = f"AMD's driver lists no GPU: {' '.join(str(error).split())}."
            raise SensorUnavailableError(msg, "See that `amd-smi list` works.") from None
        gpus = [AmdGpu(self._smi, handle, index) for index, handle in enumerate(handles)]
        gpus = _asked(gpus, self._address)
        faults = check_counters(gpus)
        found: _Kept = {}
        silent: list[AmdGpu] = []
        for gpu in gpus:
            fault = faults[gpu.domain]
            if fault is not None and gpu.power_w() is None:
                silent.append(gpu)
            else:
                found[gpu.domain] = (gpu, _domain(gpu, fault))
        for gpu in silent:
            # An MI250 card is two GPUs, of which one tells the joules of both.
            twin = f"gpu{gpu.index ^ 1}"
            if "MI25" in gpu.name and twin in found:
                self._twins[twin] = gpu
                first, domain = found[twin]
                found[twin] = (first, _noted(domain, f"; both dies: those of {gpu.domain} too"))
        if not found:
            msg = "No AMD GPU here tells its energy or power."
            raise SensorUnavailableError(msg, "See `amd-smi metric --power --energy`.")
        return found

    def _pids(self, name: str, gpu: AmdGpu) -> set[int]:
        twin = self._twins.get(name)
        return gpu.pids() | (twin.pids() if twin is not None else set())


def _asked(gpus: list[AmdGpu], address: str | None) -> list[AmdGpu]:
    if not gpus:
        msg = "AMD's driver is here, but no GPU."
        mend = "In a container, start it with --device /dev/kfd --device /dev/dri."
        raise SensorUnavailableError(msg, mend)
    if not address:
        return gpus
    wanted = [part.strip() for part in address.split(",")]
    known = {str(gpu.index): gpu for gpu in gpus}
    unknown = [part for part in wanted if part not in known]
    if unknown:
        msg = f"amdsmi:{address} names the GPU {unknown[0]!r}."
        raise SensorUnavailableError(msg, f"There are: {', '.join(known)}.")
    return [known[part] for part in dict.fromkeys(wanted)]


def _domain(gpu: AmdGpu, fault: str | None) -> Domain:
    limit_w = gpu.limit_w()
    low, high = GAIN if fault is None else GAUGE_GAIN
    note = "the GPU's socket with its memory; not the host"
    if "MI300A" in gpu.name:
        note = "the whole APU: CPU cores, GPU and memory"
    if fault is not None:
        note += f"; read as a power gauge, for {fault}"
    return Domain(
        name=gpu.domain,
        kind="counter" if fault is None else "gauge",
        boundary="accelerator",
        source="amdsmi",
        grade="B" if fault is None else "C",
        device=gpu.name,
        max_power_w=limit_w,
        gain_low=low,
        gain_high=high,
        note=note,
    )


def _started() -> Any:
    said = io.StringIO()  # the package prints its troubles to stdout, which is for data
    try:
        with contextlib.redirect_stdout(said):
            smi = importlib.import_module("amdsmi")
    except ModuleNotFoundError:
        msg = "AMD GPUs cannot be read: the package amdsmi is not installed."
        raise SensorUnavailableError(msg, "Run: pip install 'perwatt[amd]'") from None
    except (KeyError, OSError):
        msg = "No AMD GPU library here: libamd_smi.so is absent."
        mend = "Install ROCm's amd-smi-lib, or set ROCM_PATH to where ROCm is."
        raise SensorUnavailableError(msg, mend) from None
    except AttributeError as error:
        msg = f"The package amdsmi does not fit the ROCm installed here: {error}."
        mend = "Run: pip install /opt/rocm/share/amd_smi"
        raise SensorUnavailableError(msg, mend) from None
    try:
        smi.amdsmi_init(smi.AmdSmiInitFlags.INIT_AMD_GPUS)
    except smi.AmdSmiException as error:
        msg = f"AMD's driver amdgpu does not answer: {' '.join(str(error).split())}."
        mend = (
            "See that `amd-smi list` works; a container needs --device /dev/kfd --device /dev/dri."
        )
        raise SensorUnavailableError(msg, mend) from None
    return smi


def _noted(domain: Domain, more: str) -> Domain:
    return msgspec.structs.replace(domain, note=f"{domain.note or ''}{more}")
