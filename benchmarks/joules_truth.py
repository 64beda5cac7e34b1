"""Joules of each request against an emulated device whose true joules are known.

    python -m benchmarks.joules_truth [--quick] [--seed N]

A closed loop of mixed requests (answers of 1 to 30 s, prompts of 10 to 2,000 tokens, a third with a
cached prefix) on three devices (emulated/device.py): `linear`, whose cost is what the fit assumes;
`floor`, with an active floor and a fixed cost of each step; `noisy`, with idle that drifts, steps
and prompts that cost 10% more or less, and prompts whose tokens cost more the longer they are. The
client's marks are late by some milliseconds each; idle is measured for 10 s before and after.

First table: the whole path. The real NVML sensor reads the emulated library at 100 Hz through
`Sampler.read_now`, under a virtual clock. Second: coverage of the 95% intervals, from arrays, since
thousands of runs are needed; the same code from samples on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulated.clock import reexec, virtual
from emulated.device import DEVICES, Device, counter
from emulated.load import Load, mixed, serve
from emulated.nvml import EmulatedGpu, attach, write_state
from perwatt.attribution.asked import asked_of, prefill_begins
from perwatt.attribution.idle import Baselines, baselines
from perwatt.attribution.integrate import Curve, counter_curve, curve_of, energy_at
from perwatt.attribution.ledger import Attributed, attribute
from perwatt.attribution.phase import by_phase
from perwatt.attribution.share import by_kv, by_time, by_tokens
from perwatt.core.protocols import Asked, Attribution
from perwatt.sensors.nvml import NvmlSensor
from perwatt.sensors.sampler import Sampler

Floats = NDArray[np.float64]
METHODS: dict[str, Attribution] = {
    "phase": by_phase,
    "kv": by_kv,
    "tokens": by_tokens,
    "time": by_time,
}
REQUESTS = {1: 15, 8: 60, 32: 160}
HZ = 100
GAIN_SD, DRAWS = 0.05 / 1.96, 100
LOADS = 6


class Seen(NamedTuple):
    """A load, and what was measured of it."""

    load: Load
    curve: Curve
    idle: Baselines
    asked: Asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs, under half a minute")
    parser.add_argument("--seed", type=int, default=0, help="other loads; the first table alone")
    given = parser.parse_args()
    quick, seed = given.quick, given.seed
    reexec()
    began = time.process_time()
    print("Net joules of each request: |error|, median / p90. Real sensor and sampler, 100 Hz.")
    print("previous: counter now less counter at the previous query's end (the reference harness).")
    names = [*METHODS, "previous", "window", "prefill", "decode"]
    print("device  flight  tick    " + "".join(f"{name:>20s}" for name in names))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("linear",) if quick else DEVICES:
            for in_flight in REQUESTS:
                for tick_s in (0.001, 0.01, 0.02, 0.1)[2 if quick or name != "linear" else 0 :]:
                    errors = [
                        _errors(_through_nvml(n, DEVICES[name], in_flight, tick_s, Path(folder)))
                        for n in range(seed, seed + (1 if quick else LOADS))
                    ]
                    cells = "".join(f"{_spread(errors, n):>20s}" for n in names)
                    print(f"{name:7s} {in_flight:5d} {tick_s * 1e3:4.0f} ms  {cells}", flush=True)
    if seed:
        return
    print("\nShare of the 95% intervals that hold the truth: net with the gain exactly 1, net and")
    print("gross with the gain drawn from the sensor's interval (0.95 to 1.05, 95%).")
    print("device  flight  tick    duty  runs  requests    net, gain 1   net, drawn   gross, drawn")
    runs = {1: 6, 8: 2, 32: 1} if quick else {1: 50, 8: 12, 32: 6}
    held = []
    for name in ("linear",) if quick else DEVICES:
        for in_flight in REQUESTS:
            for tick_s, duty in ((0.001, 1.0), (0.01, 1.0), (0.02, 1.0), (0.1, 1.0), (0.1, 0.25)):
                cell = _coverage(DEVICES[name], in_flight, tick_s, duty, runs[in_flight])
                held.append(cell)
                exact, net, gross = cell.mean(axis=1)
                print(
                    f"{name:7s} {in_flight:5d} {tick_s * 1e3:4.0f} ms  {duty:4.2f} "
                    f"{runs[in_flight]:5d} {cell.shape[1]:9d} {exact:14.1%} {net:12.1%} "
                    f"{gross:14.1%}",
                    flush=True,
                )
    exact, net, gross = np.mean([cell.mean(axis=1) for cell in held], axis=0)
    print(f"mean of the rows {exact:45.1%} {net:12.1%} {gross:14.1%}")
    print(f"{time.process_time() - began:.0f} s of one core", file=sys.stderr)


def _through_nvml(seed: int, device: Device, in_flight: int, tick_s: float, folder: Path) -> Seen:
    """The load as the real sensor sees it through NVML."""
    rng = np.random.default_rng(seed)
    load = _load(rng, device, in_flight)
    gpu = EmulatedGpu(
        load.truth.t_ns, load.truth.energy_j, tick_s=tick_s, phase_s=float(rng.uniform(0, tick_s))
    )
    write_state(folder / "nvml", [gpu])
    attach(folder / "nvml")
    first, last = int(load.truth.t_ns[0]), int(load.truth.t_ns[-1])
    virtual.set(first)
    sensor = NvmlSensor()
    sampler = Sampler([sensor], HZ, timing_s=0)
    for t_ns in range(first, last, 10**9 // HZ):
        virtual.set(t_ns)
        sampler.read_now()
    sensor.close()
    curve = curve_of(sampler.drain(), sampler.domains[0])
    assert curve is not None
    return _seen(load, curve)


def _by_numpy(rng: np.random.Generator, load: Load, tick_s: float, duty: float) -> Seen:
    """The same from a counter in arrays: no library, no sampler."""
    reads = np.arange(load.truth.t_ns[0], load.truth.t_ns[-1], 10**9 // HZ)
    reads = np.union1d(reads + rng.integers(0, 200_000, len(reads)), load.load_ns)
    reads = reads[reads < load.truth.t_ns[-1]]
    phase_s = float(rng.uniform(0, tick_s))
    shown = counter(load.truth, reads, tick_s=tick_s, phase_s=phase_s, duty=duty)
    trusted = np.ones(len(reads) - 1, dtype=np.bool_)
    return _seen(load, counter_curve(Curve(reads, shown, trusted)))


def _load(rng: np.random.Generator, device: Device, in_flight: int) -> Load:
    return serve(rng, device, mixed(rng, device, REQUESTS[in_flight], in_flight), in_flight)


def _seen(load: Load, curve: Curve) -> Seen:
    wanted = load.wanted
    new = (wanted.prompt - wanted.cached).astype(np.float64)
    asked = asked_of(
        load.start_ns,
        load.first_chunk_ns,
        load.end_ns,
        prefill_ns=prefill_begins(load.start_ns, load.first_chunk_ns, new),
        prompt_tokens=wanted.prompt,
        cached_tokens=wanted.cached,
        completion_tokens=wanted.output,
        chunk_ns=load.chunk_ns,
        chunk_at=load.chunk_at,
    )
    begin, end = load.load_ns
    settled = end + 500_000_000
    before = [(int(load.truth.t_ns[0]), begin - 1)]
    idle = baselines(curve, [], before, [(settled, int(load.truth.t_ns[-1]))])
    return Seen(load, curve, idle, asked)


def _attributed(seen: Seen, method: Attribution, gain: tuple[float, float]) -> Attributed:
    used = seen.idle.used
    assert used is not None
    return attribute(
        seen.curve,
        [seen.load.load_ns],
        seen.asked,
        method=method,
        idle_power_w=used.power_w,
        idle_error_w=seen.idle.error_w,
        gain=gain,
    )


def _errors(seen: Seen) -> dict[str, Floats]:
    """|error| of each request's net joules by each rule, and of its phases by `phase`."""
    load = seen.load
    found = {name: _attributed(seen, method, (1.0, 1.0)) for name, method in METHODS.items()}
    net = {name: out.net_j for name, out in found.items()}
    used = seen.idle.used
    assert used is not None
    shown = _shown(seen.curve)
    length_s = (load.end_ns - load.start_ns) / 1e9
    net["window"] = shown(load.end_ns) - shown(load.start_ns) - used.power_w * length_s
    order = np.argsort(load.end_ns)
    ends = shown(load.end_ns[order])
    before = np.concatenate((shown(load.start_ns.min(keepdims=True)), ends[:-1]))
    net["previous"] = np.empty(len(order))
    net["previous"][order] = ends - before
    net["previous"] -= used.power_w * length_s
    errors = {name: np.abs(joules - load.net_j) / load.net_j for name, joules in net.items()}
    phase = found["phase"]
    for name, joules, truth in (
        ("prefill", phase.prefill_net_j, load.prefill_net_j),
        ("decode", phase.decode_net_j, load.decode_net_j),
    ):
        errors[name] = np.abs(joules - truth) / truth
    return errors


def _shown(curve: Curve) -> Callable[[NDArray[np.int64]], Floats]:
    """What the counter showed last, as a plain reader takes it: no interpolation."""

    def at(t_ns: NDArray[np.int64]) -> Floats:
        tick = np.searchsorted(curve.t_ns, t_ns, side="right") - 1
        return energy_at(curve, curve.t_ns[tick])

    return at


def _coverage(device: Device, in_flight: int, tick_s: float, duty: float, runs: int) -> Floats:
    """(3, requests): is net held with gain 1, and by how many drawn gains are net and gross?

    A gain scales every reading alike, and with it all that is made of them (but for the counter's
    millijoules): so each run is held against a whole distribution of gains, not one draw.
    """
    rng = np.random.default_rng([in_flight, round(tick_s * 1e3), round(duty * 4)])
    gains = np.array([1.0 + GAIN_SD * _normal((n + 0.5) / DRAWS) for n in range(DRAWS)])[:, None]
    held = []
    for _ in range(runs):
        load = _load(rng, device, in_flight)
        seen = _by_numpy(rng, load, tick_s, duty)
        exact = _attributed(seen, by_phase, (1.0, 1.0))
        drawn = _attributed(seen, by_phase, (0.95, 1.05))
        # Shown joules are true ÷ gain: the true ones are held where the shown ones' interval is.
        net, gross = gains * load.net_j, gains * load.gross_j
        held.append(
            np.stack(
                [
                    (exact.net_low_j <= load.net_j) & (load.net_j <= exact.net_high_j),
                    ((drawn.net_low_j <= net) & (net <= drawn.net_high_j)).mean(axis=0),
                    ((drawn.low_j <= gross) & (gross <= drawn.high_j)).mean(axis=0),
                ]
            )
        )
    return np.concatenate(held, axis=1)


def _normal(share: float) -> float:
    """The standard normal's quantile."""
    return NormalDist().inv_cdf(share)


def _spread(errors: list[dict[str, Floats]], name: str) -> str:
    all_ = np.concatenate([one[name] for one in errors])
    return f"{np.median(all_):.2%} / {np.quantile(all_, 0.9):.1%}"


if __name__ == "__main__":
    main()
