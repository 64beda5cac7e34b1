"""What observing costs: CPU time of perwatt's sampler beside zeus and nvidia-smi, on one NVML.

    python -m benchmarks.observer_cost [--zeus-python PATH] [--rounds 3] [--seconds 1]

Eight emulated GPUs (emulated/nvml.py, power that changes every 20 ms) are read by each contender
at 20 and 100 Hz, one of them or all eight. `--zeus-python` is an interpreter with zeus installed,
which is too large to be a dependency. All contenders are started first and then held by SIGSTOP;
in each round each gets its turn, so that a slow spell of the machine falls on all. Counted is the
CPU time of its whole process tree, which no sleep and no neighbour is part of. The table is printed
for calls of the driver that cost nothing, which is what the observer itself costs, and for calls of
20 µs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

GPUS = (1, 8)
RATES_HZ = (20, 100)
CALL_S = (0.0, 20e-6)
SETTLE_S = 0.15
READS = {
    "perwatt Sampler": "counter; both powers ≤ 25/s; state 5/s; memory, limit, °C 1/s",
    "zeus PowerMonitor": "both powers",
    "zeus ZeusMonitor": "counter twice: the end of a window, the start of the next",
    "nvidia-smi -lms": "power, state, memory, °C",
}


def perwatt_sampler(gpus: int, hz: int) -> None:
    from perwatt.sensors.nvml import NvmlSensor
    from perwatt.sensors.sampler import Sampler

    sampler = Sampler([NvmlSensor(",".join(map(str, range(gpus))))], hz, timing_s=0)
    sampler.start()
    while ready():
        time.sleep(1)
        sampler.drain()


def zeus_power_monitor(gpus: int, hz: int) -> None:
    from zeus.monitor.power import PowerMonitor  # type: ignore[import-not-found,unused-ignore]

    monitor = PowerMonitor(gpu_indices=list(range(gpus)), update_period=1 / hz)
    while ready():
        time.sleep(1)
        for domain in monitor.measurement_domains:  # as `drain`: what is queued is taken over
            monitor.get_power_timeline(domain, start_time=time.time())


def zeus_monitor(gpus: int, hz: int) -> None:
    from zeus.monitor import ZeusMonitor  # type: ignore[import-not-found,unused-ignore]

    monitor = ZeusMonitor(gpu_indices=list(range(gpus)), cpu_indices=[])
    due = time.monotonic()
    monitor.begin_window("all", sync_execution=False)
    while ready():
        monitor.end_window("all", sync_execution=False)
        monitor.begin_window("all", sync_execution=False)
        due = max(due + 1 / hz, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def nvidia_smi(gpus: int, hz: int) -> None:
    fields = "power.draw.instant,power.draw.average,utilization.gpu,memory.used,temperature.gpu"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
    command += ["-lms", str(1000 // hz), "-i", ",".join(map(str, range(gpus)))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as polling:
        while ready() and polling.poll() is None:
            time.sleep(1)
    sys.exit("nvidia-smi ended")


CONTENDERS: dict[str, Callable[[int, int], None]] = {
    "perwatt Sampler": perwatt_sampler,
    "zeus PowerMonitor": zeus_power_monitor,
    "zeus ZeusMonitor": zeus_monitor,
    "nvidia-smi -lms": nvidia_smi,
}
said_ready = False


def ready() -> bool:
    """Tell the parent, once, that sampling has begun."""
    global said_ready
    if not said_ready:
        print("ready", flush=True)
        said_ready = True
    return True


class Contender:
    """One contender at one setting: a tree of processes, held but for its turns."""

    def __init__(self, python: str, name: str, gpus: int, hz: int, env: dict[str, str]) -> None:
        self.key = (name, gpus, hz)
        command = [python, __file__, "--contender", name, str(gpus), str(hz)]
        self._process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.shares: dict[float, list[float]] = {cost: [] for cost in CALL_S}

    def started(self) -> str | None:
        """None once it samples, else why it does not."""
        assert self._process.stdout
        if self._process.stdout.readline().strip() == "ready":
            self._signal(signal.SIGSTOP)
            return None
        _, errors = self._process.communicate()
        return errors.strip().splitlines()[-1] if errors.strip() else "it ended without a word"

    def turn(self, call_s: float, seconds: float) -> None:
        self._signal(signal.SIGCONT)
        time.sleep(SETTLE_S)
        begun, begun_cpu = time.monotonic(), self._cpu_s()
        time.sleep(seconds)
        cpu, took = self._cpu_s() - begun_cpu, time.monotonic() - begun
        self._signal(signal.SIGSTOP)
        self.shares[call_s].append(cpu / took)

    def end(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.communicate()

    def _cpu_s(self) -> float:
        # man 3 clock_getcpuclockid: the CPU-time clock of another process, in nanoseconds.
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self._tree())

    def _signal(self, number: int) -> None:
        for pid in self._tree():
            os.kill(pid, number)

    def _tree(self) -> list[int]:
        found = [self._process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in task.read_text().split()]
        return found


def show_gpus(state: Path, call_s: float) -> None:
    import numpy as np

    from emulated.nvml import EmulatedGpu, write_state

    t_ns = time.monotonic_ns() + np.arange(-100, 30_000, dtype=np.int64) * 20_000_000
    watts = 300 + 100 * np.random.default_rng(0).standard_normal(len(t_ns) - 1).clip(-2.5, 2.5)
    joules = np.concatenate([[0.0], np.cumsum(watts * 0.02)])
    write_state(state, [EmulatedGpu(t_ns, joules, tick_s=0.1, read_cost_s=call_s)] * 8)


def zeus_version(python: str) -> str | None:
    """None where there is no such interpreter, or no zeus in it."""
    ask = "from importlib.metadata import version; print(version('zeus'))"
    try:
        done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def started(folder: Path, zeus_python: str | None) -> list[Contender]:
    """Every contender that can be had here; of the others it is printed why not."""
    from emulated.nvml import environment

    state = folder / "nvml"
    show_gpus(state, 0.0)
    root = str(Path(__file__).parents[1])
    env = {**os.environ, **environment(state), "PYTHONPATH": root}
    pythons = {"perwatt Sampler": sys.executable}
    version = zeus_version(zeus_python) if zeus_python else None
    if zeus_python and version:
        print(f"zeus {version}")
        pythons |= {"zeus PowerMonitor": zeus_python, "zeus ZeusMonitor": zeus_python}
    else:
        print("zeus: not here (--zeus-python names an interpreter that has it)")
    if shutil.which("nvidia-smi"):
        pythons["nvidia-smi -lms"] = sys.executable
    else:
        print("nvidia-smi: not here")
    running = []
    for name, python in pythons.items():
        for gpus in GPUS:
            for hz in RATES_HZ:
                contender = Contender(python, name, gpus, hz, env)
                why_not = contender.started()
                if why_not is None:
                    running.append(contender)
                else:
                    print(f"{name}, {gpus} GPUs, {hz} Hz: does not run here: {why_not}")
    return running


def main() -> None:
    if sys.argv[1:2] == ["--contender"]:
        name, gpus, hz = sys.argv[2:]
        CONTENDERS[name](int(gpus), int(hz))
        return
    options = argparse.ArgumentParser(description="What observing costs.")
    options.add_argument("--zeus-python", metavar="PATH")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=1.0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        contenders = started(Path(folder), given.zeus_python)
        try:
            for call_s in CALL_S:
                show_gpus(Path(folder) / "nvml", call_s)
                for _ in range(given.rounds):
                    for contender in contenders:
                        contender.turn(call_s, given.seconds)
        finally:
            for contender in contenders:
                contender.end()
    for call_s in CALL_S:
        print(f"\nCalls of the driver take {call_s * 1e6:g} µs. CPU as a share of one core, median")
        print(f"of {given.rounds} turns of {given.seconds:g} s (lowest to highest):\n")
        table(contenders, call_s)


def table(contenders: list[Contender], call_s: float) -> None:
    ours = {c.key[1:]: median(c.shares[call_s]) for c in contenders if c.key[0].startswith("perw")}
    print(f"{'':18} GPUs   Hz   of a core                × perwatt  reads")
    for contender in contenders:
        name, gpus, hz = contender.key
        shares = contender.shares[call_s]
        spread = f"({min(shares):.3%} to {max(shares):.3%})"
        ratio = median(shares) / ours[gpus, hz]
        cost = f"{median(shares):.3%} {spread:20} {ratio:7.2f}"
        print(f"{name:18} {gpus:4} {hz:4}   {cost}  {READS[name]}")


if __name__ == "__main__":
    main()
