"""The estimate: load from an emulated /proc, watts from the curve, and an honest range."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from perwatt.core.errors import SensorUnavailableError, UnknownNameError
from perwatt.sensors.cpu_parts import CpuId, Rating, identify, rating
from perwatt.sensors.estimated import EstimatedSensor
from perwatt.sensors.estimated_cpu import gain, power_w

CPU = """processor\t: {n}
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu vme{guest}

"""


@pytest.fixture(autouse=True)
def no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calibration of whoever runs the tests is not theirs to see."""
    monkeypatch.setenv("PERWATT_HOST_PROFILE", str(tmp_path / "no-profile.json"))
    monkeypatch.setenv("PERWATT_SYS_ROOT", str(tmp_path / "no-sys"))


def make(proc: Path, threads: int = 2, guest: bool = True) -> Path:
    flag = " hypervisor" if guest else ""
    (proc / "cpuinfo").write_text("".join(CPU.format(n=n, guest=flag) for n in range(threads)))
    busy(proc, 0)
    return proc


def busy(proc: Path, jiffies: int) -> None:
    (proc / "stat").write_text(f"cpu  {jiffies} 0 0 500 9 0 0 7 0 0\ncpu0 1 2 3 4\n")


def test_joules_follow_the_load(tmp_path: Path) -> None:
    sensor = EstimatedSensor(proc=make(tmp_path))
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
    sensor = EstimatedSensor(proc=make(tmp_path))
    before = time.monotonic()
    sensor.probe()
    begun = time.monotonic()
    time.sleep(0.2)
    jiffies = round((time.monotonic() - begun) * 100)  # one of two threads, 100 a second
    busy(tmp_path, jiffies)
    asked = time.monotonic()
    (reading,) = sensor.read()
    after = time.monotonic()
    assert reading.utilization is not None
    # Looked at within these times, whatever held it up between them.
    assert jiffies / 200 / (after - before) - 0.15 < reading.utilization
    assert reading.utilization < jiffies / 200 / (asked - begun) + 0.15


def test_fast_reads_neither_lose_nor_invent_joules(tmp_path: Path) -> None:
    sensor = EstimatedSensor(proc=make(tmp_path))
    sensor.probe()
    begun = time.monotonic()
    total = held_up_s = 0.0
    while time.monotonic() - begun < 0.4:  # both threads busy throughout, read every 2 ms
        wrote = time.monotonic()
        busy(tmp_path, int((wrote - begun) * 200))
        (reading,) = sensor.read()
        held_up_s += time.monotonic() - wrote
        assert reading.counter_j is not None and reading.counter_j >= total
        total = reading.counter_j
        time.sleep(0.002)
    full_j = power_w(6.4, 1) * (time.monotonic() - begun)
    # The jiffies are as old as they were when it came to read them.
    assert 0.75 * full_j - power_w(6.4, 1) * held_up_s < total < 1.25 * full_j


def test_probing_again_does_not_start_over(tmp_path: Path) -> None:
    sensor = EstimatedSensor(proc=make(tmp_path))
    sensor.probe()
    time.sleep(0.05)
    (before,) = sensor.read()
    sensor.probe()
    (after,) = sensor.read()
    assert before.counter_j is not None and after.counter_j is not None
    assert after.counter_j >= before.counter_j > 0


def test_a_guest_is_graded_d_with_a_wide_range_and_says_what_is_guessed(tmp_path: Path) -> None:
    (domain,) = EstimatedSensor(proc=make(tmp_path)).probe()
    assert (domain.grade, domain.boundary) == ("D", "package")
    assert domain.gain_low < 0.4 and domain.gain_high > 2
    assert "vCPUs as threads of a shared socket" in str(domain.note)
    assert "EPYC 9004" in str(domain.note)


def test_a_read_that_fails_is_an_error_not_a_zero(tmp_path: Path) -> None:
    sensor = EstimatedSensor(proc=make(tmp_path))
    sensor.probe()
    (tmp_path / "stat").unlink()
    (reading,) = sensor.read()
    assert reading.error is not None and reading.counter_j is None


def test_no_proc_means_no_estimate(tmp_path: Path) -> None:
    with pytest.raises(SensorUnavailableError, match="not those of Linux"):
        EstimatedSensor(proc=tmp_path).probe()


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


def test_memory_is_told_by_its_size_apart_from_the_package(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal:       31250000 kB\nMemFree:  1 kB\n")  # 32 GB
    sensor = EstimatedSensor(proc=tmp_path)
    package, memory = sensor.probe()
    assert (package.name, memory.name, memory.boundary) == ("package-0", "dram-0", "package")
    assert package.covers == memory.covers == ()
    assert memory.gain_low == pytest.approx(0.25) and memory.gain_high == pytest.approx(3.75)
    assert "0.12 W per GB" in str(memory.note) and "this guest's 32 GB" in str(memory.note)
    first = {r.domain: r for r in sensor.read()}
    time.sleep(0.05)
    then = {r.domain: r for r in sensor.read()}["dram-0"]
    before = first["dram-0"].counter_j
    assert before is not None and then.counter_j is not None
    seconds = (then.t_ns - first["dram-0"].t_ns) / 1e9
    assert then.power_w == pytest.approx(32 * 0.12)
    assert then.counter_j - before == pytest.approx(32 * 0.12 * seconds)


def test_the_address_picks_parts(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 1000000 kB\n")
    (only,) = EstimatedSensor("dram", proc=tmp_path).probe()
    assert only.name == "dram-0"
    names = [d.name for d in EstimatedSensor("cpu, dram", proc=tmp_path).probe()]
    assert names == ["package-0", "dram-0"]


def test_a_part_asked_for_that_cannot_be_told_is_an_error(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(SensorUnavailableError, match="meminfo is not that of Linux"):
        EstimatedSensor("cpu,dram", proc=tmp_path).probe()
    with pytest.raises(SensorUnavailableError, match="No accelerator is listed"):
        EstimatedSensor("gpu", proc=tmp_path).probe()
    with pytest.raises(UnknownNameError, match="Did you mean dram"):
        EstimatedSensor("dran", proc=tmp_path)


def test_proc_is_read_once_a_look(tmp_path: Path) -> None:
    make(tmp_path)
    opened: list[str] = []

    class Counting(type(tmp_path)):  # type: ignore[misc]
        def read_text(self, *args: str, **options: str) -> str:
            opened.append(self.name)
            return str(super().read_text(*args, **options))

    sensor = EstimatedSensor(proc=Counting(tmp_path))
    sensor.probe()
    opened.clear()
    sensor.read()
    assert opened == ["stat"]
