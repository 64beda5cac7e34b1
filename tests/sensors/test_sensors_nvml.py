"""NvmlSensor against a library with NVML's symbols and known watts, loaded by pynvml itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

CC = shutil.which("cc")
needs_cc = pytest.mark.skipif(CC is None, reason="no C compiler to build the emulated NVML with")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert CC is not None
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).parent / "fake_nvml.c"
    target = folder / "libnvidia-ml.so.1"
    command = [CC, "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(target), str(source)]
    subprocess.run(command, check=True)
    return folder


def in_child(library: Path | None, tmp_path: Path, script: str) -> Any:
    """Run `script` where pynvml finds the emulated library; its last printed line is the result."""
    environment = dict(os.environ, FAKE_NVML=str(tmp_path / "gpus.txt"))
    environment["LD_LIBRARY_PATH"] = str(library) if library else ""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


MEASURE = """
    import json, os, pathlib, time
    from perwatt.attribution.integrate import curve_of, energy_between
    from perwatt.sensors.nvml import NvmlSensor
    from perwatt.sensors.sampler import Sampler

    start = time.monotonic_ns()
    busy, done = start + 400_000_000, start + 900_000_000
    lines = ["gpu 20000000 1 4000000", "gpu 1000000 0 0"]
    for gpu in (0, 1):
        lines += [f"step {gpu} {start - 10**9} 60000"]
        lines += [f"step {gpu} {busy} 400000", f"step {gpu} {done} 60000"]
    lines += [f"fail 0 {start + 600_000_000} {start + 700_000_000}"]
    pathlib.Path(os.environ["FAKE_NVML"]).write_text("\\n".join(lines))

    sensor = NvmlSensor()
    sampler = Sampler([sensor], 100)
    sampler.start()
    time.sleep(1.3)
    sampler.stop()
    samples = sampler.drain()
    sensor.close()
    a, b = start + 200_000_000, start + 1_200_000_000
    out = {}
    for domain in sampler.domains:
        own = [s for s in samples if s.domain == domain.name]
        good = [s for s in own if s.flag is None]
        curve = curve_of(samples, domain)
        out[domain.name] = {
            "kind": domain.kind, "grade": domain.grade, "boundary": domain.boundary,
            "device": domain.device, "joules": energy_between(curve, a, b),
            "flags": sorted({s.flag for s in own if s.flag}),
            "counters_of_failed": [s.counter_j for s in own if s.flag == "read-failed"],
            "utilization": good[0].utilization, "memory": good[0].memory_bytes,
            "temperature": good[0].temperature_c, "clock": good[0].clock_mhz,
            "powers": sorted({s.power_w for s in good}),
        }
    print(json.dumps(out))
"""
TRUE_J = 0.5 * 60 + 0.5 * 400


@needs_cc
def test_joules_are_those_that_the_emulated_gpu_drew(library: Path, tmp_path: Path) -> None:
    seen = in_child(library, tmp_path, MEASURE)
    counter, gauge = seen["gpu0"], seen["gpu1"]
    assert (counter["kind"], counter["grade"], counter["boundary"]) == (
        "counter",
        "B",
        "accelerator",
    )
    assert counter["joules"] == pytest.approx(TRUE_J, rel=0.02)
    assert (gauge["kind"], gauge["grade"]) == ("gauge", "C")
    assert gauge["joules"] == pytest.approx(TRUE_J, rel=0.15)  # a gauge sees a step only when read
    assert counter["device"] == "Emulated GPU 0"
    assert counter["powers"] == [60.0, 400.0]
    assert (counter["utilization"], counter["memory"]) == (0.37, 1234567890)
    assert (counter["temperature"], counter["clock"]) == (41, 1755)


@needs_cc
def test_a_lost_gpu_gives_flags_and_none(library: Path, tmp_path: Path) -> None:
    counter = in_child(library, tmp_path, MEASURE)["gpu0"]
    assert "read-failed" in counter["flags"]
    assert set(counter["counters_of_failed"]) == {None}


SELECT = """
    import json, os, pathlib, subprocess, sys
    from perwatt.sensors.nvml import NvmlSensor

    def names(pids):
        return [d.name for d in sensor.select(pids)], [r.domain for r in sensor.read()]

    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lines = ["gpu 1000000 1 0", f"gpu 1000000 1 {worker.pid}"]
    pathlib.Path(os.environ["FAKE_NVML"]).write_text("\\n".join(lines))
    sensor = NvmlSensor()
    every = [d.name for d in sensor.probe()]
    child, parent = names([worker.pid]), names([os.getpid()])
    nobody, notes = names([1_999_999_999]), [d.note for d in sensor.select([1_999_999_999])]
    worker.communicate(b"\\n")
    sensor.close()
    print(json.dumps([every, child, parent, nobody, notes]))
"""


@needs_cc
def test_only_the_gpus_of_the_engine_and_its_workers_are_read(
    library: Path, tmp_path: Path
) -> None:
    every, child, parent, nobody, notes = in_child(library, tmp_path, SELECT)
    assert every == ["gpu0", "gpu1"]
    assert child == [["gpu1"], ["gpu1"]]
    assert parent == [["gpu1"], ["gpu1"]]
    assert nobody == [["gpu0", "gpu1"], ["gpu0", "gpu1"]]
    assert all("could not be told" in note for note in notes)


PROBE = """
    import json
    from perwatt.core.errors import SensorUnavailableError
    from perwatt.sensors.nvml import NvmlSensor
    try:
        NvmlSensor().probe()
    except SensorUnavailableError as error:
        print(json.dumps([error.message, error.mend]))
"""


def test_without_the_driver_it_says_so(tmp_path: Path) -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has the real driver")
    message, mend = in_child(None, tmp_path, PROBE)
    assert "libnvidia-ml.so.1 is absent" in message
    assert "driver" in mend


def test_without_the_package_it_names_the_extra(tmp_path: Path) -> None:
    message, mend = in_child(
        None, tmp_path, "import sys\nsys.modules['pynvml'] = None\n" + textwrap.dedent(PROBE)
    )
    assert "nvidia-ml-py is not installed" in message
    assert "perwatt[nvidia]" in mend


@needs_cc
def test_no_gpu_and_a_driver_that_fails_are_told_apart(library: Path, tmp_path: Path) -> None:
    (tmp_path / "gpus.txt").write_text("")
    assert "no GPU" in in_child(library, tmp_path, PROBE)[0]
    (tmp_path / "gpus.txt").write_text("init 999")
    assert "does not answer" in in_child(library, tmp_path, PROBE)[0]
