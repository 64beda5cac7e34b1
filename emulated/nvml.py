"""NVIDIA GPUs of known joules behind a library with NVML's symbols, loaded by the real pynvml.

    path = tmp_path / "nvml"
    write_state(path, [EmulatedGpu(knots_t_ns, knots_j, tick_s=0.1, duty=0.25)])
    subprocess.run(command, env={**os.environ, **environment(path)})  # or: attach(path)

The library looks at the state at every call, so `write_state` again changes what a process that
has it loaded sees next. Its time is the CLOCK_MONOTONIC of the process that asks, hence virtual
under `emulated.clock`. nvml.c is the behaviour, nvml_state.h the layout of the file.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emulated.build import NoCompilerError, shared_library

__all__ = [
    "FOREVER_NS",
    "EmulatedGpu",
    "Fault",
    "NoCompilerError",
    "Throttle",
    "attach",
    "environment",
    "library",
    "sensed",
    "write_state",
]

FOREVER_NS = 2**63 - 1
SONAME = "libnvidia-ml.so.1"
MAGIC = 0x314C4D564E575045
HEADER = struct.Struct("=4q d")
PAGE = struct.Struct("=2q")
GPU = struct.Struct("=96s96s 16q 6d 15q 6q")
MOST_GPUS, MOST_SLICES = 64, 7
GPU_IS_LOST = 15

KINDS = ("reset", "step", "frozen", "dropout", "zero", "absurd", "power-zero", "hang")
FaultKind = Literal["reset", "step", "frozen", "dropout", "zero", "absurd", "power-zero", "hang"]
Curve = float | Sequence[tuple[int, float]]
"""A value that holds, or (t_ns, value) knots: linear between, level outside."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a GPU in [from_ns, to_ns).

    reset       the counter starts again from 0 at `from_ns`
    step        `value` joules are added to it from `from_ns` on: below 0 it steps back
    frozen      it stands still, and catches up at `to_ns`
    zero        it reads 0, with success
    absurd      it reads `value` joules
    power-zero  every power reading is 0 W, with success
    dropout     every call gives the NVML error `value`; None: 15, the GPU is lost
    hang        every call takes `value` seconds
    """

    kind: FaultKind
    from_ns: int
    to_ns: int = FOREVER_NS
    value: float | None = None
    """Of step, absurd and hang, which need one, and of dropout."""


@dataclass(frozen=True)
class Throttle:
    """Clocks event reasons (`nvmlClocksEventReason…` bits) that hold in [from_ns, to_ns)."""

    bits: int
    from_ns: int = -FOREVER_NS
    to_ns: int = FOREVER_NS


@dataclass(frozen=True, eq=False)
class EmulatedGpu:
    """One GPU: its truth, how its counter and power fields show it, what goes wrong with it."""

    knots_t_ns: Sequence[int] | NDArray[np.int64] = (0,)
    knots_j: Sequence[float] | NDArray[np.float64] = (0.0,)
    """True cumulative joules at `knots_t_ns`, both rising: linear between, level outside."""
    tick_s: float = 0.1
    """The counter moves only at multiples of this, counted from `phase_s`. 0: continuously."""
    phase_s: float = 0.0
    lag_s: float = 0.0
    """Counter and power fields show the joules of so long before their tick."""
    gain: float = 1.0
    """Counted over true joules."""
    duty: float = 1.0
    """Share of each period in which power is truly sampled (25% on A100 and H100, arXiv
    2312.02741): the counter moves on by the sampled mean power × the whole period."""
    duty_period_s: float = 0.1
    """Periods begin at multiples of it, counted from `phase_s`, with the part that is sampled."""
    power_gain: float | None = None
    """Shown over true watts. None: `gain`."""
    power_tick_s: float = 0.02
    """The power fields are renewed at multiples of this."""
    instant_window_s: float = 0.01
    average_window_s: float = 1.0
    usage_is_average: bool = True
    """nvmlDeviceGetPowerUsage is the running mean (Ampere and newer, but GA100)."""
    has_counter: bool = True
    has_instant: bool = True
    has_average: bool = True
    quantum_j: float = 0.001
    start_j: float = 1000.0
    """What the counter shows when its truth is 0 J."""
    wrap_j: float | None = None
    """It starts again from 0 here. None: never."""
    host_w: float | None = None
    """A superchip: the knots are of the whole module, which the counter counts; the power fields
    of GPU scope are lower by this, and those of module scope exist."""
    name: str = "NVIDIA H100 80GB HBM3"
    uuid: str | None = None
    """None: made from its index."""
    architecture: int = 9
    """NVML_DEVICE_ARCH_…: 7 Ampere, 9 Hopper, 10 Blackwell."""
    power_limit_w: float = 700.0
    processes: Sequence[int | tuple[int, int]] = ()
    """Process ids, each alone or with the index of the MIG slice it runs on."""
    mig: bool | None = None
    """None: the GPU has no MIG mode."""
    mig_slices: int = 0
    temperature_c: Curve = 41.0
    utilization: Curve = 0.37
    """Share, 0 to 1."""
    memory_bytes: Curve = 1_234_567_890.0
    memory_total_bytes: int = 80_000_000_000
    clock_mhz: Curve = 1755.0
    throttle: Sequence[Throttle] = ()
    faults: Sequence[Fault] = ()
    read_cost_s: float = 0.0
    """CPU time that each call takes."""


def library() -> Path:
    """The compiled library. Raises NoCompilerError."""
    here = Path(__file__).parent
    return shared_library(SONAME, [here / "nvml.c", here / "nvml_state.h"])


def environment(path: Path) -> dict[str, str]:
    """What to set in a child process's environment so that its pynvml sees the state at `path`."""
    folders = [str(library().parent), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {"EMULATED_NVML": str(path), "LD_LIBRARY_PATH": ":".join(folders)}


def attach(path: Path) -> None:
    """Let this process's pynvml see the state at `path`, from its next nvmlInit on.

    The library is loaded under NVML's own SONAME, which the loader then finds for pynvml. Call
    before pynvml loads another one, and again for another path.
    """
    os.environ["EMULATED_NVML"] = str(path)
    ctypes.CDLL(str(library()), mode=ctypes.RTLD_GLOBAL)


def sensed(gpu: EmulatedGpu) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What the GPU's own meter makes of its truth before gain: times (m,), cumulative joules (m,).

    The truth itself at a duty of 1. Else one knot for each period's edge, where the joules move on
    by the mean power over the first `duty` of the period × the period.
    """
    t = np.asarray(gpu.knots_t_ns, dtype=np.int64)
    joules = np.asarray(gpu.knots_j, dtype=np.float64)
    if len(t) != len(joules) or not len(t):
        msg = f"knots_t_ns and knots_j must be as long, and not empty: {len(t)}, {len(joules)}"
        raise ValueError(msg)
    if np.any(np.diff(t) <= 0) or np.any(np.diff(joules) < 0) or not np.all(np.isfinite(joules)):
        msg = "knots_t_ns must rise, and knots_j must be finite and never fall"
        raise ValueError(msg)
    if not 0 < gpu.duty <= 1:
        msg = f"duty must be above 0 and at most 1, got {gpu.duty}"
        raise ValueError(msg)
    if gpu.duty == 1 or len(t) == 1:
        return t, joules
    period = round(gpu.duty_period_s * 1e9)
    phase = round(gpu.phase_s * 1e9)
    first = (int(t[0]) - phase) // period * period + phase
    edges = np.arange(first, int(t[-1]) + 2 * period, period, dtype=np.int64)
    begun = np.interp(edges - t[0], t - t[0], joules)
    looked = np.interp(edges + round(gpu.duty * period) - t[0], t - t[0], joules)
    moved = (looked - begun)[:-1] / gpu.duty
    return edges, joules[0] + np.concatenate([[0.0], np.cumsum(moved)])


def write_state(
    path: Path, gpus: Sequence[EmulatedGpu], *, init_error: int = 0, init_hang_s: float = 0.0
) -> None:
    """Make `gpus` what the library shows, at once, to every process that looks at `path`.

    `init_error`: nvmlInit gives this NVML error. `init_hang_s`: and takes so long to do it.
    """
    if len(gpus) > MOST_GPUS:
        msg = f"at most {MOST_GPUS} GPUs, got {len(gpus)}"
        raise ValueError(msg)
    old = PAGE.unpack(path.read_bytes()[: PAGE.size])[1] if path.exists() else 0
    body = _State(HEADER.size + GPU.size * len(gpus))
    records = [_packed(body, index, gpu) for index, gpu in enumerate(gpus)]
    size = body.end
    header = HEADER.pack(MAGIC, size, len(gpus), init_error, init_hang_s)
    _state_file(path, old + 1).write_bytes(b"".join([header, *records, *body.parts]))
    if old:
        with path.open("r+b") as file, mmap.mmap(file.fileno(), PAGE.size) as page:
            page[8:16] = struct.pack("=q", old + 1)  # one aligned word: seen whole
        _state_file(path, old).unlink(missing_ok=True)  # who has it mapped keeps it
    else:
        path.write_bytes(PAGE.pack(MAGIC, old + 1))


def _state_file(path: Path, generation: int) -> Path:
    return path.with_name(f"{path.name}.{generation}")


class _State:
    """The arrays behind the fixed records, and where the next one will lie."""

    def __init__(self, begin: int) -> None:
        self.end = begin
        self.parts: list[bytes] = []

    def add(self, data: bytes) -> int:
        at = self.end
        self.parts.append(data)
        self.end += len(data)
        return at

    def curve(self, t_ns: NDArray[np.int64], value: NDArray[np.float64]) -> tuple[int, int, int]:
        return len(t_ns), self.add(t_ns.tobytes()), self.add(value.tobytes())


def _value(fault: Fault) -> float:
    if fault.value is not None:
        return fault.value
    if fault.kind in ("step", "absurd", "hang"):
        msg = f"the fault {fault.kind!r} needs a value"
        raise ValueError(msg)
    return GPU_IS_LOST


def _packed(body: _State, index: int, gpu: EmulatedGpu) -> bytes:
    curves = list(body.curve(*sensed(gpu)))
    for given in (gpu.temperature_c, gpu.utilization, gpu.memory_bytes, gpu.clock_mhz):
        knots = [(0, float(given))] if isinstance(given, int | float) else list(given)
        t, value = zip(*knots, strict=True)
        curves += body.curve(np.array(t, dtype=np.int64), np.array(value, dtype=np.float64))
    faults = [
        struct.pack("=3q d", KINDS.index(f.kind) + 1, f.from_ns, f.to_ns, _value(f))
        for f in gpu.faults
    ]
    throttles = [struct.pack("=3q", th.from_ns, th.to_ns, th.bits) for th in gpu.throttle]
    placed = [p if isinstance(p, tuple) else (p, -1) for p in gpu.processes]
    processes = [struct.pack("=2q", *p) for p in placed]
    if not 0 <= gpu.mig_slices <= MOST_SLICES:
        msg = f"a GPU has 0 to {MOST_SLICES} MIG slices, got {gpu.mig_slices}"
        raise ValueError(msg)
    lists: list[int] = []
    for packed in (faults, throttles, processes):
        lists += [len(packed), body.add(b"".join(packed))]
    return GPU.pack(
        gpu.name.encode()[:95],
        (gpu.uuid or f"GPU-00000000-0000-0000-0000-{index:012d}").encode()[:95],
        gpu.architecture,
        *(round(s * 1e9) for s in (gpu.tick_s, gpu.phase_s, gpu.lag_s, gpu.power_tick_s)),
        *(round(s * 1e9) for s in (gpu.instant_window_s, gpu.average_window_s)),
        gpu.has_counter,
        gpu.has_instant,
        gpu.has_average,
        gpu.usage_is_average,
        gpu.memory_total_bytes,
        round(gpu.power_limit_w * 1e3),
        -1 if gpu.mig is None else int(gpu.mig),
        gpu.mig_slices,
        round(gpu.read_cost_s * 1e9),
        gpu.gain,
        gpu.gain if gpu.power_gain is None else gpu.power_gain,
        gpu.quantum_j,
        gpu.start_j,
        gpu.wrap_j or 0.0,
        gpu.host_w or 0.0,
        *curves,
        *lists,
    )
