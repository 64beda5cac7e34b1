"""`perwatt calibrate` from option to profile, on an emulated /proc and a meter that knows it.

The meter draws A + B × the curve's watts of a load that comes and goes by itself, so that what is
fitted does not depend on how busy the machine under the test is.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from perwatt.cli.calibrate import calibrate, lines_of
from perwatt.core.errors import PerwattError, SpecError
from perwatt.core.records import Domain, Reading
from perwatt.core.registry import registry
from perwatt.sensors.estimated import EstimatedSensor
from perwatt.sensors.host_profile import identity, load, wall_from
from tests.sensors.real_time import HeldUp

A_W, B = 35.0, 1.6
INSIDE = 0.8
THREADS = 32


class BenchPlug:
    """A wall meter of the emulated host; `bench-plug:dead` never answers."""

    def __init__(self, address: str = "") -> None:
        self._address = address
        self._inside = EstimatedSensor("cpu,uncalibrated")
        self._sum_j = 0.0
        self._last: Reading | None = None

    def probe(self) -> Sequence[Domain]:
        self._inside.probe()
        return [
            Domain(
                name="wall",
                kind="counter",
                boundary="accelerator" if self._address == "gpu" else "system",
                source="bench-plug",
                grade="A",
                device="a bench plug",
                gain_low=0.99,
                gain_high=1.01,
            )
        ]

    def read(self) -> Sequence[Reading]:
        if self._address == "dead":
            return [Reading(domain="wall", t_ns=time.monotonic_ns(), error="no answer")]
        (now,) = self._inside.read()
        assert now.power_w is not None
        if self._last is not None:
            seconds = (now.t_ns - self._last.t_ns) / 1e9
            self._sum_j += (A_W + B * now.power_w) * seconds
        self._last = now
        return [Reading(domain="wall", t_ns=now.t_ns, counter_j=self._sum_j)]

    def close(self) -> None:
        self._inside.close()


class BenchCounter:
    """A counter within the emulated host, which reads four fifths of the curve's watts."""

    def __init__(self) -> None:
        self._inside = EstimatedSensor("cpu,uncalibrated")

    def probe(self) -> Sequence[Domain]:
        (domain,) = self._inside.probe()
        return [msgspec.structs.replace(domain, source="bench-counter", grade="B")]

    def read(self) -> Sequence[Reading]:
        (now,) = self._inside.read()
        assert now.counter_j is not None
        return [Reading(domain="package-0", t_ns=now.t_ns, counter_j=INSIDE * now.counter_j)]

    def close(self) -> None:
        self._inside.close()


def write_stat(proc: Path, jiffies: float) -> None:
    scratch = proc / "stat.new"
    scratch.write_text(f"cpu  {int(jiffies)} 0 0 500 9 0 0 7 0 0\n")
    scratch.replace(proc / "stat")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A /proc whose load swings from 5% to 95% every 1.3 s. Gives the profile's path."""
    proc, stop = tmp_path / "proc", threading.Event()
    proc.mkdir()
    cpu = (
        "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t: 17\nmodel name\t: AMD EPYC 9354\n\n"
    )
    (proc / "cpuinfo").write_text("".join(f"processor\t: {n}\n{cpu}" for n in range(THREADS)))
    monkeypatch.setenv("PERWATT_PROC_ROOT", str(proc))
    monkeypatch.setenv("PERWATT_SYS_ROOT", str(tmp_path))
    monkeypatch.setenv("PERWATT_POWERCAP_ROOT", str(tmp_path / "none"))
    monkeypatch.setenv("PERWATT_HOST_PROFILE", str(tmp_path / "kept" / "profile.json"))
    monkeypatch.setattr(registry("sensor"), "_code", {})  # so that no later test sees these two
    registry("sensor").register("bench-plug")(BenchPlug)
    registry("sensor").register("bench-counter")(BenchCounter)
    write_stat(proc, 0)

    def swing() -> None:
        jiffies, before = 0.0, time.monotonic()
        while not stop.wait(0.004):
            now = time.monotonic()
            share = 0.5 + 0.45 * math.sin(2 * math.pi * now / 1.3)
            jiffies += share * THREADS * 100 * (now - before)
            before = now
            write_stat(proc, jiffies)

    thread = threading.Thread(target=swing)
    thread.start()
    yield tmp_path / "kept" / "profile.json"
    stop.set()
    thread.join()


def test_it_fits_says_so_and_keeps_it(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(6):  # until the machine lets it be measured
        with HeldUp() as held:
            try:
                calibrate(
                    meter="bench-plug", sensors=["bench-counter"], seconds=0.2, rounds=2, json=True
                )
            except PerwattError:
                assert held.longest_s > 0.05
                continue
        out, err = capsys.readouterr()
        if held.longest_s < 0.25:
            break
    assert "8 of 8: " in err and "leave the machine alone" in err
    assert json.loads(out) == {"path": str(host), "profile": json.loads(host.read_bytes())}
    profile = load(host, identity())
    assert profile is not None and profile.sensors is not None and profile.estimate is not None
    assert profile.meter.source == "bench-plug"
    assert profile.sensors.domains == ("bench-counter:package-0",)
    for line, b in ((profile.sensors, B / INSIDE), (profile.estimate, B)):
        # a machine that is held up widens the interval
        assert abs(line.b - b) < max(0.15 * b, line.b_high - line.b)
        assert abs(line.a_w - A_W) < max(0.3 * A_W, line.a_high_w - line.a_w)
    watts = 0.5 * (profile.sensors.sensors_low_w + profile.sensors.sensors_high_w)
    value, low, high = wall_from(profile, watts * 100, 100)
    assert low < (A_W + B / INSIDE * watts) * 100 < high and low < value < high
    text = "\n".join(lines_of(profile, host))
    assert text.count("bench-plug = ") == 2 and "× (bench-counter:package-0)" in text
    assert "residual" in text and str(host) in text and "still grade D" in text
    # and from now on the estimate has the whole host
    _package, whole = EstimatedSensor("cpu").probe()
    assert whole.boundary == "system" and "bench-plug (a bench plug)" in str(whole.note)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"meter": "bench-plug", "seconds": 0.01}, SpecError, "--seconds 0.01 is not usable"),
        ({"meter": "bench-plug", "rounds": 1}, SpecError, "--rounds 1 is not usable"),
        ({"meter": "estimated"}, SpecError, "is itself an estimate"),
        ({"meter": "bench-plug:gpu"}, SpecError, "reads wall, and neither this host"),
        ({"meter": "bench-plgu"}, PerwattError, "Did you mean bench-plug"),
        ({"meter": "bench-plug:dead", "seconds": 0.2, "rounds": 2}, PerwattError, "gave no watts"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    host: Path, options: dict[str, object], error: type[PerwattError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence) as caught:
        calibrate(**options)  # type: ignore[arg-type]
    assert caught.value.mend and "\n" not in str(caught.value)
    assert not host.exists()
