"""Accelerators that show no watts: NVIDIA's and AMD's as the kernel lists them, and a Mac's chip.

Emulated: the files of /proc and /sys, a library with the few NVML symbols a virtual GPU answers,
and a `sysctl` on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.accelerator_parts import Accelerator, active_w, gain, idle_w, nvidia
from perwatt.sensors.estimated import EstimatedSensor

CC = shutil.which("cc")


def nvidia_gpu(proc: Path, bus: str, model: str) -> None:
    folder = proc / "driver/nvidia/gpus" / bus
    folder.mkdir(parents=True)
    (folder / "information").write_text(
        f"Model: \t\t {model}\nIRQ:   \t\t 16\nGPU UUID: \t GPU-0\nBus Location: \t {bus}\n"
    )


def amd_card(sysfs: Path, number: int, code: int, **files: str) -> Path:
    device = sysfs / f"class/drm/card{number}/device"
    (device / "hwmon/hwmon3").mkdir(parents=True)
    (device / "vendor").write_text("0x1002\n")
    (device / "device").write_text(f"0x{code:04x}\n")
    for name, text in files.items():
        folder = device / "hwmon/hwmon3" if name.startswith("power") else device
        (folder / name).write_text(text)
    return device


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setenv("PERWATT_HOST_PROFILE", str(tmp_path / "none.json"))
    proc, sysfs = tmp_path / "proc", tmp_path / "sys"
    proc.mkdir()
    sysfs.mkdir()
    return proc, sysfs


def sensor(roots: tuple[Path, Path], address: str = "") -> EstimatedSensor:
    return EstimatedSensor(address, proc=roots[0], sysfs=roots[1])


def test_without_utilization_it_lies_between_idle_and_rated(roots: tuple[Path, Path]) -> None:
    nvidia_gpu(roots[0], "0000:3b:00.0", "NVIDIA H100 80GB HBM3")
    gpu = sensor(roots)
    (domain,) = gpu.probe()
    assert (domain.name, domain.boundary, domain.grade) == ("gpu0", "accelerator", "D")
    assert "70 W idle to 700 W rated" in str(domain.note)
    time.sleep(0.02)
    (reading,) = gpu.read()
    assert reading.power_w is not None and reading.utilization is None
    assert reading.power_w * domain.gain_low == pytest.approx(70, rel=0.05)
    assert reading.power_w * domain.gain_high == pytest.approx(700, rel=0.05)


def test_amd_utilization_moves_the_watts(roots: tuple[Path, Path]) -> None:
    device = amd_card(roots[1], 1, 0x74A1, gpu_busy_percent="0\n")
    gpu = sensor(roots)
    (domain,) = gpu.probe()
    assert "MI300X" in domain.device and domain.gain_low < 0.5 < 1.5 < domain.gain_high
    part = Accelerator("Instinct MI300X", 750.0)
    watts = []
    for percent, share in (("0", 0.0), ("50", 0.5), ("100", 1.0)):
        (device / "gpu_busy_percent").write_text(percent + "\n")
        (reading,) = gpu.read()
        assert reading.utilization == share
        assert reading.power_w == pytest.approx(active_w(part, share))
        watts.append(reading.power_w or 0.0)
    assert watts == sorted(watts) and len(set(watts)) == 3
    (device / "gpu_busy_percent").unlink()
    (reading,) = gpu.read()
    assert reading.error is not None and reading.counter_j is None


def test_joules_are_watts_over_time(roots: tuple[Path, Path]) -> None:
    amd_card(roots[1], 0, 0x744C, gpu_busy_percent="100", power1_cap="200000000")
    gpu = sensor(roots)
    (domain,) = gpu.probe()
    assert domain.max_power_w == 200  # the card's own limit, not the largest of its name
    (first,) = gpu.read()
    time.sleep(0.05)
    (then,) = gpu.read()
    assert first.counter_j is not None and then.counter_j is not None and then.power_w is not None
    seconds = (then.t_ns - first.t_ns) / 1e9
    assert then.counter_j - first.counter_j == pytest.approx(then.power_w * seconds)


def test_a_card_whose_watts_can_be_read_is_guessed_only_when_asked(
    roots: tuple[Path, Path],
) -> None:
    amd_card(roots[1], 0, 0x740F, gpu_busy_percent="3", power1_average="41000000")
    with pytest.raises(SensorUnavailableError):
        sensor(roots).probe()
    (domain,) = sensor(roots, "gpu").probe()
    assert domain.name == "gpu0"


def test_an_unknown_card_is_named_and_not_guessed(roots: tuple[Path, Path]) -> None:
    amd_card(roots[1], 0, 0x1234, gpu_busy_percent="3")
    with pytest.raises(SensorUnavailableError, match="AMD GPU 0x1234 is rated at"):
        sensor(roots, "gpu").probe()


def test_known_cards_are_guessed_beside_an_unknown_one(roots: tuple[Path, Path]) -> None:
    nvidia_gpu(roots[0], "0000:01:00.0", "NVIDIA Odd Thing")
    nvidia_gpu(roots[0], "0000:02:00.0", "NVIDIA L40S")
    (domain,) = sensor(roots).probe()
    assert (domain.name, domain.device) == ("gpu1", "NVIDIA L40S")


@pytest.mark.parametrize(
    ("model", "rated_w"),
    [
        ("NVIDIA H100 80GB HBM3", 700),
        ("NVIDIA H100 PCIe", 350),
        ("NVIDIA GH200 480GB", 1000),
        ("NVIDIA GB200", 1000),
        ("NVIDIA A100-SXM4-40GB", 400),
        ("NVIDIA A100 80GB PCIe", 300),
        ("NVIDIA L40S", 350),
        ("NVIDIA L4", 72),
        ("Tesla T4", 70),
        ("NVIDIA GeForce RTX 4090", 450),
    ],
)
def test_parts_are_told_by_name(model: str, rated_w: float) -> None:
    part = nvidia(model)
    assert part is not None and part.rated_w == rated_w
    low, middle, high = idle_w(part)
    assert 0 < low < middle < high < rated_w
    assert gain(part)[0] < 0.4 and gain(part)[1] > 1.5
    assert active_w(part, 1.0) <= rated_w


def test_a_mac_is_guessed_whole(roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = roots[0].parent / "bin"
    folder.mkdir()
    (folder / "sysctl").write_text("#!/bin/sh\necho Apple M4 Max\n")
    (folder / "sysctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    (domain,) = sensor(roots).probe()
    assert (domain.name, domain.boundary, domain.device) == ("soc", "package", "Apple M4 Max")
    assert domain.gain_low < 0.1 and domain.gain_high > 10


VIRTUAL_GPU = """
typedef struct { unsigned gpu, memory; } use_t;
int nvmlInitWithFlags(unsigned f) { return 0; }
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **d) { *d = (void *)1; return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *mj) { return 3; }
int nvmlDeviceGetPowerUsage(void *d, unsigned *mw) { return POWER; }
int nvmlDeviceGetUtilizationRates(void *d, use_t *use) { use->gpu = 40; use->memory = 7; return 0; }
"""


@pytest.mark.skipif(CC is None, reason="no C compiler to build the emulated NVML with")
@pytest.mark.parametrize("power_readable", [False, True])
def test_a_virtual_gpu_tells_its_load_through_nvml(
    roots: tuple[Path, Path], power_readable: bool
) -> None:
    assert CC is not None
    nvidia_gpu(roots[0], "0000:00:05.0", "GRID A100-SXM4-40GB")
    source = roots[0].parent / "nvml.c"
    source.write_text(VIRTUAL_GPU.replace("POWER", "(*mw = 50000, 0)" if power_readable else "3"))
    folder = roots[0].parent / "lib"
    folder.mkdir()
    library = str(folder / "libnvidia-ml.so.1")
    subprocess.run([CC, "-shared", "-fPIC", "-o", library, str(source)], check=True)
    script = """
        import json
        from pathlib import Path
        from perwatt.core.errors import SensorUnavailableError
        from perwatt.sensors.estimated import EstimatedSensor
        sensor = EstimatedSensor()
        try:
            (domain,) = sensor.probe()
            (reading,) = sensor.read()
            print(json.dumps([domain.note, reading.utilization, reading.power_w]))
        except SensorUnavailableError:
            print("[]")
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        env=dict(
            os.environ,
            LD_LIBRARY_PATH=str(folder),
            PERWATT_PROC_ROOT=str(roots[0]),
            PERWATT_SYS_ROOT=str(roots[1]),
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    if power_readable:  # then `nvml` measures it
        assert found == []
    else:
        part = nvidia("GRID A100-SXM4-40GB")
        assert part is not None
        assert "by utilization" in found[0] and found[1] == 0.4
        assert found[2] == pytest.approx(active_w(part, 0.4))
