"""The estimate: load from an emulated /proc, watts from the curve, and an honest range."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.cpu_parts import CpuId, Rating, identify, rating
from perwatt.sensors.estimated import EstimatedSensor, gain, power_w

CPU = """processor\t: {n}
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu vme{guest}

"""


def make(proc: Path, threads: int = 2, guest: bool = True) -> Path:
    flag = " hypervisor" if guest else ""
    (proc / "cpuinfo").write_text("".join(CPU.format(n=n, guest=flag) for n in range(threads)))
    busy(proc, 0)
    return proc


def busy(proc: Path, jiffies: int) -> None:
    (proc / "stat").write_text(f"cpu  {jiffies} 0 0 500 9 0 0 7 0 0\ncpu0 1 2 3 4\n")


def test_joules_follow_the_load(tmp_path: Path) -> None:
    sensor = EstimatedSensor(make(tmp_path))
    (domain,) = sensor.probe()
    start = time.monotonic_ns()
    time.sleep(0.1)
    (idle,) = sensor.read()
    busy(tmp_path, 1_000_000)  # more than two threads can do: taken as full load
    time.sleep(0.2)
    (full,) = sensor.read()
    assert idle.utilization == 0 and full.utilization == 1
    rated = 2 * 3.2
    assert idle.power_w == pytest.approx(power_w(rated, 0))
    assert full.power_w == pytest.approx(power_w(rated, 1))
    assert full.power_w == pytest.approx(domain.max_power_w, rel=1e-3)
    assert idle.counter_j is not None and full.counter_j is not None
    seconds = (full.t_ns - idle.t_ns) / 1e9
    assert full.counter_j - idle.counter_j == pytest.approx(power_w(rated, 1) * seconds)
    assert idle.t_ns >= start


def test_half_load_is_half_the_jiffies(tmp_path: Path) -> None:
    sensor = EstimatedSensor(make(tmp_path))
    sensor.probe()
    begun = time.monotonic()
    time.sleep(0.2)
    busy(
        tmp_path, round((time.monotonic() - begun) * 100)
    )  # one of two threads, 100 jiffies a second
    (reading,) = sensor.read()
    assert reading.utilization == pytest.approx(0.5, abs=0.15)


def test_fast_reads_neither_lose_nor_invent_joules(tmp_path: Path) -> None:
    sensor = EstimatedSensor(make(tmp_path))
    sensor.probe()
    begun = time.monotonic()
    total = 0.0
    while time.monotonic() - begun < 0.4:  # both threads busy throughout, read every 2 ms
        busy(tmp_path, int((time.monotonic() - begun) * 200))
        (reading,) = sensor.read()
        assert reading.counter_j is not None and reading.counter_j >= total
        total = reading.counter_j
        time.sleep(0.002)
    assert total == pytest.approx(power_w(6.4, 1) * (time.monotonic() - begun), rel=0.25)


def test_probing_again_does_not_start_over(tmp_path: Path) -> None:
    sensor = EstimatedSensor(make(tmp_path))
    sensor.probe()
    time.sleep(0.05)
    (before,) = sensor.read()
    sensor.probe()
    (after,) = sensor.read()
    assert before.counter_j is not None and after.counter_j is not None
    assert after.counter_j >= before.counter_j > 0


def test_a_guest_is_graded_d_with_a_wide_range_and_says_what_is_guessed(tmp_path: Path) -> None:
    (domain,) = EstimatedSensor(make(tmp_path)).probe()
    assert (domain.grade, domain.boundary) == ("D", "package")
    assert domain.gain_low < 0.4 and domain.gain_high > 2
    assert "vCPUs as threads of a shared socket" in str(domain.note)
    assert "EPYC 9004" in str(domain.note)


def test_a_read_that_fails_is_an_error_not_a_zero(tmp_path: Path) -> None:
    sensor = EstimatedSensor(make(tmp_path))
    sensor.probe()
    (tmp_path / "stat").unlink()
    (reading,) = sensor.read()
    assert reading.error is not None and reading.counter_j is None


def test_no_proc_means_no_estimate(tmp_path: Path) -> None:
    with pytest.raises(SensorUnavailableError, match="not those of Linux"):
        EstimatedSensor(tmp_path).probe()


def test_ranges_hold_the_middle_and_widen_with_ignorance() -> None:
    sure, unsure = Rating("a", 3.0, 3.0, 3.0), Rating("b", 1.0, 3.0, 9.0)
    assert gain(unsure)[0] < gain(sure)[0] < 1 < gain(sure)[1] < gain(unsure)[1]


@pytest.mark.parametrize(
    ("cpu", "family"),
    [
        (CpuId("AuthenticAMD", 25, 1, "AMD EPYC 7763 64-Core", 4, True), "EPYC 7003"),
        (CpuId("GenuineIntel", 6, 143, "Intel(R) Xeon(R) Processor", 4, True), "4th"),
        (CpuId("GenuineIntel", 6, 58, "Xeon E3-1240 V2", 8, False), "a server CPU"),
        (CpuId("GenuineIntel", 6, 140, "Core i7-1165G7", 8, False), "laptop or desktop"),
        (CpuId("AuthenticAMD", 25, 33, "AMD Ryzen 9 5950X", 32, False), "laptop or desktop"),
        (CpuId("", 0, 0, "CPU", 4, False), "unknown"),
    ],
)
def test_parts_are_told_by_family(cpu: CpuId, family: str) -> None:
    found = rating(cpu)
    assert family in found.family
    assert found.low_w <= found.middle_w <= found.high_w


def test_arm_is_told_by_its_implementer() -> None:
    cpu = identify("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n")
    assert (cpu.vendor, cpu.threads, cpu.guest) == ("arm", 1, False)
    assert "Arm" in rating(cpu).family
