"""RaplSensor on emulated powercap trees: which zones, which errors, and joules across a wrap."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.rapl import RaplSensor, zones
from perwatt.sensors.sampler import Sampler

WRAP_UJ = 262_143_328_850

TREE = {
    "intel-rapl:0": "package-0",
    "intel-rapl:0:0": "core",
    "intel-rapl:0:1": "uncore",
    "intel-rapl:0:2": "dram",
    "intel-rapl:1": "package-1",
    "intel-rapl:1:0": "dram",
    "intel-rapl:2": "psys",
    "intel-rapl-mmio:0": "package-0",
}


def make(root: Path, tree: dict[str, str]) -> Path:
    (root / "intel-rapl").mkdir(parents=True)
    for zone, name in tree.items():
        folder = root / zone
        folder.mkdir()
        (folder / "name").write_text(name + "\n")
        (folder / "max_energy_range_uj").write_text(f"{WRAP_UJ}\n")
        (folder / "energy_uj").write_text("1000000\n")
    return root


def test_only_zones_that_do_not_overlap_are_offered(tmp_path: Path) -> None:
    sensor = RaplSensor(make(tmp_path, TREE))
    domains = sensor.probe()
    assert [d.name for d in domains] == ["package-0", "dram-0", "package-1", "dram-1"]
    assert {(d.grade, d.boundary, d.kind) for d in domains} == {("B", "package", "counter")}
    assert domains[0].wrap_j == pytest.approx(WRAP_UJ / 1e6)
    assert len(sensor.read()) == 4


def test_every_zone_is_named_with_its_scope(tmp_path: Path) -> None:
    seen = {zone.path.name: (zone.name, zone.scope) for zone in zones(make(tmp_path, TREE))}
    assert seen["intel-rapl:0:0"] == ("core-0", "cores alone, already inside package")
    assert seen["intel-rapl:1:0"][0] == "dram-1"
    assert seen["intel-rapl:2"] == ("psys", "the whole platform, package included")


def test_the_msr_zone_is_preferred_to_its_mmio_double(tmp_path: Path) -> None:
    make(tmp_path, TREE)
    (tmp_path / "intel-rapl-mmio:0" / "energy_uj").write_text("999000000\n")
    sensor = RaplSensor(tmp_path)
    sensor.probe()
    assert sensor.read()[0].counter_j == 1.0


def test_mmio_alone_will_do(tmp_path: Path) -> None:
    domains = RaplSensor(make(tmp_path, {"intel-rapl-mmio:0": "package-0"})).probe()
    assert [d.name for d in domains] == ["package-0"]


def test_the_root_can_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERWATT_POWERCAP_ROOT", str(make(tmp_path, TREE)))
    assert RaplSensor().probe()[0].name == "package-0"


def test_absent_is_said_to_be_absent(tmp_path: Path) -> None:
    with pytest.raises(SensorUnavailableError, match="is absent") as caught:
        RaplSensor(tmp_path / "nowhere").probe()
    assert "modprobe" in str(caught.value.mend)
    with pytest.raises(SensorUnavailableError, match="has no RAPL zone"):
        RaplSensor(tmp_path).probe()


def test_zones_hidden_by_a_container_are_told_from_absent_ones(tmp_path: Path) -> None:
    (tmp_path / "intel-rapl:0").symlink_to(tmp_path / "masked")
    with pytest.raises(SensorUnavailableError, match="hidden from this process"):
        RaplSensor(tmp_path).probe()


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_unreadable_is_not_absent(anybodys: Path) -> None:
    make(anybodys / "powercap", TREE)
    (anybodys / "powercap" / "intel-rapl:0" / "energy_uj").chmod(0)
    me = os.geteuid()
    if me == 0:  # root may read everything, so be nobody for a moment
        os.seteuid(65534)
    try:
        with pytest.raises(SensorUnavailableError, match="CVE-2020-8694") as caught:
            RaplSensor(anybodys / "powercap").probe()
    finally:
        os.seteuid(me)
    assert f"sudo chmod -R a+r {anybodys}/powercap/intel-rapl*/" in str(caught.value.mend)


def test_a_memory_zone_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    make(tmp_path, {"intel-rapl:0": "package-0", "intel-rapl:0:2": "dram"})
    (tmp_path / "intel-rapl:0:2" / "energy_uj").write_text("")
    (domain,) = RaplSensor(tmp_path).probe()
    assert domain.name == "package-0"
    assert "dram-0 could not be read" in str(domain.note)


def test_joules_across_a_wrap_and_a_failed_read(tmp_path: Path) -> None:
    make(tmp_path, {"intel-rapl:0": "package-0"})
    file = tmp_path / "intel-rapl:0" / "energy_uj"
    file.write_text(str(WRAP_UJ - 3_000_000))
    sampler = Sampler([RaplSensor(tmp_path)], 1)
    sampler.read_now()
    file.write_text("2000000")  # 5 J later, past the wrap
    sampler.read_now()
    file.write_text("not a number")
    sampler.read_now()
    file.write_text("4500000")
    sampler.read_now()
    samples = sampler.drain()
    assert [s.flag for s in samples] == [None, None, "read-failed", None]
    assert [s.counter_j for s in samples] == [
        0.0,
        pytest.approx(5.0),
        None,
        pytest.approx(7.5),
    ]


def test_a_zone_that_disappears_fails_its_reads_only(tmp_path: Path) -> None:
    sensor = RaplSensor(make(tmp_path, {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1"}))
    sensor.probe()
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    first, second = sensor.read()
    assert first.error is None and first.counter_j == 1.0
    assert second.error is not None and second.counter_j is None
