"""The emulated NVML shows its truth as its settings say: pynvml's readings against arithmetic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pynvml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emulated import clock
from emulated.nvml import (
    EmulatedGpu,
    Fault,
    NoCompilerError,
    Throttle,
    environment,
    library,
    sensed,
    write_state,
)

S = 10**9
MS = 10**6


def compiled() -> bool:
    try:
        library(), clock.library()
    except NoCompilerError:
        return False
    return True


needs_cc = pytest.mark.skipif(
    not compiled(), reason="no C compiler to build the emulated NVML with"
)
RAMP_T = np.arange(0, 101, dtype=np.int64) * S
RAMP_J: NDArray[np.float64] = 300.0 * np.arange(101, dtype=np.float64)
"""300 W for 100 s."""


class Library:
    """A process under the virtual clock that reads the emulated GPUs when told to."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "nvml"
        write_state(self.state, [])
        env = {**os.environ, **environment(self.state), **clock.environment(folder / "clock")}
        env["PYTHONPATH"] = str(Path(clock.__file__).parents[1])
        self._child = subprocess.Popen(
            [sys.executable, "-W", "error", str(Path(__file__).with_name("nvml_reader.py"))],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def show(self, *gpus: EmulatedGpu) -> None:
        write_state(self.state, gpus)

    def ask(self, t_ns: int, function: str, *arguments: Any, gpu: int = 0) -> Any:
        """The result of a pynvml function on a GPU at a virtual time, or ["error", its value]."""
        assert self._child.stdin and self._child.stdout
        print(json.dumps([t_ns, function, gpu, arguments]), file=self._child.stdin, flush=True)
        return json.loads(self._child.stdout.readline())

    def counter_j(self, *t_ns: int, gpu: int = 0) -> list[float]:
        name = "nvmlDeviceGetTotalEnergyConsumption"
        return [self.ask(t, name, gpu=gpu) / 1e3 for t in t_ns]

    def power_w(self, t_ns: int, field: int = pynvml.NVML_FI_DEV_POWER_INSTANT) -> float | None:
        (watts,) = self.ask(t_ns, "fields", [field, 0])
        return None if watts is None else watts / 1e3

    def close(self) -> None:
        self._child.communicate(timeout=10)


@pytest.fixture(scope="module")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    reader = Library(tmp_path_factory.mktemp("nvml"))
    yield reader
    reader.close()


@needs_cc
def test_the_counter_moves_at_its_ticks_alone(nvml: Library) -> None:
    nvml.show(EmulatedGpu(RAMP_T, RAMP_J, tick_s=0.1, phase_s=0.03, start_j=1000.0))
    times = [5 * S + ms * MS for ms in (0, 29, 30, 129, 130)]
    seen = nvml.counter_j(*times)
    assert seen == pytest.approx([1000 + 300 * t for t in (4.93, 4.93, 5.03, 5.03, 5.13)])


@needs_cc
def test_lag_gain_and_quantum(nvml: Library) -> None:
    nvml.show(EmulatedGpu(RAMP_T, RAMP_J, tick_s=0, lag_s=0.25, gain=1.1, start_j=0, quantum_j=0.5))
    assert nvml.counter_j(10 * S) == [0.5 * np.floor(1.1 * 300 * 9.75 / 0.5)]
    nvml.show(EmulatedGpu(RAMP_T, RAMP_J, gain=1.2, power_gain=0.5))
    assert nvml.power_w(50 * S) == pytest.approx(150)


@needs_cc
def test_level_outside_its_knots(nvml: Library) -> None:
    nvml.show(EmulatedGpu(RAMP_T, RAMP_J, start_j=7))
    assert nvml.counter_j(0, 100 * S, 5000 * S) == [7, 30_007, 30_007]
    assert nvml.power_w(5000 * S) == 0


SQUARE_T = np.arange(0, 20 * 20 + 1, dtype=np.int64) * 50 * MS
SQUARE_W = np.tile([400.0, 100.0], 200)
SQUARE_J: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(SQUARE_W * 0.05)])
"""20 s of 100 ms periods: 400 W for the first half of each, 100 W for the second."""


@needs_cc
def test_a_quarter_of_the_time_is_not_the_whole(nvml: Library) -> None:
    """arXiv 2312.02741: what an A100 does in the other 75 ms of each 100 ms is not seen."""
    gpu = EmulatedGpu(SQUARE_T, SQUARE_J, duty=0.25, duty_period_s=0.1, start_j=0)
    nvml.show(gpu)
    begin, end = nvml.counter_j(5 * S, 15 * S)
    assert end - begin == pytest.approx(400 * 10)  # truly 2,500 J
    nvml.show(EmulatedGpu(SQUARE_T, SQUARE_J, duty=0.25, phase_s=0.05, start_j=0))
    begin, end = nvml.counter_j(5 * S, 15 * S)
    assert end - begin == pytest.approx(100 * 10)
    nvml.show(EmulatedGpu(SQUARE_T, SQUARE_J, duty=1.0, start_j=0))
    begin, end = nvml.counter_j(5 * S, 15 * S)
    assert end - begin == pytest.approx(250 * 10)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 700), min_size=1, max_size=50),
    st.floats(0.05, 1.0),
    st.floats(0, 0.2),
    st.sampled_from([0.05, 0.1, 0.25]),
)
def test_what_is_sensed_of_steady_power_is_the_truth(
    watts: list[float], duty: float, phase_s: float, period_s: float
) -> None:
    """Each piece of power lasts 10 periods: all but the periods on its edges are sensed rightly."""
    piece_ns = round(period_s * 1e9) * 10
    t = np.arange(len(watts) + 1, dtype=np.int64) * piece_ns
    joules = np.concatenate([[0.0], np.cumsum(np.array(watts) * piece_ns / 1e9)])
    gpu = EmulatedGpu(t, joules, duty=duty, duty_period_s=period_s, phase_s=phase_s)
    seen_t, seen_j = sensed(gpu)
    assert np.all(np.diff(seen_j) >= 0)
    steps = np.abs(np.diff([0.0, *watts, 0.0])).sum()
    truth = np.interp(seen_t, t, joules)
    assert np.all(np.abs(seen_j - truth) <= steps * period_s / duty + 1e-6)


@needs_cc
def test_power_of_the_moment_and_of_the_last_second(nvml: Library) -> None:
    t, j = [0, 10 * S, 20 * S], [0.0, 1000.0, 5000.0]  # 100 W, then 400 W
    nvml.show(EmulatedGpu(t, j, usage_is_average=True))
    assert nvml.power_w(10 * S + 500 * MS) == pytest.approx(400)
    average = nvml.power_w(10 * S + 500 * MS, pynvml.NVML_FI_DEV_POWER_AVERAGE)
    assert average == pytest.approx(250)
    assert nvml.ask(10 * S + 500 * MS, "nvmlDeviceGetPowerUsage") == 250_000
    nvml.show(EmulatedGpu(t, j, usage_is_average=False, has_instant=False, has_average=False))
    assert nvml.ask(10 * S + 500 * MS, "nvmlDeviceGetPowerUsage") == 400_000
    assert nvml.power_w(10 * S) is None
    assert nvml.power_w(10 * S, pynvml.NVML_FI_DEV_POWER_AVERAGE) is None


@needs_cc
def test_what_goes_wrong_goes_wrong_when_it_is_told_to(nvml: Library) -> None:
    faults = [
        Fault("frozen", 10 * S, 12 * S),
        Fault("step", 20 * S, value=-50.0),
        Fault("zero", 30 * S, 31 * S),
        Fault("absurd", 40 * S, 41 * S, value=9e12),
        Fault("dropout", 50 * S, 51 * S, value=pynvml.NVML_ERROR_GPU_IS_LOST),
        Fault("power-zero", 60 * S, 61 * S),
        Fault("reset", 70 * S),
    ]
    nvml.show(EmulatedGpu(RAMP_T, RAMP_J, start_j=1000, faults=faults))
    assert nvml.counter_j(10 * S, 11 * S, 12 * S) == [4000, 4000, 4600]
    assert nvml.counter_j(20 * S - 1, 20 * S) == [1000 + 300 * 19.9, 1000 + 6000 - 50]
    assert nvml.counter_j(30 * S, 31 * S) == [0, 10_250]
    assert nvml.counter_j(40 * S) == [9e12]
    lost = ["error", pynvml.NVML_ERROR_GPU_IS_LOST]
    assert nvml.ask(50 * S, "nvmlDeviceGetTotalEnergyConsumption") == lost
    assert nvml.ask(50 * S, "nvmlDeviceGetPowerUsage") == lost
    assert nvml.ask(51 * S, "nvmlDeviceGetPowerUsage") == 300_000
    assert [nvml.power_w(60 * S), nvml.power_w(61 * S)] == pytest.approx([0, 300])
    assert nvml.counter_j(70 * S - 1, 70 * S, 71 * S) == [1000 + 300 * 69.9 - 50, 0, 300]


@needs_cc
def test_it_wraps_at_its_range(nvml: Library) -> None:
    nvml.show(EmulatedGpu(RAMP_T, RAMP_J, start_j=0, wrap_j=4096.0))
    assert nvml.counter_j(13 * S, 14 * S) == [3900, 4200 - 4096]


@needs_cc
def test_state_follows_its_curves(nvml: Library) -> None:
    nvml.show(
        EmulatedGpu(
            RAMP_T,
            RAMP_J,
            temperature_c=[(0, 40.0), (10 * S, 80.0)],
            utilization=[(0, 0.0), (5 * S, 0.0), (5 * S + 1, 1.0)],
            throttle=[Throttle(0x4, 3 * S, 6 * S), Throttle(0x40, 5 * S, 7 * S)],
            power_limit_w=350,
            processes=[11, 12],
        )
    )
    assert nvml.ask(5 * S, "nvmlDeviceGetTemperature", 0) == 60
    assert [nvml.ask(t, "utilization") for t in (5 * S, 6 * S)] == [0, 100]
    bits = [nvml.ask(t * S, "nvmlDeviceGetCurrentClocksEventReasons") for t in (2, 3, 5, 6, 7)]
    assert bits == [0, 0x4, 0x44, 0x40, 0]
    assert nvml.ask(0, "nvmlDeviceGetEnforcedPowerLimit") == 350_000
    assert nvml.ask(0, "pids") == [[11, 2**32 - 1], [12, 2**32 - 1]]


@needs_cc
def test_a_new_state_is_seen_at_once_and_the_old_file_is_gone(nvml: Library) -> None:
    nvml.show(EmulatedGpu(RAMP_T, RAMP_J, start_j=1))
    assert nvml.counter_j(0) == [1]
    nvml.show(EmulatedGpu(RAMP_T, RAMP_J, start_j=2), EmulatedGpu(RAMP_T, RAMP_J, start_j=3))
    assert [nvml.counter_j(0, gpu=gpu) for gpu in (0, 1)] == [[2], [3]]
    assert len(list(nvml.state.parent.glob("nvml.*"))) == 1
    nvml.show()
    assert nvml.ask(0, "nvmlDeviceGetName") == ["error", pynvml.NVML_ERROR_INVALID_ARGUMENT]


@needs_cc
def test_a_call_takes_its_time_and_looks_in_the_middle_of_it(nvml: Library) -> None:
    nvml.show(EmulatedGpu(RAMP_T, RAMP_J, tick_s=0, start_j=0, read_cost_s=0.004))
    before, joules, after = nvml.ask(5 * S, "timed")
    assert after - before == pytest.approx(4 * MS, abs=10_000)
    assert joules == pytest.approx(300 * (before + after) / 2e9, abs=0.01)


def test_wrong_truths_are_refused(tmp_path: Path) -> None:
    for t, j, message in (
        ([0, 1], [0.0], "as long"),
        ([], [], "not empty"),
        ([1, 1], [0.0, 1.0], "must rise"),
        ([0, 1], [1.0, 0.0], "never fall"),
        ([0, 1], [0.0, float("nan")], "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            write_state(tmp_path / "nvml", [EmulatedGpu(t, j)])
    with pytest.raises(ValueError, match="duty"):
        write_state(tmp_path / "nvml", [EmulatedGpu(duty=0)])
    with pytest.raises(ValueError, match="'step' needs a value"):
        write_state(tmp_path / "nvml", [EmulatedGpu(faults=[Fault("step", 0)])])
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(NoCompilerError, match="no C compiler"):
        library()
