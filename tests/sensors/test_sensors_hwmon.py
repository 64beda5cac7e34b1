"""HwmonSensor on emulated trees: what is counted, what is only listed, and joules."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulated.hwmon import EmulatedChannel, EmulatedChip, VirtualHwmon
from perwatt.core.errors import SensorUnavailableError, SpecError
from perwatt.core.records import Domain
from perwatt.sensors.hwmon import HwmonSensor
from perwatt.sensors.hwmon_channels import chips
from perwatt.sensors.sampler import Sampler

S = 1_000_000_000
RAMP = ((0, 1000 * S), (0.0, 1e5))  # 100 W


def channel(kind: str, label: str | None = None, number: int = 1) -> EmulatedChannel:
    return EmulatedChannel(kind, *RAMP, label=label, number=number)  # type: ignore[arg-type]


EPYC = EmulatedChip(
    "amd_energy",
    [
        *(channel("energy", f"Ecore00{n}", n + 1) for n in range(2)),
        channel("energy", "Esocket0", 3),
        channel("energy", "Esocket1", 4),
    ],
)
ARC = EmulatedChip("xe", [channel("energy", "card"), channel("energy", "pkg", 2)])
BOARD = EmulatedChip("ina226", [channel("power", None)])
RADEON = EmulatedChip(
    "amdgpu",
    [channel("average", "PPT")],
    {
        "power1_cap_max": "300000000",
        "temp1_input": "56000",
        "freq1_input": "2100000000",
        "device/gpu_busy_percent": "37",
        "device/mem_info_vram_used": "1234567",
    },
)


def grace(number: int, name: str) -> EmulatedChip:
    return EmulatedChip(
        "power_meter", [channel("average")], {"power1_oem_info": f"{name} {number}"}, legacy=True
    )


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The root of a tree of the chips given as the parameter."""
    root = VirtualHwmon(tmp_path, request.param).root
    monkeypatch.setenv("PERWATT_HWMON_ROOT", str(root))
    return root


def domains(address: str | None = None) -> dict[str, Domain]:
    return {d.name: d for d in HwmonSensor(address).probe()}


@pytest.mark.parametrize("tree", [[EPYC, ARC, RADEON]], indirect=True)
def test_known_chips_have_their_boundary_and_grade(tree: Path) -> None:
    found = domains()
    assert {n: (d.boundary, d.kind, d.grade) for n, d in found.items()} == {
        "package-0": ("package", "counter", "B"),
        "package-1": ("package", "counter", "B"),
        "gpu0": ("accelerator", "counter", "B"),
        "gpu1": ("accelerator", "gauge", "C"),
    }
    assert found["package-0"].covers == ("cores",)


@pytest.mark.parametrize("tree", [[ARC]], indirect=True)
def test_a_card_covers_its_chip(tree: Path) -> None:
    (card,) = HwmonSensor().probe()
    assert (card.name, card.boundary, card.covers) == ("gpu0", "accelerator", ("gpu0-chip",))


@pytest.mark.parametrize(
    "tree", [[EmulatedChip("xe", [channel("energy", "pkg", 2)])]], indirect=True
)
def test_a_chip_alone_stands_for_its_card(tree: Path) -> None:
    (chip,) = HwmonSensor().probe()
    assert (chip.name, chip.note) == ("gpu0-chip", "the GPU chip of a card")


@pytest.mark.parametrize("tree", [[BOARD, EPYC]], indirect=True)
def test_unknown_chips_are_listed_but_not_summed(tree: Path) -> None:
    found = domains()
    assert set(found) == {"package-0", "package-1"}
    assert "where it sits is not known: ina226" in str(found["package-1"].note)


@pytest.mark.parametrize("tree", [[BOARD]], indirect=True)
def test_unknown_chips_alone_are_an_error_that_names_them(tree: Path) -> None:
    with pytest.raises(SensorUnavailableError, match="not known: ina226") as caught:
        HwmonSensor().probe()
    assert "--sensors 'hwmon:ina226@system'" in str(caught.value.mend)
    (taken,) = HwmonSensor("ina226").probe()
    assert (taken.name, taken.boundary, taken.grade) == ("ina226", "system", "C")
    assert HwmonSensor("hwmon0@package").probe()[0].boundary == "package"
    with pytest.raises(SpecError, match="boundary 'board'"):
        HwmonSensor("ina226@board").probe()


@pytest.mark.parametrize(
    "tree",
    [[EmulatedChip("ina2xx", [channel("power", "A", 1), channel("power", "B", 2)]), EPYC]],
    indirect=True,
)
def test_addresses(tree: Path) -> None:
    assert list(domains("ina2xx/B")) == ["ina2xx/B"]
    assert list(domains("amd_energy")) == ["package-0", "package-1"]
    assert domains("amd_energy/Ecore001")["cores"].note == "one core"
    assert list(domains(str(tree))) == ["package-0", "package-1"]
    with pytest.raises(SensorUnavailableError, match="several channels") as caught:
        HwmonSensor("ina2xx").probe()
    assert "hwmon0/A, hwmon0/B" in str(caught.value.mend)
    with pytest.raises(SensorUnavailableError, match="no 'ina2xx/C'") as caught:
        HwmonSensor("ina2xx/C").probe()
    assert caught.value.mend == "It has: ina2xx/A, ina2xx/B."


@pytest.mark.parametrize(
    "tree",
    [[grace(0, f"{part} Power Socket") for part in ("Module", "Grace", "CPU", "SysIO")]],
    indirect=True,
)
def test_grace_is_known_by_its_oem_info_in_the_old_layout(tree: Path) -> None:
    found = domains()
    assert {n: d.boundary for n, d in found.items()} == {
        "module-0": "system",
        "package-0": "package",
    }
    assert found["package-0"].covers == ("cores-0", "soc-0")
    assert found["package-0"].power_window_s == pytest.approx(0.001)


@pytest.mark.parametrize("tree", [[grace(0, "PSU"), grace(1, "PSU")]], indirect=True)
def test_of_two_firmware_meters_only_one_is_counted(tree: Path) -> None:
    (one,) = HwmonSensor().probe()
    assert (one.name, one.boundary, one.grade) == ("platform", "system", "C")
    assert "not known: power_meter/PSU 1" in str(one.note)


@pytest.mark.parametrize(
    "tree",
    [[EmulatedChip("power_meter", [channel("average")], {"power1_is_battery": "1"})]],
    indirect=True,
)
def test_a_battery_is_no_meter(tree: Path) -> None:
    with pytest.raises(SensorUnavailableError, match="not known"):
        HwmonSensor().probe()


@pytest.mark.parametrize("tree", [[RADEON]], indirect=True)
def test_a_gauge_comes_with_the_state_of_its_gpu(tree: Path) -> None:
    sensor = HwmonSensor()
    (gpu,) = sensor.probe()
    assert (gpu.kind, gpu.grade, gpu.max_power_w) == ("gauge", "C", 300.0)
    (reading,) = sensor.read()
    assert reading.power_w == reading.power_average_w == 0.0
    assert (reading.utilization, reading.memory_bytes) == (0.37, 1234567)
    assert (reading.temperature_c, reading.clock_mhz) == (56.0, 2100.0)


def test_of_several_gpus_only_those_that_processes_have_open(tmp_path: Path) -> None:
    cards = [
        EmulatedChip("amdgpu", [channel("average", "PPT")], device=f"0000:0{n}:00.0")
        for n in (3, 4)
    ]
    root = VirtualHwmon(tmp_path, [EPYC, *cards]).root
    proc = tmp_path / "proc"
    for pid, parent in ((10, 1), (11, 10)):
        (proc / str(pid) / "fdinfo").mkdir(parents=True)
        (proc / str(pid) / "stat").write_text(f"{pid} (python) S {parent} 0 0\n")
    (proc / "11" / "fdinfo" / "3").write_text("pos:\t0\n")
    (proc / "11" / "fdinfo" / "9").write_text("drm-driver:\tamdgpu\ndrm-pdev:\t0000:04:00.0\n")
    sensor = HwmonSensor(str(root), proc=proc)
    every = ["package-0", "package-1", "gpu0", "gpu1"]
    assert [d.name for d in sensor.probe()] == every
    kept = [d.name for d in sensor.select([10])]  # its child has the second card open
    assert kept == ["package-0", "package-1", "gpu1"] == [r.domain for r in sensor.read()]
    assert [d.name for d in sensor.probe()] == kept
    unknown = sensor.select([99])
    assert [d.name for d in unknown] == every
    assert ["could not be told" in str(d.note) for d in unknown] == [False, False, True, True]
    assert [d.note for d in sensor.select([])] == [d.note for d in HwmonSensor(str(root)).probe()]


def test_joules_of_a_counter_match_the_truth(tmp_path: Path) -> None:
    tree = VirtualHwmon(tmp_path, [EPYC])
    sampler = Sampler([HwmonSensor(str(tree.root))], 1, timing_s=0)
    for tenth in range(201):
        tree.at(tenth * S // 10)
        sampler.read_now()
    last = {s.domain: s.counter_j for s in sampler.drain()}
    assert last == {"package-0": pytest.approx(2000.0), "package-1": pytest.approx(2000.0)}


@pytest.mark.parametrize("tree", [[EPYC, RADEON]], indirect=True)
def test_a_file_that_goes_fails_its_reads_only(tree: Path) -> None:
    sensor = HwmonSensor()
    assert len(sensor.probe()) == 3
    (tree / "hwmon0" / "energy3_input").unlink()
    readings = {r.domain: r for r in sensor.read()}
    assert readings["package-0"].counter_j is None and readings["package-0"].error
    assert readings["package-1"].error is None and readings["gpu0"].error is None


@pytest.mark.parametrize("tree", [[EPYC, RADEON]], indirect=True)
def test_one_socket_that_fails_is_no_sum_but_a_gpu_may(tree: Path) -> None:
    gauge = tree / "hwmon1" / "power1_average"
    gauge.unlink()
    gauge.mkdir()
    note = str(HwmonSensor().probe()[-1].note)
    assert f"cannot be read: {gauge}" in note
    file = tree / "hwmon0" / "energy4_input"
    file.unlink()
    file.mkdir()
    with pytest.raises(SensorUnavailableError, match="energy4_input cannot be read"):
        HwmonSensor().probe()


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_root_alone_may_read_and_the_mend_says_so(anybodys: Path) -> None:
    tree = VirtualHwmon(anybodys, [EPYC])
    (tree.folder(0) / "energy3_input").chmod(0o400)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    else:
        (tree.folder(0) / "energy3_input").chmod(0)
    try:
        with pytest.raises(SensorUnavailableError, match="readable by root alone") as caught:
            HwmonSensor(str(tree.root)).probe()
    finally:
        os.seteuid(me)
    assert "sudo chmod a+r" in str(caught.value.mend)


def test_absent_and_empty(tmp_path: Path) -> None:
    with pytest.raises(SensorUnavailableError, match="is absent"):
        HwmonSensor(str(tmp_path / "none")).probe()
    (tmp_path / "hwmon0").mkdir()
    (tmp_path / "hwmon0" / "name").write_text("nvme\n")
    (tmp_path / "hwmon0" / "temp1_input").write_text("40000\n")
    assert chips(tmp_path) == []
    with pytest.raises(SensorUnavailableError, match="tells energy or power"):
        HwmonSensor(str(tmp_path)).probe()
