"""Which GPUs NvmlSensor reads, and the one sentence it says where it reads none."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulated.nvml import EmulatedGpu, Fault

S = 10**9
GPU = EmulatedGpu(np.arange(0, 1001) * S, 300.0 * np.arange(1001, dtype=np.float64))
"""300 W for 1,000 s."""
InChild = Callable[..., Any]

SELECT = """
    import pathlib, subprocess
    from emulated.nvml import EmulatedGpu, write_state

    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gpus = [EmulatedGpu(), EmulatedGpu(processes=[worker.pid])]
    write_state(pathlib.Path(os.environ["EMULATED_NVML"]), gpus)

    def chosen(address, pids):
        sensor = NvmlSensor(address)
        sensor.probe()
        kept = notes(sensor.select(pids))
        assert [r.domain for r in sensor.read()] == list(kept)
        sensor.close()
        return kept

    out = [
        chosen(address, pids)
        for address, pids in (
            (None, []), (None, [worker.pid]), (None, [os.getpid()]), (None, [1_999_999_999]),
            ("0", [worker.pid]), ("0,1", [worker.pid]),
        )
    ]
    worker.communicate(b"\\n")
    print(json.dumps(out))
"""


def test_only_the_gpus_of_the_engine_and_its_workers_are_read(nvml_child: InChild) -> None:
    nobody, worker, parent, stranger, other, both = nvml_child([], SELECT)
    assert list(nobody) == ["gpu0", "gpu1"]
    assert list(worker) == list(parent) == ["gpu1"]
    assert list(stranger) == ["gpu0", "gpu1"]
    assert all("could not be told" in note for note in stranger.values())
    # An address stands, and says where it looks past the engine.
    assert "no process under test is on it" in other["gpu0"]
    assert "no process under test is on it" in both["gpu0"]
    assert "no process" not in both["gpu1"]


ADDRESS = """
    def probed(address):
        sensor = NvmlSensor(address)
        names = [d.name for d in sensor.probe()]
        read = [r.domain for r in sensor.read()]
        assert read == names
        sensor.close()
        return names

    addresses = ["2,0", "GPU-b", "1, 1", "3", "", "GPU-", "MIG-7", "-1"]
    print(json.dumps([said(lambda: probed(a)) for a in addresses]))
"""


def test_an_address_names_gpus_by_index_or_uuid(nvml_child: InChild) -> None:
    gpus = [replace(GPU, uuid=f"GPU-{letter}-00") for letter in "abc"]
    two, uuid, twice, *bad = nvml_child(gpus, ADDRESS)
    assert (two, uuid, twice) == (["gpu2", "gpu0"], ["gpu1"], ["gpu1"])
    here = ", ".join(f"{i} (NVIDIA H100 80GB HBM3, GPU-{c}-00)" for i, c in enumerate("abc"))
    none = "no NVIDIA GPU that can be read here"
    assert bad == [
        [f"nvml:3: '3' is {none}.", f"There are: {here}."],
        [f"nvml:: '' is {none}.", f"There are: {here}."],
        ["nvml:GPU-: 'GPU-' is more than one NVIDIA GPU.", f"There are: {here}."],
        [
            "nvml:MIG-7 names the MIG slice MIG-7, whose joules NVML does not count.",
            "Name its GPU, and leave its other slices idle.",
        ],
        [f"nvml:-1: '-1' is {none}.", f"There are: {here}."],
    ]


MIG = """
    sensor = NvmlSensor()
    out = [notes(sensor.probe())]
    out += [said(lambda: notes(sensor.select(pids))) for pids in ([11], [21], [31], [])]
    print(json.dumps(out))
"""


def test_a_slices_joules_are_refused_unless_it_is_the_only_one_in_use(nvml_child: InChild) -> None:
    shared = replace(GPU, mig=True, mig_slices=3, processes=[(11, 0), (12, 0), (13, 2)])
    alone = replace(GPU, mig=True, mig_slices=2, processes=[(21, 1)])
    whole = replace(GPU, mig=False, processes=[31])
    every, refused, sole, plain, nobody = nvml_child([shared, alone, whole], MIG)
    assert ["MIG is on" in note for note in every.values()] == [True, True, False]
    assert refused == [
        "gpu0 is split by MIG and 1 more of its slices are in use: NVML counts the joules of the "
        "whole GPU, so those of one slice cannot be told.",
        "Stop what runs on its other slices, or use a whole GPU.",
    ]
    assert list(sole) == ["gpu1"]
    assert "every slice's work is in it" in sole["gpu1"]
    assert (list(plain), list(nobody)) == (["gpu2"], ["gpu0", "gpu1", "gpu2"])


STILL = """
    begin = time.monotonic()
    domains = NvmlSensor().probe()
    took = time.monotonic() - begin
    print(json.dumps([[d.kind, d.grade, d.note] for d in domains] + [took]))
"""


def test_a_counter_that_stands_still_under_power_is_not_believed(nvml_child: InChild) -> None:
    frozen = replace(GPU, faults=[Fault("frozen", 50 * S)])
    zero = replace(GPU, faults=[Fault("zero", 0)])
    off = EmulatedGpu()
    *domains, took = nvml_child([frozen, zero, off, GPU], STILL)
    assert [d[:2] for d in domains] == [["gauge", "C"], ["gauge", "C"]] + [["counter", "B"]] * 2
    assert "stood still at 16000 J for 1 s while it drew 300 W" in domains[0][2]
    assert "stood still at 0 J" in domains[1][2]
    assert took == pytest.approx(1.0, abs=0.05)
    *_, took = nvml_child([off, GPU], STILL)
    assert took < 0.11  # one tick


PROBE = """
    print(json.dumps(said(lambda: [d.name for d in NvmlSensor().probe()])))
"""
IMPATIENT = PROBE.replace("NvmlSensor()", "NvmlSensor(patience_s=0.2)")


def test_a_gpu_that_is_lost_does_not_hide_the_others(nvml_child: InChild) -> None:
    lost = replace(GPU, faults=[Fault("dropout", 0)])
    assert nvml_child([lost, GPU], PROBE) == ["gpu1"]
    message, mend = nvml_child([lost], PROBE)
    assert "No NVIDIA GPU here tells its energy or power" in message
    assert "nvidia-smi" in mend


def test_a_driver_that_hangs_is_left_behind(nvml_child: InChild) -> None:
    hung = [
        "The NVIDIA driver did not answer within 0.2 s: a GPU may hang.",
        "See whether `nvidia-smi` answers; if not, reboot.",
    ]
    assert nvml_child([GPU], IMPATIENT, real_time=True, init_hang_s=30.0) == hung
    hanging = replace(GPU, faults=[Fault("hang", 0, value=30.0)])
    assert nvml_child([hanging], IMPATIENT, real_time=True) == hung


def test_without_the_driver_it_says_so(nvml_child: InChild) -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has the real driver")
    message, mend = nvml_child(None, PROBE, real_time=True)
    assert "libnvidia-ml.so.1 is absent" in message
    assert "driver" in mend


def test_without_the_package_it_names_the_extra(nvml_child: InChild) -> None:
    script = "sys.modules['pynvml'] = None\n" + textwrap.dedent(PROBE)
    message, mend = nvml_child(None, script, real_time=True)
    assert "nvidia-ml-py is not installed" in message
    assert "perwatt[nvidia]" in mend


def test_no_gpu_and_a_driver_that_fails_are_told_apart(nvml_child: InChild) -> None:
    assert "no GPU" in nvml_child([], PROBE)[0]
    assert "does not answer: Unknown Error" in nvml_child([GPU], PROBE, init_error=999)[0]
