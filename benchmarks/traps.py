"""Every trap put into emulated hardware: is it caught? And is any raised on clean runs?

    python -m benchmarks.traps [CLEAN_RUNS]

Below the vendor's interface: a library with NVML's symbols, loaded by the real pynvml; the files of
a powercap tree; a /proc; both clocks. Above it all is perwatt's own: sensors, sampler, detectors.
Exit code 1 where a trap is missed, or raised on a clean run.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from textwrap import shorten
from typing import Any

import msgspec
import numpy as np

from benchmarks.trap_scenes import (
    FOLDER,
    START_NS,
    Day,
    S,
    on_gpu,
    on_package,
    phase,
    tried,
)
from emulated.clock import reexec, virtual
from emulated.device import DEVICES, Knots
from emulated.load import Load, Wanted, serve
from emulated.nvml import EmulatedGpu, Fault, Throttle
from emulated.powercap import EmulatedZone, intel
from perwatt.attribution.traps import TRAPS, Look, Mark, find_traps
from perwatt.core.clock import now_ns
from perwatt.core.records import Domain, Reading
from perwatt.runner.host import cpu_shares, cpu_snapshot
from perwatt.sensors.estimated import EstimatedSensor

CLEAN_RUNS = 200
REAL_CLOCK = time.CLOCK_MONOTONIC_RAW
"""Not made virtual by the emulation."""
MIDDLE = Day().load_ns[0] + 10 * S
THERMAL, POWER_CAP = 0x20, 0x4
"""nvmlClocksEventReasonSwThermalSlowdown, …SwPowerCap."""


def fault(kind: Any, length_s: float = 1e6, value: float = 15) -> dict[str, Any]:
    return {"faults": [Fault(kind, MIDDLE, MIDDLE + round(length_s * S), value)]}


def zone(day: Day, /, name: str = "package-0", **more: Any) -> EmulatedZone:
    return EmulatedZone(name, *day.knots(), tick_s=0.001, **more)


WRAP: dict[str, Any] = {"range_units": 80_000_000, "start_units": 30_000_000}
"""Of 61 µJ each: a range of 4.9 kJ, which 300 W use up in 16 s."""


def in_step() -> Look:
    return on_gpu(Day(request_s=0.9, gap_s=0.1, load_s=60.0), duty=0.25, look={"hz": 50.0})


def missed_bursts() -> Look:
    """Equal work in bursts of 25 ms each 100 ms: the sensor looks a quarter of the time."""
    rng = np.random.default_rng(5)
    day = Day(load_s=60.0)
    begun = np.array([(m.start_ns - day.load_ns[0]) / S for m in day.marks])
    offset = rng.uniform(0, 0.1, len(begun))

    def bursts(t: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        of = np.maximum(np.searchsorted(begun, t, side="right") - 1, 0)
        return np.where((t - begun[of] + offset[of]) % 0.1 < 0.025, 900.0, 150.0)

    look = on_gpu(replace(day, watts=bursts), duty=0.25, look={"marks": ()})
    return msgspec.structs.replace(look, marks=tuple(m._replace(work="same") for m in day.marks))


def two_gpus() -> Look:
    """In a container the driver lists no process of ours, so both GPUs are summed; one idles."""
    day = Day()
    idle = day.knots(lambda t: np.full(len(t), day.idle_w))
    gpus = [EmulatedGpu(*day.knots(), power_limit_w=900), EmulatedGpu(*idle, power_limit_w=900)]
    return on_gpu(day, gpus)


def psys() -> Look:
    day = Day()
    look = on_package([zone(day), zone(day, "psys", gain=1.3)], day)
    return msgspec.structs.replace(look, counted=tuple(d.name for d in look.domains))


def hidden() -> Look:
    return tried(lambda tree: tree.mask(), [zone(Day())])


def absent() -> Look:
    return tried(lambda _: None, [])


def long_wait() -> Look:
    return on_gpu(Day(wait_s=1500.0, after=False), look={"hz": 4.0})


def neighbour() -> Look:
    """A /proc in which somebody else takes half of the CPU time of the load."""
    proc = FOLDER / "proc"
    ours = proc / str(os.getpid())
    ours.mkdir(parents=True, exist_ok=True)
    shares = []
    for busy in (0, 3000):
        (proc / "stat").write_text(
            f"cpu  {busy} 0 0 {1000 + (6000 - busy if busy else 0)} 0 0 0 0\n"
        )
        (ours / "stat").write_text(f"{os.getpid()} (python) S " + "0 " * 10 + "5 5 " + "0 " * 20)
        shares.append(cpu_snapshot((), proc))
    before, after = shares
    assert before is not None
    assert after is not None
    look = on_gpu(Day())
    begin, end = Day().load_ns
    load = phase("load", begin, end, "model", cpu_shares(before, after)[0])
    return msgspec.structs.replace(look, phases=(look.phases[0], load, look.phases[2]))


def clock_set() -> Look:
    moved = False

    def at(t_ns: int) -> None:
        nonlocal moved
        if t_ns > MIDDLE and not moved:
            moved = True
            virtual.step_wall(3 * S)

    return on_gpu(Day(), look={"at": at})


class Elsewhere:
    """A meter on another machine, whose clock we know to half a second only."""

    def probe(self) -> Sequence[Domain]:
        return [
            Domain(
                name="wall", kind="counter", boundary="accelerator", source="elsewhere", grade="A",
                device="a meter",
            )
        ]  # fmt: skip

    def read(self) -> Sequence[Reading]:
        t_ns = now_ns()
        joules = float(np.interp(t_ns, *Day().knots()))
        return [Reading(domain="wall", t_ns=t_ns, counter_j=joules, clock_error_ns=S // 2)]

    def close(self) -> None:
        pass


def guest() -> Look:
    """A virtual machine's /proc: CPUs that say there is a hypervisor, and their load."""
    proc = FOLDER / "guest"
    proc.mkdir(exist_ok=True)
    cpu = "processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 143\n"
    cpu += "model name : Intel Xeon Processor\nflags : fpu hypervisor\n\n"
    (proc / "cpuinfo").write_text(cpu)
    (proc / "meminfo").write_text("MemTotal: 8000000 kB\n")
    day = Day()

    def at(t_ns: int) -> None:
        busy = min(max(t_ns - day.load_ns[0], 0), day.load_ns[1] - day.load_ns[0]) // 10_000_000
        idle = t_ns // 10_000_000 - busy
        (proc / "stat").write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\n")

    at(START_NS)
    sensor = EstimatedSensor("cpu", proc=proc, sysfs=FOLDER / "no-sysfs")
    return day.look([sensor], at=at)


def hot_curve(t_ns: int) -> dict[str, Any]:
    return {"temperature_c": [(t_ns - S, 40.0), (t_ns, 65.0)]}


def back_and_forth() -> Look:
    """The counter steps back by 500 J, and 60 ms later is where it was."""
    there = Fault("step", MIDDLE, value=-500.0)
    return on_gpu(Day(), faults=[there, Fault("step", MIDDLE + 60_000_000, value=500.0)])


INJECTED: tuple[tuple[str, str, Callable[[], Look]], ...] = (
    ("wrap", "powercap: a range of 4.9 kJ", lambda: on_package([zone(Day(), **WRAP)], Day())),
    (
        "wrap-unseen",
        "the same, unread for 20 s",
        lambda: on_package([zone(Day(), **WRAP)], Day(), skip=(MIDDLE - 4 * S, MIDDLE + 16 * S)),
    ),
    ("reset", "NVML: driver reloaded under load", lambda: on_gpu(Day(), **fault("reset"))),
    (
        "reset",
        "powercap: starts again from 0",
        lambda: on_package([zone(Day(), reset_ns=MIDDLE)], Day()),
    ),
    ("frozen-counter", "NVML: stands still for 8 s", lambda: on_gpu(Day(), **fault("frozen", 8))),
    (
        "frozen-counter",
        "powercap: stands still for 8 s",
        lambda: on_package([zone(Day(), frozen_ns=(MIDDLE, MIDDLE + 8 * S))], Day()),
    ),
    ("backwards", "NVML: 500 J less for 60 ms", back_and_forth),
    ("zero-reads", "NVML: counter 0 for 0.3 s", lambda: on_gpu(Day(), **fault("zero", 0.3))),
    (
        "zero-reads",
        "powercap: energy_uj 0 for 0.3 s",
        lambda: on_package([zone(Day(), zero_ns=(MIDDLE, MIDDLE + 3 * S // 10))], Day()),
    ),
    (
        "zero-reads",
        "NVML without a counter: 0 W for 0.3 s",
        lambda: on_gpu(Day(), has_counter=False, **fault("power-zero", 0.3)),
    ),
    (
        "absurd-value",
        "NVML: 9e12 J for 60 ms",
        lambda: on_gpu(Day(), **fault("absurd", 0.06, 9e12)),
    ),
    ("read-failures", "NVML: GPU lost for 0.3 s", lambda: on_gpu(Day(), **fault("dropout", 0.3))),
    (
        "read-failures",
        "powercap: energy_uj empty for 0.3 s",
        lambda: on_package([zone(Day(), garbage_ns=(MIDDLE, MIDDLE + 3 * S // 10))], Day()),
    ),
    (
        "averaged-power",
        "NVML: only a 1 s mean, requests of 1.7 s",
        lambda: on_gpu(Day(), has_counter=False, has_instant=False),
    ),
    ("duty-aliasing", "NVML at 25% duty, requests in step with it", in_step),
    ("duty-aliasing", "NVML at 25% duty, bursts that it misses", missed_bursts),
    (
        "tick-longer-than-request",
        "NVML: tick 100 ms, requests of 60 ms",
        lambda: on_gpu(Day(request_s=0.06)),
    ),
    ("too-few-ticks", "NVML: 1.5 s of load", lambda: on_gpu(Day(load_s=1.5, request_s=0.3))),
    ("counter-power-mismatch", "NVML: power 10% above", lambda: on_gpu(Day(), power_gain=1.1)),
    ("sibling-gpu", "NVML: an idle GPU in the sum", two_gpus),
    ("overlapping-zones", "powercap: psys and its package summed", psys),
    ("rapl-unreadable", "powercap: masked as in a container", hidden),
    ("rapl-absent", "powercap: no zone", absent),
    ("stale-baseline", "25 min between idle and load", long_wait),
    ("idle-above-load", "NVML: 320 W idle, 300 W load", lambda: on_gpu(Day(idle_w=320.0))),
    (
        "throttling",
        "NVML: hot for 2 s of the load",
        lambda: on_gpu(Day(), throttle=[Throttle(THERMAL, MIDDLE, MIDDLE + 2 * S)]),
    ),
    (
        "throttling",
        "NVML: at its power cap for 10 s",
        lambda: on_gpu(Day(), throttle=[Throttle(POWER_CAP, MIDDLE, MIDDLE + 10 * S)]),
    ),
    (
        "hot-start",
        "NVML: 65 °C at the start, 40 °C cold",
        lambda: on_gpu(Day(wait_s=20.0), **hot_curve(START_NS + 15 * S)),
    ),
    ("neighbour-load", "/proc: half the CPU time is another's", neighbour),
    ("clock-step", "the wall clock is set 3 s ahead", clock_set),
    ("clock-unsynced", "a meter dated to ±0.5 s", lambda: Day().look([Elsewhere()])),
    (
        "sampler-stalled",
        "unread for 2 s",
        lambda: on_gpu(Day(), look={"skip": (MIDDLE, MIDDLE + 2 * S)}),
    ),
    ("sensor-died", "NVML: GPU lost for good", lambda: on_gpu(Day(), **fault("dropout"))),
    (
        "scope-module",
        "NVML: a GH200",
        lambda: on_gpu(Day(), name="NVIDIA GH200 480GB", host_w=20.0),
    ),
    ("mig-shared", "NVML: MIG on", lambda: on_gpu(Day(), mig=True, mig_slices=2)),
    ("vm-estimate", "/proc of a guest", guest),
)


def clean(number: int) -> tuple[str, Look]:
    """One run of a sound device: which, and what was seen."""
    rng = np.random.default_rng([7, number])
    device_name = str(rng.choice(list(DEVICES)))
    device = DEVICES[device_name]
    in_flight = int(rng.choice([1, 2, 4, 8, 16, 32]))
    load_s = float(np.exp(rng.uniform(np.log(5), np.log(120))))
    tick_s = float(rng.choice([0.001, 0.005, 0.02, 0.05, 0.1]))
    hz = float(rng.choice([10.0, 20.0, 50.0]))
    each = int(rng.integers(3, 13))
    n = in_flight * each
    step_s = device.step_s + device.step_request_s * (in_flight - 1)
    lengths = rng.uniform(0.6, 1.4, n) if number % 2 else rng.choice([0.63, 0.97, 1.41], n)
    seconds = np.maximum(lengths * load_s / each, 0.4)
    prompts = rng.integers(10, 500, n) if number % 2 else rng.choice([40, 400], n)
    wanted = Wanted(prompts, np.zeros(n, dtype=np.int64), (seconds / step_s).astype(int) + 1)
    load = serve(rng, device, wanted, in_flight, idle_s=6.0, start_s=START_NS / S - 1)
    sensor = ("nvml", "nvml gauge", "rapl")[number % 3]
    words = f"{sensor}, {device_name}, {in_flight} in flight, {load_s:.0f} s, "
    words += f"tick {tick_s:g} s, {hz:g} Hz"
    more = {"hz": hz, "seed": number, "phases": _phases(load), "marks": _marks(load)}
    day = Day(idle_s=0.0, load_s=(load.truth.t_ns[-1] - START_NS) / S - 0.5)
    if sensor == "rapl":
        package = intel(load.truth, dram=_memory(load.truth), tick_s=tick_s)
        return words, on_package([package], day, **more)
    settings: dict[str, Any] = {
        "tick_s": tick_s,
        "power_tick_s": tick_s,
        "phase_s": rng.uniform(0, tick_s),
    }
    if sensor == "nvml gauge":
        settings |= {"has_counter": False, "usage_is_average": False, "architecture": 6}
    begin, end = load.load_ns
    settings |= {
        "temperature_c": [(begin, 41.0), (begin + 20 * S, 68.0), (end, 68.0), (end + 9 * S, 50.0)],
        "throttle": [Throttle(POWER_CAP, begin, begin + (end - begin) // 10)],
    }
    gpu = EmulatedGpu(load.truth.t_ns, load.truth.energy_j, power_limit_w=4000.0, **settings)
    return words, on_gpu(day, [gpu], look=more)


def _memory(truth: Knots) -> Knots:
    """Memory that draws 5 W and a twentieth of what the package does."""
    seconds = (truth.t_ns - truth.t_ns[0]) / S
    return Knots(truth.t_ns, 5.0 * seconds + 0.05 * truth.energy_j)


def _phases(load: Load) -> tuple[Any, ...]:
    begin, end = load.load_ns
    return (
        phase("bare_idle", START_NS, begin, None),
        phase("load", begin, end, "model"),
        phase("after_idle", end, int(load.truth.t_ns[-1]) - S // 2, "model"),
    )


def _marks(load: Load) -> tuple[Mark, ...]:
    tokens = zip(load.wanted.prompt, load.wanted.output, strict=True)
    spans = zip(load.start_ns, load.end_ns, tokens, strict=True)
    return tuple(Mark("model", int(start), int(end), work) for start, end, work in spans)


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else CLEAN_RUNS
    begun_ns = time.clock_gettime_ns(REAL_CLOCK)
    missed = 0
    print(f"{'trap':25s} {'injected':44s} {'caught':7s} says")
    for code, how, make in INJECTED:
        found = find_traps(make())
        mine = next((each for each in found if each.code == code), None)
        missed += mine is None
        says = mine.sentence if mine else f"only {[each.code for each in found]}"
        print(f"{code:25s} {how:44s} {'yes' if mine else 'NO':7s} {shorten(says, 100)}", flush=True)
    codes = {code for code, _, _ in INJECTED}
    missed += len(set(TRAPS) - codes)  # a trap that nobody injects is not tested
    false: Counter[str] = Counter()
    raised = 0
    for number in range(runs):
        words, look = clean(number)
        found = find_traps(look)
        raised += bool(found)
        for each in found:
            false[each.code] += 1
            print(f"clean run {number} ({words}): {each.code}: {each.sentence}")
    caught = len(INJECTED) - missed
    print(f"\n{caught}/{len(INJECTED)} injections of {len(codes)} traps caught")
    print(f"{raised}/{runs} clean runs raise one {dict(false) or ''}")
    print(f"took {(time.clock_gettime_ns(REAL_CLOCK) - begun_ns) / 1e9:.0f} s")
    return 1 if missed or raised else 0


if __name__ == "__main__":
    reexec()
    virtual.set(START_NS - 10 * S)
    sys.exit(main())
