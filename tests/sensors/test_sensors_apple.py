"""AppleSensor: a stand-in for the vendor's module, and a library with IOKit's symbols."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from emulated.build import NoCompilerError, shared_library
from perwatt.attribution.integrate import curve_of, energy_between
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Reading
from perwatt.sensors.apple import AppleSensor
from perwatt.sensors.apple_smc import Smc, SmcError
from perwatt.sensors.sampler import Sampler
from tests.sensors.real_time import sampled

S = 1_000_000_000
EMULATED = Path(__file__).parents[2] / "emulated"
NOWHERE = "/nowhere/IOKit"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The stand-in can be imported; gives the file of its trace."""
    monkeypatch.syspath_prepend(str(EMULATED / "stand_ins"))
    trace = tmp_path / "trace.json"
    monkeypatch.setenv("EMULATED_APPLE", str(trace))
    yield trace
    sys.modules.pop("zeus_apple_silicon", None)


@pytest.fixture
def iokit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    try:
        library = shared_library("IOKit.so", [EMULATED / "iokit.c"])
    except NoCompilerError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("EMULATED_IOKIT", str(tmp_path / "smc"))
    return str(library)


def m4(trace: Path, start: int, **watts: float) -> None:
    """Watts that step to ten times as much at `start`, for as long as anyone looks."""
    joules = {f: [0.0, 5 * w, 5 * w + 600 * w] for f, w in watts.items()}
    trace.write_text(json.dumps({"t_ns": [start - 5 * S, start, start + 60 * S], "joules": joules}))


ALL = {"cpu_total_mj": 2.0, "gpu_mj": 3.0, "ane_mj": 0.1, "dram_mj": 0.5, "gpu_sram_mj": 0.01}


def test_parts_of_the_chip_and_the_whole_mac(package: Path, iokit: str, tmp_path: Path) -> None:
    m4(package, time.monotonic_ns(), **ALL)
    (tmp_path / "smc").write_text("TC0P 50.0\nPSTR 13.0979\n")
    sensor = AppleSensor(iokit=iokit)
    domains = {d.name: d for d in sensor.probe()}
    assert {n: (d.kind, d.boundary, d.grade) for n, d in domains.items()} == {
        "cpu": ("counter", "package", "B"),
        "gpu": ("counter", "package", "B"),
        "ane": ("counter", "package", "B"),
        "dram": ("counter", "package", "B"),
        "system": ("gauge", "system", "C"),
    }
    assert domains["system"].covers == ("cpu", "gpu", "ane", "dram")
    assert "estimate" in str(domains["cpu"].note)
    sensor.probe()
    readings = {r.domain: r for r in sensor.read()}
    assert readings["system"].power_w == pytest.approx(13.0979, abs=1e-5)
    assert 10.0 <= (readings["cpu"].counter_j or 0) < 20 * 60
    (tmp_path / "smc").write_text("PSTR nan\n")
    assert sensor.read()[-1].error == "PSTR is nan"
    (tmp_path / "smc").write_text("TC0P 50.0\n")
    assert "answered 0x84" in str(sensor.read()[-1].error)
    sensor.close()
    sensor.close()
    assert sensor.read() == []


class Timed(AppleSensor):
    """Knows how long each of its reads took."""

    def __init__(self) -> None:
        super().__init__(iokit=NOWHERE)
        self.took_s: list[float] = []

    def read(self) -> Sequence[Reading]:
        begun = time.monotonic()
        readings = super().read()
        self.took_s.append(time.monotonic() - begun)
        return readings


def test_joules_match_the_truth(package: Path) -> None:
    step = time.monotonic_ns() + S * 15 // 100
    m4(package, step, cpu_total_mj=20.0, gpu_mj=3.0)
    sensor = Timed()
    sampler = Sampler([sensor], 100, timing_s=0)
    curve = curve_of(sampled(sampler, 0.3), sampler.domains[0])
    assert curve is not None
    a, b = int(curve.t_ns[0]), int(curve.t_ns[-1])
    # 20 W, then 200 W.
    true_j = (20 * max(step - a, 0) + 200 * (b - max(step, a))) / S
    # Each end is dated in the middle of its read.
    off_j = 200 * (sensor.took_s[0] + sensor.took_s[-1]) / 2
    assert energy_between(curve, a, b) == pytest.approx(true_j, abs=0.02 + off_j)


def test_an_m1_has_no_memory_channel_and_says_so(package: Path) -> None:
    m4(package, time.monotonic_ns(), cpu_total_mj=2.0, gpu_mj=3.0, ane_mj=0.0)
    sensor = AppleSensor(iokit=NOWHERE)
    domains = sensor.probe()
    assert [d.name for d in domains] == ["cpu", "gpu", "ane"]
    assert all("no channel for dram" in str(d.note) for d in domains)
    assert all("power is not told: IOKit cannot be used" in str(d.note) for d in domains)
    assert [r.domain for r in sensor.read()] == ["cpu", "gpu", "ane"]


def test_only_the_domains_asked_for(package: Path, iokit: str, tmp_path: Path) -> None:
    m4(package, time.monotonic_ns(), **ALL)
    (tmp_path / "smc").write_text("PSTR 13.0\n")
    for address, names in (("system", ["system"]), ("gpu, dram", ["gpu", "dram"])):
        sensor = AppleSensor(address, iokit=iokit)
        assert [d.name for d in sensor.probe()] == names == [r.domain for r in sensor.read()]
    with pytest.raises(
        SensorUnavailableError, match="'npu', which this Mac does not tell"
    ) as caught:
        AppleSensor("npu", iokit=iokit).probe()
    assert caught.value.mend == "It tells: cpu, gpu, ane, dram, system."


def test_counters_that_fail_fail_their_reads_only(package: Path) -> None:
    m4(package, time.monotonic_ns(), **ALL)
    sensor = AppleSensor(iokit=NOWHERE)
    sensor.probe()
    package.write_text(json.dumps({"error": "Unsupported or invalid energy unit provided: kJ"}))
    readings = sensor.read()
    assert [r.counter_j for r in readings] == [None] * 4
    assert "energy unit" in str(readings[0].error)
    with pytest.raises(SensorUnavailableError, match="energy unit"):
        AppleSensor(iokit=NOWHERE).probe()


def test_the_system_alone_where_the_package_is_absent(iokit: str, tmp_path: Path) -> None:
    (tmp_path / "smc").write_text("PSTR 9.5\n")
    sensor = AppleSensor(iokit=iokit)
    (system,) = sensor.probe()
    assert (system.name, system.covers) == ("system", ())
    assert "not told apart" in str(system.note)
    assert [r.power_w for r in sensor.read()] == [9.5]
    sensor.close()


def test_a_controller_that_is_absent_refuses_or_lacks_the_key(iokit: str, tmp_path: Path) -> None:
    with pytest.raises(SmcError, match="no controller"):
        Smc(iokit)
    (tmp_path / "smc").write_text("any refused\n")
    with pytest.raises(SmcError, match="refuses \\(0xE00002E2\\)"):
        Smc(iokit)
    (tmp_path / "smc").write_text("TC0P 50.0\n")
    smc = Smc(iokit)
    assert smc.number("TC0P") == 50.0
    with pytest.raises(SmcError, match="0x84"):
        smc.number("PSTR")
    smc.close()
    with pytest.raises(SmcError, match="closed"):
        smc.number("TC0P")


@pytest.mark.skipif(sys.platform == "darwin", reason="here it may well be found")
def test_elsewhere_it_says_what_it_needs(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMULATED_APPLE")
    with pytest.raises(SensorUnavailableError, match="IOReport subscription"):
        AppleSensor().probe()
    sys.path.remove(str(EMULATED / "stand_ins"))
    sys.modules.pop("zeus_apple_silicon", None)
    with pytest.raises(SensorUnavailableError, match="needs macOS on Apple silicon"):
        AppleSensor().probe()
