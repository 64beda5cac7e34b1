"""NvmlSensor through the real pynvml on emulated GPUs: what it reads, and from which of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from emulated.nvml import EmulatedGpu, Fault, Throttle
from perwatt.sensors.nvml_fields import throttle_names, usage_window_s

S = 10**9
RAMP_T = np.arange(0, 1001, dtype=np.int64) * S
GPU = EmulatedGpu(RAMP_T, 300.0 * np.arange(1001, dtype=np.float64))
"""300 W for 1,000 s."""
InChild = Callable[..., Any]

READ = """
    sensor = NvmlSensor()
    out = []
    for domain in sensor.probe():
        fields = "kind grade boundary device max_power_w power_window_s note".split()
        out.append({f: getattr(domain, f) for f in fields})
    virtual.set(105 * S)
    for each, reading in zip(out, sensor.read(), strict=True):
        for field in reading.__struct_fields__:
            each[field] = getattr(reading, field)
    sensor.close()
    sensor.close()
    print(json.dumps(out))
"""


def test_all_that_a_gpu_tells_is_read(nvml_child: InChild) -> None:
    t = [0, 104 * S, 200 * S]
    gpu = EmulatedGpu(
        t,
        [0, 10_400.0, 10_400.0 + 96 * 400],  # 100 W, and 400 W from 104 s on
        tick_s=0.1,
        temperature_c=63.0,
        power_limit_w=650,
        throttle=[Throttle(0x1 | 0x2 | 0x4 | 0x40 | 0x100)],
    )
    (seen,) = nvml_child([gpu], READ)
    assert (seen["kind"], seen["grade"], seen["boundary"]) == ("counter", "B", "accelerator")
    assert (seen["device"], seen["max_power_w"]) == ("NVIDIA H100 80GB HBM3", 650)
    assert seen["power_window_s"] is None
    assert seen["counter_j"] == pytest.approx(1000 + 10_400 + 400)
    assert seen["power_w"] == pytest.approx(400)
    assert seen["power_average_w"] == pytest.approx(400)
    assert seen["throttle"] == ["sw-power-cap", "hw-thermal"]
    assert (seen["utilization"], seen["memory_bytes"]) == (0.37, 1_234_567_890)
    assert (seen["temperature_c"], seen["clock_mhz"], seen["power_limit_w"]) == (63, 1755, 650)
    assert seen["error"] is None
    assert seen["t_ns"] == pytest.approx(105 * S, abs=10_000)


def test_the_counter_alone_lies_between_the_marks(nvml_child: InChild) -> None:
    """Each call takes 4 ms, and yet joules and time are of one moment."""
    gpu = replace(GPU, tick_s=0, start_j=0, read_cost_s=0.004)
    (seen,) = nvml_child([gpu], READ)
    assert seen["counter_j"] == pytest.approx(300 * seen["t_ns"] / 1e9, abs=0.01)


def test_a_gpu_without_a_counter_is_a_gauge(nvml_child: InChild) -> None:
    (seen,) = nvml_child([replace(GPU, has_counter=False, power_gain=0.9)], READ)
    assert (seen["kind"], seen["grade"], seen["counter_j"]) == ("gauge", "C", None)
    assert seen["power_w"] == pytest.approx(270)


@pytest.mark.parametrize(
    ("name", "architecture", "window_s"),
    [
        ("NVIDIA GeForce RTX 4090", 8, 1.0),
        ("NVIDIA H200", 9, 1.0),
        ("NVIDIA A10", 7, 1.0),
        ("NVIDIA A100-SXM4-80GB", 7, None),
        ("NVIDIA A30", 7, None),
        ("Tesla V100-SXM2-16GB", 5, None),
        ("NVIDIA GPU", None, None),
    ],
)
def test_whose_power_is_a_mean_over_a_second(
    name: str, architecture: int | None, window_s: float | None
) -> None:
    assert usage_window_s(architecture, name) == window_s


def test_without_the_instant_field_the_window_is_told(nvml_child: InChild) -> None:
    t, j = [0, 104 * S + S // 2, 200 * S], [0.0, 10_450.0, 10_450.0 + 95.5 * 400]
    old = EmulatedGpu(t, j, has_instant=False, has_average=False)
    (seen,) = nvml_child([old], READ)
    assert (seen["power_window_s"], seen["power_average_w"]) == (1.0, None)
    assert seen["power_w"] == pytest.approx(250)  # half the last second at 100 W, half at 400 W


def test_only_what_holds_clocks_down_is_throttling() -> None:
    assert throttle_names(0) == throttle_names(0x1 | 0x2 | 0x100) == ()
    assert throttle_names(0x7FF) == (
        "sw-power-cap",
        "hw-slowdown",
        "sync-boost",
        "sw-thermal",
        "hw-thermal",
        "hw-power-brake",
        "board-limit",
        "reliability",
    )


def test_a_superchips_watts_are_of_the_module_like_its_joules(nvml_child: InChild) -> None:
    (seen,) = nvml_child([replace(GPU, name="NVIDIA GH200 480GB", host_w=120.0)], READ)
    assert "whole module: CPU, GPU and memory" in seen["note"]
    assert "GPU alone" not in seen["note"]
    assert seen["power_w"] == pytest.approx(300)
    assert seen["max_power_w"] is None
    (seen,) = nvml_child([replace(GPU, name="A chip of tomorrow", host_w=120.0)], READ)
    assert "whole module" in seen["note"]  # by its link between CPU and GPU
    (seen,) = nvml_child([replace(GPU, name="NVIDIA GH200 480GB")], READ)
    assert "power reading may be of the GPU alone" in seen["note"]


@pytest.mark.parametrize(("hz", "power_reads"), [(20, 10), (100, 13)])
def test_slow_state_is_asked_for_seldom(nvml_child: InChild, hz: int, power_reads: int) -> None:
    """Half a second at 1 ms a call: the counter each time, state 3 times, the slow one once."""
    spent = nvml_child(
        [replace(GPU, read_cost_s=0.001)],
        f"""
        sensor = NvmlSensor()
        sensor.probe()
        sensor.read()
        virtual.set_step(0)
        spent = 0
        for i in range({hz} // 2):
            virtual.set(200 * S + i * S // {hz})
            begin = virtual.now_ns()
            reading, = sensor.read()
            assert (reading.temperature_c, reading.power_w) == (41, 300)
            spent += virtual.now_ns() - begin
        print(json.dumps(spent))
        """,
    )
    assert spent == pytest.approx((hz // 2 + power_reads + 3 * 3 + 3) * 1_000_000, rel=0.01)


MEASURE = """
    import pathlib
    import numpy as np
    from emulated.nvml import EmulatedGpu, Fault, write_state
    from perwatt.attribution.integrate import curve_of, energy_between
    from perwatt.sensors.sampler import Sampler
    from tests.sensors.real_time import step_gap_s, until

    start = time.monotonic_ns()
    busy, done = start + 400_000_000, start + 900_000_000
    t = [start - S, busy, done, done + 900 * S]
    joules = [0.0, 84.0, 284.0, 54284.0]  # 60 W, then 400 W, then 60 W
    lost = [Fault("dropout", start + 600_000_000, start + 700_000_000)]
    # Where the machine holds it up, it is lost for longer.
    lost += [Fault("dropout", start + s * S, start + (s + 1) * S) for s in range(3, 60, 2)]
    gpus = [
        EmulatedGpu(t, joules, tick_s=0.02, faults=lost),
        EmulatedGpu(t, joules, has_counter=False),
    ]
    write_state(pathlib.Path(os.environ["EMULATED_NVML"]), gpus)
    sensor = NvmlSensor()
    sampler = Sampler([sensor], 100, timing_s=0)
    samples = []

    def seen():
        samples.extend(sampler.drain())
        good = {s.domain for s in samples if s.t_ns > done + S // 5 and s.flag is None}
        return len(good) == 2 and any(s.flag == "read-failed" for s in samples)

    sampler.start()
    until(seen)
    sampler.stop()
    samples += sampler.drain()
    sensor.close()
    out = {}
    for domain in sampler.domains:
        own = [s for s in samples if s.domain == domain.name]
        curve = curve_of(samples, domain)
        a, b = int(curve.t_ns[0]), int(curve.t_ns[-1])
        # A counter's ends may be one tick old. A gauge sees a step when it is read.
        off_s = 0.03 if domain.name == "gpu0" else 0.0
        shown_a, shown_b = np.interp([a - off_s * S, b - off_s * S], t, joules)
        true_a, true_b = np.interp([a, b], t, joules)
        gaps_s = sum(step_gap_s(own, at) for at in (busy, done)) + 0.1
        out[domain.name] = {
            "joules": energy_between(curve, a, b),
            "true": true_b - true_a,
            "off": true_a - shown_a + true_b - shown_b if off_s else 340 * gaps_s,
            "flags": sorted({s.flag for s in own if s.flag}),
            "of failed": [s.counter_j for s in own if s.flag == "read-failed"],
        }
    print(json.dumps(out))
"""


def test_joules_are_those_that_the_emulated_gpu_drew(nvml_child: InChild) -> None:
    """In real time, through the sampler's own thread, with one GPU lost for a while."""
    seen = nvml_child([], MEASURE, real_time=True)
    for gpu in seen.values():
        assert gpu["joules"] == pytest.approx(gpu["true"], abs=gpu["off"])
    assert "read-failed" in seen["gpu0"]["flags"]
    assert set(seen["gpu0"]["of failed"]) == {None}


FAULTS = """
    from perwatt.sensors.sampler import Sampler

    sampler = Sampler([NvmlSensor()], 20, timing_s=0)
    for t in range(101 * 20, 125 * 20):
        virtual.set(t * S // 20)
        sampler.read_now()
    samples = sampler.drain()
    flags = {}
    for s in samples:
        if s.flag:
            flags.setdefault(s.flag, []).append(s.t_ns / S)
    good = [s for s in samples if s.counter_j is not None]
    print(json.dumps([flags, good[-1].counter_j - good[0].counter_j]))
"""


@pytest.mark.parametrize(
    ("fault", "flag", "lost_j"),
    [
        (Fault("dropout", 110 * S, 111 * S), "read-failed", 0),
        (Fault("zero", 110 * S, 111 * S), "zero", 0),
        (Fault("absurd", 110 * S, 110 * S + S // 10, value=1e15), "implausible", 0),
        (Fault("reset", 110 * S), "reset", 300 * 0.2),
        (Fault("step", 110 * S, value=-9000.0), "reset", 300 * 0.2),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_what_a_counter_cannot_do_is_flagged_and_costs_no_joules(
    nvml_child: InChild, fault: Fault, flag: str, lost_j: float
) -> None:
    flags, joules = nvml_child([replace(GPU, faults=[fault])], FAULTS)
    assert flag in flags
    assert all(110 <= t <= 111.2 for times in flags.values() for t in times)
    assert joules == pytest.approx(300 * 23.9, abs=lost_j + 30)


@pytest.mark.parametrize(("product", "duty"), [("NVIDIA H100 80GB HBM3", 0.25), ("L4", None)])
def test_parts_that_look_part_of_the_time_say_so(
    nvml_child: Any, product: str, duty: float | None
) -> None:
    gpu = EmulatedGpu((0, 200 * S), (0.0, 20_000.0), name=product)
    said = nvml_child([gpu], "print(json.dumps([d.duty for d in NvmlSensor().probe()]))")
    assert said == [duty]
