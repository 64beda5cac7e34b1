"""RaplSensor on emulated powercap trees: which zones, which errors, and joules across a wrap."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulated.powercap import EmulatedZone, VirtualPowercap, amd, intel
from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.rapl import RaplSensor
from perwatt.sensors.rapl_zones import zones
from perwatt.sensors.sampler import Sampler
from tests.sensors.real_time import until

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


S = 1_000_000_000
RAMP = ((0, 1000 * S), (0.0, 1e5))  # 100 W


def make(root: Path, tree: dict[str, str]) -> Path:
    (root / "intel-rapl").mkdir(parents=True)
    for zone, name in tree.items():
        folder = root / zone
        folder.mkdir()
        (folder / "name").write_text(name + "\n")
        (folder / "max_energy_range_uj").write_text(f"{WRAP_UJ}\n")
        (folder / "energy_uj").write_text("1000000\n")
    return root


def test_only_zones_that_do_not_overlap_are_summed(tmp_path: Path) -> None:
    sensor = RaplSensor(make(tmp_path, TREE))
    domains = sensor.probe()
    summed = [d for d in domains if d.boundary == "package"]
    assert [d.name for d in summed] == ["package-0", "dram-0", "package-1", "dram-1"]
    assert {(d.grade, d.kind, d.source) for d in domains} == {("B", "counter", "rapl")}
    assert not {d.name for d in summed} & {name for d in summed for name in d.covers}
    assert summed[0].covers == ("core-0", "uncore-0") and summed[1].covers == ()
    assert domains[0].wrap_j == pytest.approx(WRAP_UJ / 1e6)
    assert [r.domain for r in sensor.read()] == [d.name for d in domains]


@given(st.sets(st.sampled_from(sorted(TREE)), min_size=1))
def test_no_joule_is_counted_twice_whatever_is_listed(listed: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = make(Path(folder) / "powercap", {zone: TREE[zone] for zone in listed})
        seen = {zone.path.name: zone for zone in zones(root)}
        assert set(seen) == listed
        packages = [z for z in listed if TREE[z].startswith("package")]
        if not packages:
            with pytest.raises(SensorUnavailableError):
                RaplSensor(root).probe()
            return
        domains = RaplSensor(root).probe()
    summed = [d.name for d in domains if d.boundary == "package"]
    covered = {name for d in domains if d.boundary == "package" for name in d.covers}
    assert len(set(summed)) == len(summed) and not covered & set(summed)
    assert {TREE[z] for z in packages} == {n for n in summed if n.startswith("package")}
    system = [d for d in domains if d.boundary == "system"]
    assert all(set(summed) <= set(d.covers) for d in system) and len(system) <= 1


def test_psys_stands_beside_and_covers_the_rest(tmp_path: Path) -> None:
    psys = RaplSensor(make(tmp_path, TREE)).probe()[-1]
    assert (psys.name, psys.boundary) == ("psys", "system")
    assert psys.covers == (
        *("package-0", "core-0", "uncore-0", "dram-0"),
        *("package-1", "dram-1"),
    )


@pytest.mark.parametrize("text", ["0\n", "", None])
def test_psys_that_nobody_feeds_is_not_offered(tmp_path: Path, text: str | None) -> None:
    file = make(tmp_path, TREE) / "intel-rapl:2" / "energy_uj"
    file.unlink() if text is None else file.write_text(text)
    assert {d.boundary for d in RaplSensor(tmp_path).probe()} == {"package"}


def test_every_zone_is_surveyed_with_its_scope_and_role(tmp_path: Path) -> None:
    make(tmp_path, TREE)
    (tmp_path / "intel-rapl:0:1" / "energy_uj").write_text("")
    seen = {zone.path.name: zone for zone in zones(tmp_path)}
    assert set(seen) == set(TREE)
    core = seen["intel-rapl:0:0"]
    assert (core.name, core.role, core.inside) == ("core-0", "inside", "package-0")
    assert core.scope == "cores alone, already inside package"
    assert seen["intel-rapl:1:0"].name == "dram-1"
    assert seen["intel-rapl:2"].role == "system"
    double = seen["intel-rapl-mmio:0"]
    assert (double.role, double.scope) == ("double", "package-0 listed again")
    assert [z.path.name for z in seen.values() if z.problem] == ["intel-rapl:0:1"]


def test_amd_has_no_memory_and_says_so(tmp_path: Path) -> None:
    tree = VirtualPowercap(tmp_path / "sys", [amd(RAMP, core=RAMP), amd(RAMP, socket=1)])
    (tmp_path / "cpuinfo").write_text("vendor_id : AuthenticAMD\nmodel name : AMD EPYC 9354\n")
    first, second = RaplSensor(tree.root, proc=tmp_path).probe()
    assert (first.name, second.name, first.device) == ("package-0", "package-1", "AMD EPYC 9354")
    assert first.wrap_j == 65_532.610987
    assert "AMD counts none" in str(first.note)


def test_two_sockets_across_wraps_sum_to_the_truth(tmp_path: Path) -> None:
    sockets = [
        replace(intel(RAMP, dram=RAMP, core=RAMP, socket=n), range_units=2**22) for n in (0, 1)
    ]
    twin = EmulatedZone("package-0", *RAMP, control="intel-rapl-mmio")
    tree = VirtualPowercap(tmp_path, [*sockets, EmulatedZone("psys", *RAMP, start_units=9), twin])
    sampler = Sampler([RaplSensor(str(tree.root))], 1)
    for second in range(31):
        tree.at(second * S)
        sampler.read_now()
    last = {s.domain: s.counter_j for s in sampler.drain() if s.counter_j is not None}
    names = [d.name for d in sampler.domains if d.boundary == "package"]
    # Two sockets and their memory at 100 W each: 2⁻¹⁴ J wraps at 256 J, eleven times.
    assert sum(last[name] or 0.0 for name in names) == pytest.approx(4 * 3000.0, abs=0.01)


def test_joules_of_a_step_in_real_time(tmp_path: Path) -> None:
    start = time.monotonic_ns()
    step = start + 3 * S // 10
    knots = (start, step, step + 600 * S), (0.0, 15.0, 15.0 + 600 * 250.0)  # 50 W, then 250 W
    zone = EmulatedZone("package-0", *knots, tick_s=0.005)
    tree = VirtualPowercap(tmp_path, [zone])
    begin = start + S // 10
    tree.at(begin)
    sampler = Sampler([RaplSensor(tree.root)], 100, timing_s=0)
    sampler.read_now()
    with tree.running(process=True):
        sampler.start()
        until(lambda: int((tree.root / "intel-rapl:0" / "energy_uj").read_text()) > 40e6)
        sampler.stop()
    end = time.monotonic_ns()
    tree.at(end)
    sampler.read_now()
    seen = [(s.t_ns, s.counter_j) for s in sampler.drain() if s.counter_j is not None]
    first_uj, last_uj = zone.energy_uj(begin), zone.energy_uj(end)
    assert first_uj is not None and last_uj is not None
    assert seen[-1][1] == pytest.approx((last_uj - first_uj) / 1e6)
    # The process that writes may come late, and never early.
    for t_ns, joules in seen[1:]:
        assert joules <= ((zone.energy_uj(t_ns) or 0) - first_uj) / 1e6 + 0.001
    assert [j for _, j in seen] == sorted(j for _, j in seen)
    assert len({j for _, j in seen}) > 2


def test_sgx_and_the_filtering_register_are_noticed(tmp_path: Path) -> None:
    root = make(tmp_path / "sys", {"intel-rapl:0": "package-0", "intel-rapl:0:2": "dram"})
    info, msr = tmp_path / "cpuinfo", tmp_path / "msr"

    def note(flags: str, register: int | None) -> str:
        info.write_text(f"vendor_id : GenuineIntel\nmodel name : Xeon\nflags : fpu {flags}\n")
        msr.unlink(missing_ok=True)
        if register is not None:
            msr.write_bytes(bytes(0xBC) + register.to_bytes(8, "little"))
        return str(RaplSensor(root, proc=tmp_path, msr=msr).probe()[0].note)

    assert "filter" not in note("avx2", None) + note("avx2", 0xFE)
    assert "Intel may filter" in note("sgx sgx_lc", None)
    assert "energy filtering is on" in note("avx2", 1)


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
    tree = VirtualPowercap(tmp_path / "sys", [intel(RAMP, dram=RAMP)])
    sensor = RaplSensor(tree.root)
    assert len(sensor.probe()) == 2
    tree.mask()
    assert [r.counter_j for r in sensor.read()] == [None, None]
    with pytest.raises(SensorUnavailableError, match="hidden from this process"):
        sensor.probe()


def test_a_driver_without_zones_is_absent_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "intel-rapl").mkdir()
    with pytest.raises(SensorUnavailableError, match="has no RAPL zone"):
        RaplSensor(tmp_path).probe()


def test_a_package_that_fails_is_no_matter_of_permissions(tmp_path: Path) -> None:
    make(tmp_path, {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1"})
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    (tmp_path / "intel-rapl:1" / "energy_uj").mkdir()
    with pytest.raises(SensorUnavailableError, match="Is a directory") as caught:
        RaplSensor(tmp_path).probe()
    assert "chmod" not in str(caught.value)


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything, so be nobody for a moment."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


def test_unreadable_is_not_absent(anybodys: Path) -> None:
    make(anybodys / "powercap", TREE)
    (anybodys / "powercap" / "intel-rapl:0" / "energy_uj").chmod(0)
    with as_nobody(), pytest.raises(SensorUnavailableError, match="CVE-2020-8694") as caught:
        RaplSensor(anybodys / "powercap").probe()
    assert f"sudo chmod -R a+r {anybodys}/powercap/intel-rapl*/" in str(caught.value.mend)


@pytest.mark.parametrize("zone", ["intel-rapl:0:2", "intel-rapl:2", "intel-rapl:0:0"])
def test_what_may_be_missing_without_permission(anybodys: Path, zone: str) -> None:
    root = make(anybodys / "powercap", TREE)
    (root / zone / "energy_uj").chmod(0)
    with as_nobody():
        domains = {d.name: d for d in RaplSensor(root).probe()}
        (surveyed,) = [z for z in zones(root) if z.path.name == zone]
    assert surveyed.forbidden and surveyed.name not in domains
    assert {"package-0", "package-1", "dram-1"} <= set(domains)
    told = "dram-0 could not be read and is not in the sum" in str(domains["package-0"].note)
    assert told == (zone == "intel-rapl:0:2")


def test_one_socket_without_permission_is_no_sum(anybodys: Path) -> None:
    root = make(anybodys / "powercap", TREE)
    (root / "intel-rapl:1" / "energy_uj").chmod(0)
    with as_nobody(), pytest.raises(SensorUnavailableError, match="intel-rapl:1/energy_uj"):
        RaplSensor(root).probe()


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
    assert samples[2].flag == "read-failed"
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
