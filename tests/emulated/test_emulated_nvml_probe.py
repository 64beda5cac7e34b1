"""benchmarks/gpu_probe.py finds out what the emulated GPU was told to be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emulated.nvml import EmulatedGpu, NoCompilerError, environment, write_state

ROOT = Path(__file__).parents[2]
S = 10**9


def probed(env: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks.gpu_probe", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def numbers(table: str, label: str) -> list[float]:
    (line,) = [line for line in table.splitlines() if line.startswith(label)]
    return [float(n) for n in re.findall(r"[0-9]+\.?[0-9]*", line.removeprefix(label))]


@pytest.fixture
def begin_ns() -> int:
    return time.monotonic_ns() - S


@pytest.fixture
def env(tmp_path: Path, begin_ns: int) -> dict[str, str]:
    """Where an idle GPU of 60 W is seen, whose counter ticks every 20 ms and lags by 30."""
    state = tmp_path / "nvml"
    still = [begin_ns, begin_ns + 600 * S], [0.0, 60.0 * 600]
    write_state(state, [EmulatedGpu(*still, tick_s=0.02, lag_s=0.03, power_tick_s=0.01)])
    try:
        return environment(state)
    except NoCompilerError as error:
        pytest.skip(str(error))


def test_tick_lag_joules_and_baselines_are_those_of_the_gpu(
    env: dict[str, str], begin_ns: int
) -> None:
    load = f"{sys.executable} {Path(__file__).with_name('emulated_load.py')} {begin_ns}"
    short = ("--seconds", "0.3", "--steps", "4", "--step-seconds", "0.2", "--load", load)
    for _ in range(10):  # until the machine has let two of the steps be seen
        done = probed(env, *short)
        assert done.returncode == 0, done.stderr
        table = done.stdout
        lag = numbers(table, "lag, of 4 steps")
        if lag:
            break
    assert lag and lag[0] == pytest.approx(30, abs=20 + lag[1])
    assert table.startswith("NVIDIA H100 80GB HBM3, GPU 0, driver 575.57.08")
    # A look that comes late makes its tick longer, and no look makes one shorter.
    assert 15 <= numbers(table, "tick under load (p95)")[0] < 2000
    counter, _, ratio, *_ = numbers(table, "joules, idle")
    assert counter >= 60 * 0.28 - 4
    assert ratio == pytest.approx(1, abs=0.15)
    assert numbers(table, "bare idle") == [pytest.approx(60, abs=6)]
    assert numbers(table, "loaded idle") == [pytest.approx(60, abs=6)]


def test_without_a_load_idle_alone_is_measured(env: dict[str, str]) -> None:
    done = probed(env, "--seconds", "0.3", "--load", "/nowhere/load")
    assert done.returncode == 1
    assert numbers(done.stdout, "bare idle") == [pytest.approx(60, abs=6)]
    assert "loaded idle             -" in done.stdout
    assert "Idle alone: the load does not run: " in done.stdout


def test_without_a_driver_it_says_so() -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has the real driver")
    done = probed({"LD_LIBRARY_PATH": ""})
    assert done.returncode == 1
    assert done.stderr.startswith("No NVIDIA driver here: libnvidia-ml.so.1 is absent.")
    assert done.stdout == ""
