"""Which sensors are chosen, what is said of them, and what `doctor` is told."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import msgspec
import pytest

from perwatt.core.errors import (
    GradeError,
    SensorUnavailableError,
    SpecError,
)
from perwatt.core.estimate import Grade
from perwatt.core.records import Boundary, Domain, Reading
from perwatt.core.registry import registry
from perwatt.sensors import pick as pick_module
from perwatt.sensors.pick import pick
from perwatt.sensors.rapl import RaplSensor
from perwatt.sensors.survey import survey
from perwatt.sensors.timing import measure_timing

CLOSED: list[str] = []


class Wall:
    """A plug-in as a third party would write it: a grade, a boundary, and devices by process."""

    grade: Grade = "A"
    boundary: Boundary = "accelerator"
    prefix = "board"

    def __init__(self) -> None:
        self.count = 2

    def probe(self) -> Sequence[Domain]:
        return [
            Domain(
                name=f"{self.prefix}{n}",
                kind="gauge",
                boundary=self.boundary,
                source=self.prefix,
                grade=self.grade,
                device="test",
            )
            for n in range(self.count)
        ]

    def select(self, pids: Sequence[int]) -> Sequence[Domain]:
        self.count = len(pids)
        return self.probe()

    def read(self) -> Sequence[Reading]:
        t_ns = time.monotonic_ns()
        return [Reading(domain=d.name, t_ns=t_ns, power_w=5.0) for d in self.probe()]

    def close(self) -> None:
        CLOSED.append(self.prefix)


class Worse(Wall):
    grade: Grade = "C"
    prefix = "worse"


class Broken(Wall):
    def probe(self) -> Sequence[Domain]:
        msg = "cannot even probe"
        raise RuntimeError(msg)


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    sensors = registry("sensor")
    monkeypatch.setattr(sensors, "_code", {"board": Wall, "worse": Worse, "broken": Broken})
    CLOSED.clear()
    yield


@pytest.fixture
def no_rapl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERWATT_POWERCAP_ROOT", str(tmp_path / "none"))


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for zone, name in {"intel-rapl:0": "package-0", "intel-rapl:0:0": "dram"}.items():
        folder = tmp_path / zone
        folder.mkdir()
        (folder / "name").write_text(name)
        (folder / "energy_uj").write_text("5000000")
    monkeypatch.setenv("PERWATT_POWERCAP_ROOT", str(tmp_path))
    return tmp_path


def test_a_counter_is_taken_before_an_estimate(powercap: Path) -> None:
    picked = pick(("auto",))
    assert (picked.boundary, picked.grade) == ("package", "B")
    assert [d.name for d in picked.domains] == ["package-0", "dram-0"]
    assert picked.energy_line == (
        "Energy: RAPL package-0 + dram-0, counter (grade B), package boundary."
    )
    picked.close()


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="estimates are made on Linux only")
def test_an_estimate_is_said_to_be_one_and_why(no_rapl: None) -> None:
    picked = pick(("auto",))
    assert picked.grade == "D"
    assert picked.energy_line.startswith("Energy is ESTIMATED (grade D)")
    assert "no RAPL" in picked.energy_line.replace("No", "no")
    assert "is absent" in picked.energy_line
    low = min(domain.gain_low for domain in picked.counted)
    high = max(domain.gain_high for domain in picked.counted)
    assert f"{low:g}× to {high:g}×" in picked.energy_line
    with pytest.raises(GradeError, match="grade B, and D is the best here") as caught:
        pick(("auto",), require_grade="B")
    assert "modprobe" in str(caught.value.mend)
    assert pick(("auto",), require_grade="D").grade == "D"


def test_an_accelerator_takes_the_best_grade_with_the_package_beside_it(
    plugins: None, powercap: Path
) -> None:
    picked = pick(("auto",), uses_accelerator=True)
    assert (picked.boundary, picked.grade) == ("accelerator", "A")
    assert [d.name for d in picked.counted] == ["board0", "board1"]
    assert [d.name for d in picked.domains] == ["board0", "board1", "package-0", "dram-0"]
    assert picked.energy_line.endswith("beside it package-0 + dram-0.")
    assert CLOSED == ["worse"]
    broken = next(t for t in picked.tried if t.name == "broken")
    assert not broken.ok and "cannot even probe" in str(broken.reason)


def test_no_estimate_stands_beside_an_accelerator(plugins: None, no_rapl: None) -> None:
    picked = pick(("auto",), uses_accelerator=True)
    assert {d.boundary for d in picked.domains} == {"accelerator"}


def test_only_the_devices_of_the_engine_are_kept(plugins: None, powercap: Path) -> None:
    picked = pick(("board", "rapl"), uses_accelerator=True, pids=(os.getpid(),))
    assert [d.name for d in picked.counted] == ["board0"]
    assert [d.name for d in picked.narrow((1, 2))] == ["board0", "board1", "package-0", "dram-0"]


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="estimates are made on Linux only")
@pytest.mark.parametrize(
    ("name", "why"), [("rapl", "No RAPL"), ("rapll", "no sensor named 'rapll'")]
)
def test_a_named_sensor_that_cannot_be_used_is_told_and_the_run_goes_on(
    no_rapl: None, name: str, why: str
) -> None:
    picked = pick((name,))
    assert picked.grade == "D"
    assert picked.energy_line.startswith("Energy is ESTIMATED (grade D)")
    assert "Asked for, but not used: " + name in picked.energy_line and why in picked.energy_line
    told = next(t for t in picked.tried if t.asked)
    assert (told.name, told.ok) == (name, False) and told.mend
    picked.close()


@pytest.mark.parametrize("name", ["rapl", "rapll"])
def test_with_a_grade_required_it_stops_the_run(plugins: None, no_rapl: None, name: str) -> None:
    with pytest.raises(GradeError, match=f"the sensor {name}: ") as caught:
        pick(("board", name), require_grade="B")
    assert caught.value.mend
    assert CLOSED == ["board"]


def test_without_falling_back_it_is_an_error(no_rapl: None) -> None:
    with pytest.raises(SensorUnavailableError, match="No RAPL"):
        pick(("rapl",), fall_back=False)


def test_an_address_goes_to_the_sensor_or_is_refused(plugins: None) -> None:
    class Plug(Wall):
        prefix = "plug"

        def __init__(self, address: str | None = None) -> None:
            self.address = address
            self.count = 1

    registry("sensor").register("plug")(Plug)
    picked = pick(("plug:10.0.0.9:80",), fall_back=False)
    plug = picked.sensors[0]
    assert isinstance(plug, Plug) and plug.address == "10.0.0.9:80"
    with pytest.raises(SensorUnavailableError, match="board takes no address"):
        pick(("board:10.0.0.9",), fall_back=False)


def test_what_lies_inside_another_domain_is_not_summed(plugins: None) -> None:
    class Platform(Wall):
        prefix = "whole"

        def probe(self) -> Sequence[Domain]:
            inside = super().probe()
            outer = msgspec.structs.replace(
                inside[0], name="module", covers=tuple(d.name for d in inside)
            )
            return [*inside, outer]

    registry("sensor").register("whole")(Platform)
    picked = pick(("whole",), uses_accelerator=True)
    assert [d.name for d in picked.domains] == ["whole0", "whole1", "module"]
    assert [d.name for d in picked.counted] == ["module"]


def test_a_measured_system_is_taken_before_an_estimated_package(
    plugins: None, no_rapl: None
) -> None:
    class Rail(Wall):
        grade: Grade = "C"
        boundary: Boundary = "system"
        prefix = "rail"

    registry("sensor").register("rail")(Rail)
    picked = pick(("auto",))
    assert (picked.boundary, picked.grade) == ("system", "C")
    assert [d.name for d in picked.counted] == ["rail0", "rail1"]


def test_of_equal_grades_the_maker_own_interface_is_taken(plugins: None, powercap: Path) -> None:
    class Hwmon(Wall):
        grade: Grade = "B"
        boundary: Boundary = "package"
        prefix = "hwmon"

    sensors = registry("sensor")
    sensors._code["hwmon"] = Hwmon  # in place of the installed one, as a plug-in may be
    assert {d.source for d in pick(("auto",)).domains} == {"rapl"}


def test_the_boundary_can_be_asked_for(plugins: None, powercap: Path) -> None:
    both = ("board", "rapl")
    assert pick(both, uses_accelerator=True, boundary="package").boundary == "package"
    assert pick(both, boundary="accelerator").grade == "A"
    with pytest.raises(SensorUnavailableError, match="reads the energy of the system"):
        pick(both, boundary="system")


def test_one_domain_from_two_sensors_is_refused(powercap: Path) -> None:
    if not Path("/proc/stat").exists():
        pytest.skip("estimates are made on Linux only")
    with pytest.raises(SpecError, match="both measure package-0"):
        pick(("rapl", "estimated"))


def test_no_sensor_at_the_boundary_names_all_that_were_tried(
    monkeypatch: pytest.MonkeyPatch, no_rapl: None
) -> None:
    class Only:
        def names(self) -> list[str]:
            return ["rapl"]

        def get(self, name: str) -> type[RaplSensor]:
            return RaplSensor

    monkeypatch.setattr(pick_module, "registry", lambda kind: Only())
    with pytest.raises(SensorUnavailableError, match=r"of the accelerator \(rapl: No RAPL"):
        pick(("auto",), uses_accelerator=True)


def test_the_survey_has_a_line_for_every_sensor(plugins: None, powercap: Path) -> None:
    seen = {s.name: s for s in survey(spin_s=0.02)}
    assert set(seen) >= {"rapl", "nvml", "estimated", "board", "broken"}
    assert (seen["rapl"].readable, seen["rapl"].grade, seen["rapl"].boundary) == (
        True,
        "B",
        "package",
    )
    assert seen["rapl"].tick_s is None  # its file stands still
    assert (seen["broken"].found, seen["broken"].readable) == (True, False)
    assert "cannot even probe" in str(seen["broken"].reason)


def test_the_tick_is_measured(powercap: Path) -> None:
    file = powercap / "intel-rapl:0" / "energy_uj"
    descriptor = os.open(file, os.O_WRONLY)
    stop = threading.Event()
    wrote: list[float] = []

    def drive() -> None:
        count = 5000000
        while not stop.wait(0.02):
            count += 1000
            os.pwrite(descriptor, b"%d" % count, 0)
            wrote.append(time.monotonic())

    thread = threading.Thread(target=drive)
    thread.start()
    sensor = RaplSensor()
    domains = sensor.probe()[:1]
    for _ in range(100):  # until the machine lets some be seen
        wrote.clear()
        (timing,) = measure_timing(sensor, domains, 0.3)
        if timing.changes >= 5:
            break
    true_s = median(b - a for a, b in pairwise(wrote))
    stop.set()
    thread.join()
    os.close(descriptor)
    assert timing.tick_s == pytest.approx(true_s, rel=0.5)
    assert timing.changes >= 5
