"""How an NVIDIA GPU's own meter behaves: tick, lag, counter against power, the three baselines.

    python -m benchmarks.gpu_probe [--gpu 0] [--seconds 12] [--steps 8] [--load COMMAND]
    python -m benchmarks.gpu_probe --url http://HOST:PORT --model NAME

For a machine with a GPU that nothing else uses: about a minute. The load is made by a child: matrix
products through torch, completions asked of an OpenAI-compatible server, or any COMMAND that reads
a number of seconds from each line of its input, prints time.monotonic_ns(), and then works that
long. Steps of load give the lag: where the lines fitted to the joules before and after a step cross
(perwatt.sensors.timing_lag). The load's own start (kernel launch, first token) is part of it.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perwatt.core.clock import now_ns, seconds
from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.nvml_device import NvmlDevice, found
from perwatt.sensors.nvml_driver import opened, within
from perwatt.sensors.timing_lag import lag_from_steps

Floats = NDArray[np.float64]
Span = tuple[int, int]

LOOK_S = 0.002
TORCH = """
import sys, time, torch
a = torch.randn(8192, 8192, device="cuda:GPU", dtype=torch.float16)
(a @ a).sum().item()
for line in sys.stdin:
    begin = time.monotonic_ns()
    print(begin, flush=True)
    end = begin + int(float(line) * 1e9)
    while time.monotonic_ns() < end:
        for _ in range(4):
            b = a @ a
        torch.cuda.synchronize()
"""
SERVER = """
import json, sys, threading, time, urllib.request
url, model = sys.argv[1].rstrip("/") + "/v1/completions", sys.argv[2]
body = json.dumps({"model": model, "prompt": "Count to a thousand: 1, 2,", "max_tokens": 32})
def ask(end):
    while time.monotonic_ns() < end:
        request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=60).read()
for line in sys.stdin:
    begin = time.monotonic_ns()
    end = begin + int(float(line) * 1e9)
    print(begin, flush=True)
    threads = [threading.Thread(target=ask, args=(end,)) for _ in range(16)]
    [t.start() for t in threads], [t.join() for t in threads]
"""


class Seen(NamedTuple):
    """Looks at one GPU, one after another. Arrays (n,); NaN where it does not tell."""

    t_ns: NDArray[np.int64]
    counter_j: Floats
    instant_w: Floats
    average_w: Floats

    def within(self, span: Span) -> Seen:
        first, last = np.searchsorted(self.t_ns, span)
        return self.part(int(first), int(last))

    def part(self, first: int, end: int) -> Seen:
        cut = slice(first, end)
        return Seen(self.t_ns[cut], self.counter_j[cut], self.instant_w[cut], self.average_w[cut])


class Recorder:
    """A thread that looks at a GPU every 2 ms from `start` to `stop`."""

    def __init__(self, device: NvmlDevice) -> None:
        self._device = device
        self._rows: list[tuple[int, float | None, float | None, float | None]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> Seen:
        self._stop.set()
        self._thread.join()
        t_ns, *columns = zip(*self._rows, strict=True)
        values = [np.array(column, dtype=np.float64) for column in columns]  # None becomes NaN
        return Seen(np.array(t_ns, dtype=np.int64), *values)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            before_ns = now_ns()
            joules = self._device.energy_j()
            t_ns = (before_ns + now_ns()) // 2
            self._rows.append((t_ns, joules, *self._device.power()))


class Load:
    """A child that works when told to. Raises RuntimeError with its last words when it cannot."""

    def __init__(self, command: list[str]) -> None:
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def work(self, duration_s: float) -> int:
        """Begin to work for so long, and return at once: when it began."""
        assert self._child.stdin and self._child.stdout
        try:
            print(duration_s, file=self._child.stdin, flush=True)
            return int(self._child.stdout.readline())
        except (BrokenPipeError, ValueError):
            _, errors = self._child.communicate()
            last = errors.strip().splitlines()[-1:] or ["it ended without a word"]
            msg = f"the load does not run: {last[0]}"
            raise RuntimeError(msg) from None

    def close(self) -> None:
        self._child.kill()
        self._child.communicate()


class Spans(NamedTuple):
    """When what was done. None: there was no load."""

    bare: Span
    loaded: Span | None = None
    load: Span | None = None
    after: Span | None = None
    steps_ns: tuple[int, ...] = ()


def spans_of(command: list[str], each_s: float, steps: int, step_s: float) -> Spans:
    """Go through idle, loaded idle, load, idle just after it, and steps of load."""
    bare = _while(lambda: time.sleep(each_s))
    try:
        load = Load(command)
    except OSError as error:
        msg = f"the load does not run: {error}"
        raise RuntimeError(msg) from None
    try:
        load.work(0.05)  # answered once everything is in memory
        time.sleep(0.1 + each_s / 4)
        loaded = _while(lambda: time.sleep(each_s))
        begin = load.work(each_s)
        time.sleep(max(0.0, each_s - seconds(begin, now_ns())))
        busy = (begin, now_ns())
        after = _while(lambda: time.sleep(each_s))
        rises = []
        for _ in range(steps):
            rises.append(load.work(step_s))
            time.sleep(max(0.0, 2 * step_s - seconds(rises[-1], now_ns())))
    finally:
        load.close()
    return Spans(bare, loaded, busy, after, tuple(rises))


def _while(action: Callable[[], None]) -> Span:
    begin = now_ns()
    action()
    return begin, now_ns()


def tick(t_ns: NDArray[np.int64], values: Floats) -> str:
    """Median and 95th percentile of the time between changes."""
    changed = t_ns[1:][np.diff(values) != 0]
    gaps = [seconds(int(a), int(b)) * 1e3 for a, b in pairwise(changed)]
    if not gaps or np.isnan(values).all():
        return "-"
    return f"{median(gaps):.1f} ms ({np.quantile(gaps, 0.95):.1f})"


def integral_j(t_ns: NDArray[np.int64], power_w: Floats) -> Floats:
    """Joules so far, each reading held until the next."""
    held = power_w[:-1] * np.diff(t_ns) / 1e9
    return np.concatenate([[0.0], np.cumsum(held)])


def counted(seen: Seen) -> Seen:
    """Cut to whole ticks of the counter, so that its joules and its time are of one stretch."""
    changes = np.flatnonzero(np.diff(seen.counter_j)) + 1
    if len(changes) < 2:
        return seen.part(0, 0)
    return seen.part(int(changes[0]), int(changes[-1]) + 1)


def mean_w(seen: Seen) -> float | None:
    """By the counter, else by the instant power."""
    ticks = counted(seen)
    if len(ticks.t_ns):
        return float(np.ptp(ticks.counter_j)) / seconds(int(ticks.t_ns[0]), int(ticks.t_ns[-1]))
    return None if np.isnan(seen.instant_w).any() else float(seen.instant_w.mean())


def report(seen: Seen, spans: Spans, step_s: float) -> None:
    bare = seen.within(spans.bare)
    rows = [("tick when idle (p95)", ticks(bare))]
    if spans.load:
        rows.append(("tick under load (p95)", ticks(seen.within(spans.load))))
        rows.append((f"lag, of {len(spans.steps_ns)} steps", lags(seen, spans.steps_ns, step_s)))
    rows.append(("joules, idle", against(counted(bare))))
    if spans.load:
        rows.append(("joules, under load", against(counted(seen.within(spans.load)))))
    print(f"{'':24}{'counter':22}{'instant power':22}{'average power':22}".rstrip())
    for label, cells in rows:
        print((f"{label:24}" + "".join(f"{cell:22}" for cell in cells)).rstrip())
    print()
    for what, span in (
        ("bare idle", spans.bare),
        ("loaded idle", spans.loaded),
        ("just after load", spans.after),
    ):
        watts = mean_w(seen.within(span)) if span else None
        print(f"{what:24}" + ("-" if watts is None else f"{watts:.2f} W"))


def ticks(seen: Seen) -> list[str]:
    return [tick(seen.t_ns, v) for v in (seen.counter_j, seen.instant_w, seen.average_w)]


def lags(seen: Seen, steps_ns: tuple[int, ...], step_s: float) -> list[str]:
    cells = []
    powers = (integral_j(seen.t_ns, seen.instant_w), integral_j(seen.t_ns, seen.average_w))
    for joules in (seen.counter_j, *powers):
        lag = None
        if not np.isnan(joules).any():
            lag = lag_from_steps(seen.t_ns, joules, steps_ns, step_s)
        known = lag is not None and lag.error_s < step_s / 2
        cells.append(
            f"{lag.lag_s * 1e3:.0f} ± {lag.error_s * 1e3:.0f} ms" if lag and known else "-"
        )
    return cells


def against(ticks: Seen) -> list[str]:
    """The counter's joules over whole ticks, and the integrals of power over the same stretch."""
    if not len(ticks.t_ns):
        return ["-"] * 3
    joules = float(np.ptp(ticks.counter_j))
    cells = [f"{joules:.1f} J"]
    for power in (ticks.instant_w, ticks.average_w):
        total = float(integral_j(ticks.t_ns, power)[-1])
        cells.append("-" if np.isnan(total) else f"{total:.1f} J ({total / joules:.3f} ×)")
    return cells


def command_of(given: Any) -> list[str]:
    if given.url:
        return [sys.executable, "-c", SERVER, given.url, given.model]
    if given.load == "torch":
        return [sys.executable, "-c", TORCH.replace("GPU", str(given.gpu))]
    return shlex.split(given.load)


def main() -> None:
    options = argparse.ArgumentParser(description="How an NVIDIA GPU's own meter behaves.")
    options.add_argument("--gpu", type=int, default=0)
    options.add_argument("--seconds", type=float, default=12.0)
    options.add_argument("--steps", type=int, default=8)
    options.add_argument("--step-seconds", type=float, default=0.8)
    options.add_argument("--load", default="torch")
    options.add_argument("--url")
    options.add_argument("--model", default="default")
    given = options.parse_args()
    try:
        nvml = within(30.0, opened)
        device = next((d for d in found(nvml) if d.index == given.gpu), None)
    except SensorUnavailableError as error:
        sys.exit(f"{error.message} {error.mend}")
    if device is None:
        sys.exit(f"--gpu {given.gpu}: no GPU of this index tells its energy or power.")
    driver = nvml.nvmlSystemGetDriverVersion()
    recorder = Recorder(device)
    recorder.start()
    missing = None
    try:
        spans = spans_of(command_of(given), given.seconds, given.steps, given.step_seconds)
    except RuntimeError as error:
        end_ns = now_ns()
        spans = Spans((end_ns - round(given.seconds * 1e9), end_ns))
        missing = str(error)
    seen = recorder.stop()
    print(f"{device.product}, GPU {device.index}, driver {driver}; {device.domain().note}\n")
    report(seen, spans, given.step_seconds)
    if missing:
        print(f"\nIdle alone: {missing}.")
        sys.exit(1)


if __name__ == "__main__":
    main()
