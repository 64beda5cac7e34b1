"""Runs on emulated hardware, clean or with one thing wrong with it, seen through perwatt's sensors.

The fault is put below the vendor's interface: into the library that the real pynvml loads, into the
files of a powercap tree, into /proc, into the clocks. What comes out is a `Look`, as a run has it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulated.clock import virtual
from emulated.nvml import EmulatedGpu, attach, write_state
from emulated.powercap import VirtualPowercap
from perwatt.attribution.traps import Attempt, Look, Mark
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.protocols import Sensor
from perwatt.core.records import Domain, Phase, PowerSample, SensorTiming
from perwatt.sensors.nvml import NvmlSensor
from perwatt.sensors.rapl import RaplSensor
from perwatt.sensors.sampler import Sampler
from perwatt.sensors.timing import measure_timing

__all__ = ["FOLDER", "START_NS", "Day", "S", "on_gpu", "on_package", "phase", "sample", "tried"]

S = 1_000_000_000
START_NS = 1_000 * S
_KEPT = tempfile.TemporaryDirectory(prefix="perwatt-traps-")
FOLDER = Path(_KEPT.name)
"""For all that is emulated: gone when the benchmark ends."""

Watts = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Day:
    """What happens: idle, requests one after the other, idle; and what the device truly draws."""

    idle_s: float = 5.0
    wait_s: float = 0.0
    """Idle that is in no phase, between the first idle phase and the load."""
    load_s: float = 30.0
    request_s: float = 1.7
    gap_s: float = 0.013
    idle_w: float = 70.0
    watts: Watts = field(default=lambda t: np.full(len(t), 300.0))
    """Of seconds since the load began."""
    after: bool = True
    """Is idle measured after the load?"""

    @property
    def load_ns(self) -> tuple[int, int]:
        begin = START_NS + round((self.idle_s + self.wait_s) * S)
        return begin, begin + round(self.load_s * S)

    @property
    def end_ns(self) -> int:
        return self.load_ns[1] + round(self.idle_s * S)

    def knots(self, watts: Watts | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """True joules so far, every millisecond of the load."""
        begin, end = self.load_ns
        t = np.arange(begin, end + 1, 1_000_000, dtype=np.int64)
        drawn = (watts or self.watts)((t[:-1] - begin) / S) * 1e-3
        before_j = self.idle_w * (begin - START_NS + S) / S
        joules = before_j + np.concatenate(([0.0], np.cumsum(drawn)))
        last = joules[-1] + self.idle_w * (self.idle_s + 1)
        return (
            np.concatenate(([START_NS - S], t, [self.end_ns + S])),
            np.concatenate(([0.0], joules, [last])),
        )

    @property
    def marks(self) -> tuple[Mark, ...]:
        step = round((self.request_s + self.gap_s) * S)
        length = round(self.request_s * S)
        begin, end = self.load_ns
        return tuple(Mark("model", t, t + length) for t in range(begin, end - length, step))

    @property
    def phases(self) -> tuple[Phase, ...]:
        begin, end = self.load_ns
        idle = phase("bare_idle", START_NS, START_NS + round(self.idle_s * S), None)
        load = phase("load", begin, end, "model")
        after = (phase("after_idle", end, self.end_ns, "model"),) if self.after else ()
        return idle, load, *after

    def look(self, sensors: Sequence[Sensor], **more: Any) -> Look:
        """Sample the day with these sensors. `more`: `sample`'s, and Look's own fields."""
        ours = {k: more.pop(k) for k in ("hz", "at", "skip", "seed") if k in more}
        domains, samples, timings = sample(sensors, START_NS, self.end_ns, **ours)
        fields: dict[str, Any] = {
            "domains": domains,
            "counted": tuple(d.name for d in domains if d.boundary != "system"),
            "samples": samples,
            "timings": timings,
            "phases": self.phases,
            "marks": self.marks,
        }
        return Look(**{**fields, **more})


def phase(
    kind: str, start_ns: int, end_ns: int, pair: str | None, share: float | None = 0.01
) -> Phase:
    return Phase(
        phase_id=kind,
        kind=kind,  # type: ignore[arg-type]
        session=1,
        pair_id=pair,
        start_ns=start_ns,
        end_ns=end_ns,
        neighbour_share=share,
    )


def sample(
    sensors: Sequence[Sensor],
    start_ns: int,
    end_ns: int,
    *,
    hz: float = 20.0,
    at: Callable[[int], None] = lambda _: None,
    skip: tuple[int, int] = (0, 0),
    seed: int = 0,
) -> tuple[tuple[Domain, ...], list[PowerSample], tuple[SensorTiming, ...]]:
    """perwatt's own sampler over virtual time. `at`: brings the hardware to a moment before it is
    read. `skip`: the sampler is held up in this span. `seed`: of how late each read is."""
    rng = np.random.default_rng(seed)
    virtual.set(start_ns - S // 2)
    at(start_ns - S // 2)
    sampler = Sampler(sensors, hz)
    timings = [t for sensor in sensors for t in measure_timing(sensor, sensor.probe(), 0.3)]
    for t_ns in np.arange(start_ns, end_ns, round(S / hz)):
        late_ns = int(t_ns) + int(rng.integers(0, 2_000_000))
        if not skip[0] <= late_ns < skip[1]:
            at(late_ns)
            virtual.set(late_ns)
            sampler.read_now()
    for sensor in sensors:
        sensor.close()
    return sampler.domains, sampler.drain(), tuple(timings)


def on_gpu(day: Day, gpus: Sequence[EmulatedGpu] | None = None, /, **gpu: Any) -> Look:
    """The day on emulated GPUs: by default one, with these settings. `look`: see Day.look."""
    more = gpu.pop("look", {})
    t_ns, joules = day.knots()
    write_state(
        FOLDER / "nvml",
        [replace(EmulatedGpu(t_ns, joules, power_limit_w=2000.0), **gpu)] if gpus is None else gpus,
    )
    attach(FOLDER / "nvml")
    return day.look([NvmlSensor()], **more)


def on_package(zones: Sequence[Any], day: Day, **more: Any) -> Look:
    """The day on a powercap tree of these zones."""
    tree = VirtualPowercap(Path(tempfile.mkdtemp(dir=FOLDER)), zones)
    # Its files move when they are told to, so there is no tick to be seen between.
    return day.look([RaplSensor(str(tree.root))], at=tree.at, **{"timings": (), **more})


def tried(spoil: Callable[[VirtualPowercap], None], zones: Sequence[Any]) -> Look:
    """A run whose RAPL could not be probed: nothing was sampled at the package."""
    tree = VirtualPowercap(Path(tempfile.mkdtemp(dir=FOLDER)), zones)
    spoil(tree)
    day = Day()
    try:
        RaplSensor(str(tree.root)).probe()
    except SensorUnavailableError as error:
        attempt = Attempt("rapl", False, error.message, error.mend)
        return on_gpu(day, look={"tried": (attempt,)})
    msg = "the emulated RAPL was to be unavailable, and is not"
    raise AssertionError(msg)
