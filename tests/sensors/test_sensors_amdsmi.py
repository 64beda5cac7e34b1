"""AmdSmiSensor through the real `amdsmi` package on an emulated library with known joules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from emulated.amdsmi import (
    EmulatedAmdGpu,
    NoCompilerError,
    NoPackageError,
    environment,
    write_state,
)
from perwatt.sensors.amdsmi_gpu import counter_fault
from tests.sensors.real_time import OF_THE_MACHINE

S = 1_000_000_000
InChild = Callable[[Sequence[EmulatedAmdGpu], str], Any]


@pytest.fixture
def in_child(tmp_path: Path) -> InChild:
    """Runs a script that sees these GPUs; its last printed line, read as JSON, is the result."""

    def run(gpus: Sequence[EmulatedAmdGpu], script: str) -> Any:
        state = tmp_path / "state"
        write_state(state, gpus)
        try:
            more = environment(state)
        except (NoCompilerError, NoPackageError) as error:
            pytest.skip(str(error))
        return child(script, more)

    return run


def child(script: str, more: dict[str, str]) -> Any:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        env=os.environ | more,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()  # nothing else reaches stdout
    return json.loads(line)


def steady(watts: float, **settings: Any) -> EmulatedAmdGpu:
    start = time.monotonic_ns() - 10 * S
    return EmulatedAmdGpu((start, start + 1000 * S), (0.0, 1000 * watts), **settings)


PROBE = """
    import json
    from perwatt.sensors.amdsmi import AmdSmiSensor
    sensor = AmdSmiSensor({address})
    domains = sensor.probe()
    told = {{d.name: [d.kind, d.grade, d.note, d.device, d.max_power_w] for d in domains}}
    print(json.dumps(told))
    sensor.close(); sensor.close()
"""


def test_joules_across_a_step_match_the_truth(in_child: InChild) -> None:
    out = in_child(
        [steady(100.0)],
        """
        import json, os, pathlib, time
        import numpy as np
        from emulated.amdsmi import EmulatedAmdGpu, write_state
        from perwatt.attribution.integrate import curve_of, energy_between
        from perwatt.sensors.amdsmi import AmdSmiSensor
        from perwatt.sensors.sampler import Sampler
        from tests.sensors.real_time import sampled

        sensor = AmdSmiSensor()
        sensor.probe()
        S = 1_000_000_000
        start = time.monotonic_ns()
        busy, done = start + S * 3 // 10, start + 600 * S
        gpu = EmulatedAmdGpu(
            (start - 10 * S, busy, done),
            (0.0, 1030.0, 1030.0 + 600 * 599.7),  # 100 W, then 600 W
            tick_s=0.005,
            throttled_ns=(busy, done),
        )
        write_state(pathlib.Path(os.environ["EMULATED_AMDSMI"]), [gpu])
        samples = sampled(sampler := Sampler([sensor], 100, timing_s=0), 0.6)
        sensor.close()
        curve = curve_of(samples, sampler.domains[0])
        last = samples[-1]
        ends = [int(t) for t in curve.t_ns[[0, -1]]]
        true_j = np.interp(ends, gpu.knots_t_ns, gpu.knots_j)
        print(json.dumps({
            "joules": energy_between(curve, *ends),
            "true": true_j[1] - true_j[0],
            "flags": sorted({s.flag for s in samples if s.flag}),
            "throttle": sorted({s.throttle for s in samples if s.throttle}),
            "state": [last.utilization, last.memory_bytes, last.temperature_c, last.clock_mhz],
            "limit": last.power_limit_w,
            "ordered": all(a.t_ns <= b.t_ns for a, b in zip(samples, samples[1:])),
        }))
        """,
    )
    assert out["joules"] == pytest.approx(out["true"], rel=0.002)
    assert set(out["flags"]) <= OF_THE_MACHINE and out["ordered"]
    assert out["throttle"] == ["sw-power-cap"]
    assert out["state"] == [0.8, 2**30, 55.0, 2100.0] and out["limit"] == 750.0


def test_a_table_is_given_once_and_dated_in_order_however_often_it_is_asked_for(
    in_child: InChild,
) -> None:
    out = in_child(
        [steady(100.0, tick_s=0.005)],
        """
        import json, time
        from perwatt.sensors.amdsmi import AmdSmiSensor
        sensor = AmdSmiSensor()
        sensor.probe()
        end, asked, dates = time.monotonic() + 0.2, 0, []
        while time.monotonic() < end:
            asked += 1
            dates += [reading.t_ns for reading in sensor.read()]
        sensor.close()
        gaps = [b - a for a, b in zip(dates, dates[1:])]
        print(json.dumps({"asked": asked, "given": len(dates), "least_gap_ns": min(gaps)}))
        """,
    )
    # Whole ticks apart: less would be one table dated twice.
    assert out["asked"] > out["given"] > 1 and out["least_gap_ns"] > 4_900_000, out


def test_a_counter_is_believed_only_where_it_agrees_with_the_power(in_child: InChild) -> None:
    gpus = [
        steady(300.0, pids=(1,)),
        steady(300.0, frozen_ns=(0, 2**62)),
        steady(300.0, gain=100.0),
        steady(300.0, no_counter=True, average_only=True),
        steady(300.0, no_metrics=True),
    ]
    out = in_child(gpus, PROBE.format(address="None"))
    assert {name: value[:2] for name, value in out.items()} == {
        "gpu0": ["counter", "B"],
        "gpu1": ["gauge", "C"],
        "gpu2": ["gauge", "C"],
        "gpu3": ["gauge", "C"],
        "gpu4": ["counter", "B"],
    }
    assert "for its energy counter stands still" in out["gpu1"][2]
    assert "counter said 3e+04 W while its power was 300 W" in out["gpu2"][2]
    assert "no energy counter, as in virtual machines" in out["gpu3"][2]
    assert out["gpu0"][3:] == ["AMD Instinct MI300X", 750.0]


def test_of_an_mi250x_one_die_tells_the_joules_of_both(in_child: InChild) -> None:
    dies = [
        steady(400.0, name="AMD Instinct MI250X"),
        steady(1.0, name="AMD Instinct MI250X", silent=True, pids=(os.getpid(),)),
        steady(90.0, name="AMD Instinct MI250X"),
        steady(1.0, name="AMD Instinct MI250X", silent=True),
    ]
    out = in_child(
        dies,
        f"""
        import json
        from perwatt.sensors.amdsmi import AmdSmiSensor
        sensor = AmdSmiSensor()
        every = [[d.name, d.note] for d in sensor.probe()]
        mine = [d.name for d in sensor.select([{os.getpid()}])]
        again = [d.name for d in sensor.probe()]
        print(json.dumps([every, mine, again, [r.domain for r in sensor.read()]]))
        """,
    )
    every, mine, again, read = out
    assert [name for name, _ in every] == ["gpu0", "gpu2"]
    assert "both dies: those of gpu1 too" in every[0][1]
    assert mine == again == read == ["gpu0"]  # the process is on the silent die


def test_addresses_pids_and_failing_reads(in_child: InChild, tmp_path: Path) -> None:
    write_state(tmp_path / "later", [steady(1.0), steady(1.0, fail_ns=(0, 2**62)), steady(1.0)])
    out = in_child(
        [steady(100.0), steady(100.0), steady(100.0)],
        f"""
        import json, os
        from perwatt.core.errors import SensorUnavailableError
        from perwatt.sensors.amdsmi import AmdSmiSensor
        sensor = AmdSmiSensor("1, 2")
        names = [d.name for d in sensor.probe()]
        notes = [d.note for d in sensor.select([999_999_999])]
        os.replace({str(tmp_path / "later")!r}, os.environ["EMULATED_AMDSMI"])
        errors = [[r.error, r.counter_j is None] for r in sensor.read()]
        try:
            AmdSmiSensor("7").probe()
        except SensorUnavailableError as error:
            said = str(error)
        print(json.dumps([names, notes, errors, said]))
        """,
    )
    names, notes, errors, said = out
    assert names == ["gpu1", "gpu2"]
    assert all("which GPU the engine uses could not be told" in note for note in notes)
    assert errors == [["AMDSMI_STATUS_BUSY - Device busy", True], [None, False]]
    assert said == "amdsmi:7 names the GPU '7'. There are: 0, 1, 2."


SAID = """
    import json
    from perwatt.core.errors import SensorUnavailableError
    from perwatt.sensors.amdsmi import AmdSmiSensor
    try:
        AmdSmiSensor().probe()
    except SensorUnavailableError as error:
        print(json.dumps([error.message, error.mend]))
"""


def test_no_library_no_driver_no_gpu_and_no_package(in_child: InChild, tmp_path: Path) -> None:
    message, mend = in_child([], SAID)
    assert message == "AMD's driver is here, but no GPU." and "/dev/kfd" in mend
    gone = environment(tmp_path / "state") | {"EMULATED_AMDSMI": str(tmp_path / "gone")}
    assert "AMDSMI_STATUS_DRIVER_NOT_LOADED" in child(SAID, gone)[0]
    nowhere = {"ROCM_PATH": str(tmp_path)}
    message, mend = child(SAID, nowhere)
    assert message == "No AMD GPU library here: libamd_smi.so is absent."
    hidden = "import sys\nsys.modules['amdsmi'] = None\n" + textwrap.dedent(SAID)
    assert child(hidden, nowhere)[1] == "Run: pip install 'perwatt[amd]'"


@pytest.mark.parametrize(
    ("counter_w", "power_w", "fault"),
    [
        (300.0, 290.0, None),
        (300.0, None, None),
        (0.0, None, "stands still"),
        (-5.0, 300.0, "stands still"),
        (None, 300.0, "no energy counter"),
        (3.0, 300.0, "said 3 W while its power was 300 W"),
        (700.0, 300.0, "said 700 W"),
    ],
)
def test_what_makes_a_counter_doubtful(
    counter_w: float | None, power_w: float | None, fault: str | None
) -> None:
    said = counter_fault(counter_w, power_w)
    assert said is None if fault is None else fault in str(said)
