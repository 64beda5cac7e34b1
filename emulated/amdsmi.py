"""An emulated libamd_smi.so for the real `amdsmi` package, over known true joules.

    write_state(path, [EmulatedAmdGpu(t_ns, joules)])
    subprocess.run([...], env=os.environ | environment(path))

The package looks for the library when it is imported, so the program that reads it is best a
process of its own.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulated.build import NoCompilerError, shared_library

__all__ = ["EmulatedAmdGpu", "NoCompilerError", "NoPackageError", "environment", "write_state"]

SOURCE = Path(__file__).with_name("amdsmi.c")
Span = tuple[int, int]


class NoPackageError(RuntimeError):
    """The package `amdsmi` is not installed: its list of symbols is what the library must have."""


@dataclass(frozen=True, eq=False)
class EmulatedAmdGpu:
    """One GPU: its truth, what its firmware shows, and what goes wrong with it, when."""

    knots_t_ns: Sequence[int] | NDArray[np.int64]
    knots_j: Sequence[float] | NDArray[np.float64]
    """True cumulative joules at `knots_t_ns`: linear between, level outside."""
    name: str = "AMD Instinct MI300X"
    tick_s: float = 0.001
    """Counter and power change at multiples of this; the counter is dated at them."""
    lag_s: float = 0.0
    unit_uj: float = 15.3
    gain: float = 1.0
    """Counter over truth."""
    power_gain: float = 1.0
    """Power over truth."""
    window_s: float = 0.001
    """Power is the mean over so long; it is shown in whole watts."""
    average_only: bool = False
    """It is called average socket power, as before MI300."""
    no_counter: bool = False
    no_metrics: bool = False
    silent: bool = False
    """The second die of an MI250X: counter and power are 0."""
    frozen_ns: Span | None = None
    """Counter and its date stand still, as in guests."""
    fail_ns: Span | None = None
    """Every call gives AMDSMI_STATUS_BUSY."""
    throttled_ns: Span | None = None
    """Held down by its power limit."""
    limit_w: float = 750.0
    temperature_c: float = 55.0
    utilization: float = 80.0
    """Per cent."""
    clock_mhz: float = 2100.0
    vram_mib: float = 1024.0
    pids: tuple[int, ...] = ()

    def lines(self) -> list[str]:
        """Its part of the state file."""
        settings: dict[str, float] = {
            "unit_uj": self.unit_uj,
            "gain": self.gain,
            "power_gain": self.power_gain,
            "tick_ns": self.tick_s * 1e9,
            "lag_ns": self.lag_s * 1e9,
            "window_ns": self.window_s * 1e9,
            "average_only": self.average_only,
            "no_counter": self.no_counter,
            "no_metrics": self.no_metrics,
            "silent": self.silent,
            "limit_w": self.limit_w,
            "temperature_c": self.temperature_c,
            "utilization": self.utilization,
            "clock_mhz": self.clock_mhz,
            "vram_mib": self.vram_mib,
        }
        spans = {
            "frozen_ns": self.frozen_ns,
            "fail_ns": self.fail_ns,
            "throttled_ns": self.throttled_ns,
        }
        return [
            f"gpu {self.name}",
            *(f"{key} {float(value)!r}" for key, value in settings.items()),
            *(f"{key} {span[0]} {span[1]}" for key, span in spans.items() if span is not None),
            *(f"pid {pid}" for pid in self.pids),
            *(
                f"knot {int(t)} {float(j)!r}"
                for t, j in zip(self.knots_t_ns, self.knots_j, strict=True)
            ),
        ]


def write_state(path: Path, gpus: Sequence[EmulatedAmdGpu]) -> None:
    """What the library shows from its next call on."""
    new = path.with_name(f".{path.name}")
    new.write_text("\n".join(line for gpu in gpus for line in gpu.lines()) + "\n")
    new.replace(path)


def environment(path: Path) -> dict[str, str]:
    """Variables that make `amdsmi` load the library on that state.

    Raises NoCompilerError, NoPackageError.
    """
    return {"ROCM_PATH": str(_rocm()), "EMULATED_AMDSMI": str(path)}


def _rocm() -> Path:
    """A folder whose lib/ holds the library, as ROCm's does."""
    found = importlib.util.find_spec("amdsmi")
    if found is None or found.origin is None:
        msg = "the package amdsmi is not installed, so its library cannot be emulated"
        raise NoPackageError(msg)
    wrapper = Path(found.origin).with_name("amdsmi_wrapper.py").read_text(encoding="utf-8")
    wanted = set(re.findall(r"_libraries\['libamd_smi\.so'\]\.(\w+)", wrapper))
    given = set(re.findall(r"^status (\w+)\(", SOURCE.read_text(encoding="utf-8"), re.MULTILINE))
    stubs = "".join(f"status {name}(void) {{ return 2; }}\n" for name in sorted(wanted - given))
    with tempfile.TemporaryDirectory() as folder:
        include = Path(folder) / "stubs.inc"
        include.write_text(stubs, encoding="utf-8")
        source = Path(folder) / "amdsmi.c"
        source.write_bytes(SOURCE.read_bytes())
        library = shared_library("libamd_smi.so", [source, include])
    rocm = library.parent / "rocm"
    (rocm / "lib").mkdir(parents=True, exist_ok=True)
    link = rocm / "lib" / library.name
    if not link.is_symlink():
        link.symlink_to(library)
    return rocm
