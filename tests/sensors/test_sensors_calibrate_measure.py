"""Calibrating an emulated host whose true watts are known, at an emulated Shelly plug."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from emulated.meter_server import PowerTrace
from emulated.meters import ShellyGen2
from perwatt.core.errors import PerwattError
from perwatt.core.records import Domain, PowerSample, Reading
from perwatt.sensors.calibrate import Stretch, fit
from perwatt.sensors.calibrate_load import KINDS
from perwatt.sensors.calibrate_measure import (
    LOADS,
    Look,
    Side,
    Step,
    mean_power_w,
    measure,
    plan,
    stretches_of,
)
from perwatt.sensors.cpu_parts import identify, rating
from perwatt.sensors.estimated import EstimatedSensor
from perwatt.sensors.estimated_cpu import gain, power_w
from perwatt.sensors.estimated_line import WALL
from perwatt.sensors.host_profile import VERSION, HostProfile, Meter, identity, save
from perwatt.sensors.sampler import Sampler
from perwatt.sensors.shelly import ShellySensor
from tests.sensors.real_time import HeldUp

THREADS = 16
A_W, B = 41.0, 1.4
CPU = "".join(
    f"processor\t: {n}\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t: 17\n"
    "model name\t: AMD EPYC 9354 32-Core Processor\nflags\t: fpu\n\n"
    for n in range(THREADS)
)
RATED_W = rating(identify(CPU)).middle_w * THREADS


class Host(PowerTrace):
    """A machine with a /proc of its own, which draws A + B × the curve's watts at the wall."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._share = 0.0
        self._since = time.monotonic_ns()
        self._jiffies = 0.0
        self._joules = 0.0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        proc.mkdir()
        (proc / "cpuinfo").write_text(CPU)
        self._write()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Host:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def set(self, share: float, kind: str) -> None:
        assert kind in KINDS
        with self._lock:
            self._go_on(time.monotonic_ns())
            self._share = share

    def power_w(self, t_ns: int) -> float:
        return A_W + B * power_w(RATED_W, self._share)

    def energy_j(self, t_ns: int) -> float:
        with self._lock:
            return self._joules + self.power_w(t_ns) * (t_ns - self._since) / 1e9

    def _go_on(self, t_ns: int) -> None:
        seconds = (t_ns - self._since) / 1e9
        self._joules += self.power_w(t_ns) * seconds
        self._jiffies += self._share * THREADS * 100 * seconds
        self._since = t_ns

    def _write(self) -> None:
        scratch = self._proc / "stat.new"
        scratch.write_text(f"cpu  {int(self._jiffies)} 0 0 500 9 0 0 7 0 0\n")
        scratch.replace(self._proc / "stat")

    def _run(self) -> None:
        while not self._stop.wait(0.004):
            with self._lock:
                self._go_on(time.monotonic_ns())
                self._write()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("PERWATT_HOST_PROFILE", str(tmp_path / "profile.json"))
    with Host(tmp_path / "proc") as made:
        yield made


def quiet_looks(host: Host, tmp_path: Path) -> list[Look]:
    """Of two rounds those in which the machine held nothing up."""
    guess = EstimatedSensor("cpu,uncalibrated", proc=tmp_path / "proc", sysfs=tmp_path)
    order: list[int] = []
    held_s: list[float] = []
    with ShellyGen2(host) as plug, HeldUp() as held:
        wall = ShellySensor(f"{plug.host}?period=0.05", watch_s=0.1)
        sides = {
            "meter": Side(Sampler([wall], 50, timing_s=0.05), tuple(wall.probe())),
            "estimate": Side(Sampler([guess], 50, timing_s=0.05), tuple(guess.probe())),
        }

        def told(number: int, _: Step) -> None:
            order.append(number)
            held_s.append(held.taken_s())

        steps = plan(2, KINDS, random.Random(0))
        try:
            looks = measure(sides, host, steps, seconds=0.2, settle_s=0.06, told=told)
        except PerwattError:  # a meter that was held up may have given no watts
            assert held.longest_s > 0.05
            return []
        finally:
            wall.close()
        held_s.append(held.taken_s())
    assert order == list(range(8))
    return [look for look, longest_s in zip(looks, held_s[1:], strict=True) if longest_s < 0.06]


def test_a_plug_and_the_estimate_give_back_the_true_line(host: Host, tmp_path: Path) -> None:
    data: list[Stretch] = []
    for _ in range(20):
        data += stretches_of(quiet_looks(host, tmp_path), "estimate", "meter")
        if len(data) >= 7 and {stretch.load for stretch in data} == set(LOADS):
            break
    assert len(data) >= 7
    line = fit(data, domains=("estimated:package-0",), gain=(0.99, 1.01))
    # a machine that is held up widens the interval, which must then hold the truth
    assert abs(line.b - B) < max(0.12 * B, line.b_high - line.b)
    assert abs(line.a_w - A_W) < max(0.12 * A_W, line.a_high_w - line.a_w)


def profile_of(tmp_path: Path) -> HostProfile:
    """As measured on that host with a plug that is off by 0.3 W to and fro."""
    data = tuple(
        Stretch(
            load=share,
            kind=KINDS[n % 4],
            seconds=8,
            sensors_w=power_w(RATED_W, share),
            meter_w=A_W + B * power_w(RATED_W, share) + 0.3 * (-1) ** n,
        )
        for n, share in enumerate(LOADS * 3)
    )
    return HostProfile(
        version=VERSION,
        host=identity(tmp_path / "proc", tmp_path),
        made="2026-11-21T08:00:00+00:00",
        meter=Meter(
            source="shelly", device="plug", boundary="system", gain_low=0.99, gain_high=1.01
        ),
        sensors=None,
        estimate=fit(data, domains=("estimated:package-0",), gain=(0.99, 1.01)),
        stretches={"estimate": data},
    )


def test_a_wall_meters_line_gives_the_whole_host(host: Host, tmp_path: Path) -> None:
    save(profile_of(tmp_path), tmp_path / "profile.json")
    sensor = EstimatedSensor("cpu", proc=tmp_path / "proc", sysfs=tmp_path)
    package, whole = sensor.probe()
    assert [d.name for d in (package, whole)] == ["package-0", WALL]
    assert (whole.boundary, whole.grade, whole.covers) == ("system", "D", ("package-0", "dram-0"))
    assert "Calibrated 2026-11-21 against shelly (plug)" in str(whole.note)
    assert (package.gain_low, package.gain_high) == gain(rating(identify(CPU)))
    assert 0.9 < whole.gain_low < 1 < whole.gain_high < 1.1
    host.set(0.75, KINDS[0])  # never measured
    time.sleep(0.1)
    sensor.read()
    before = {r.domain: r for r in sensor.read()}
    time.sleep(0.1)
    after = {r.domain: r for r in sensor.read()}
    joules = {}
    for name in (package.name, whole.name):
        first, last = before[name].counter_j, after[name].counter_j
        assert first is not None and last is not None
        joules[name] = last - first
    seconds = (after[WALL].t_ns - before[WALL].t_ns) / 1e9
    assert joules[WALL] == pytest.approx(A_W * seconds + B * joules["package-0"], rel=0.01)


def test_a_package_meters_line_corrects_the_package(host: Host, tmp_path: Path) -> None:
    profile = profile_of(tmp_path)
    meter = msgspec.structs.replace(profile.meter, source="rapl", boundary="package")
    save(msgspec.structs.replace(profile, meter=meter), tmp_path / "profile.json")
    (package,) = EstimatedSensor("cpu", proc=tmp_path / "proc", sysfs=tmp_path).probe()
    assert (package.name, package.boundary, package.grade) == ("package-0", "package", "D")
    assert 0.9 < package.gain_low < 1 < package.gain_high < 1.1
    assert "against rapl" in str(package.note)
    (plain,) = EstimatedSensor("uncalibrated,cpu", proc=tmp_path / "proc", sysfs=tmp_path).probe()
    assert plain.gain_high > 2 and "Calibrated" not in str(plain.note)


def test_a_damaged_profile_is_said_and_not_used(host: Host, tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text("{")
    (package,) = EstimatedSensor("cpu", proc=tmp_path / "proc", sysfs=tmp_path).probe()
    assert package.gain_high > 2
    assert "Not calibrated: The host profile" in str(package.note)


def test_every_load_comes_once_a_round_in_shuffled_order() -> None:
    steps = plan(6, KINDS, random.Random(2))
    rounds = [steps[i : i + 4] for i in range(0, 24, 4)]
    for number, each in enumerate(rounds):
        assert sorted(step.load for step in each) == list(LOADS)
        assert {step.kind for step in each} == {KINDS[number % 4]}
    assert len({tuple(step.load for step in each) for each in rounds}) > 2


def domain(kind: str) -> Domain:
    return Domain(
        name="wall",
        kind="counter" if kind == "counter" else "gauge",
        boundary="system",
        source="x",
        grade="A",
        device="x",
    )


def sample(
    t: float, joules: float | None, watts: float | None, flag: str | None = None
) -> PowerSample:
    return PowerSample(round(t * 1e9), "wall", joules, watts, flag=flag)


def test_a_ticking_counter_is_read_between_its_changes() -> None:
    samples = [sample(t / 10, 50.0 * (t // 10), None) for t in range(60)]  # 50 W, a tick a second
    assert mean_power_w(samples, domain("counter"), 500_000_000, 4_700_000_000) == 50.0


def test_a_counter_too_slow_for_the_stretch_leaves_it_to_the_gauge() -> None:
    samples = [sample(t / 10, 0.0, 40.0 + t % 2) for t in range(20)]
    watts = mean_power_w(samples, domain("counter"), 0, 1_900_000_000)
    assert watts == pytest.approx(40.5)
    bare = [sample(t / 10, 0.0, None) for t in range(20)]
    assert mean_power_w(bare, domain("counter"), 0, 1_900_000_000) is None


def test_a_reset_or_silence_gives_nothing() -> None:
    samples = [sample(t, 10.0 * t, None, "reset" if t == 3 else None) for t in range(6)]
    assert mean_power_w(samples, domain("counter"), 0, 5_000_000_000) is None
    assert mean_power_w([], domain("gauge"), 0, 1) is None
    failed = [sample(1, None, None, "read-failed"), sample(2, None, 30.0)]
    assert mean_power_w(failed, domain("gauge"), 0, 3_000_000_000) == 30.0


class Silent:
    """A meter that is there, and says nothing."""

    def probe(self) -> list[Domain]:
        return [domain("gauge")]

    def read(self) -> list[Reading]:
        return []

    def close(self) -> None: ...


def test_a_silent_meter_ends_it_at_once(host: Host, tmp_path: Path) -> None:
    sides = {"meter": Side(Sampler([Silent()], 50, timing_s=0), (domain("gauge"),))}
    steps = [Step(0.5, KINDS[0])] * 1000
    begun = time.monotonic()
    with pytest.raises(PerwattError, match="meter gave no watts in the first"):
        measure(sides, host, steps, seconds=0.05, settle_s=0.0, told=lambda *_: None)
    assert time.monotonic() - begun < 0.05 * len(steps)


def test_stretches_that_one_side_missed_are_left_out() -> None:
    looks = [
        Look(Step(0.5, KINDS[0]), 8.0, {"meter": watts, "estimate": 20.0}) for watts in (None, 70.0)
    ]
    (kept,) = stretches_of(looks, "estimate", "meter")
    assert (kept.sensors_w, kept.meter_w, kept.seconds, kept.load) == (20.0, 70.0, 8.0, 0.5)
