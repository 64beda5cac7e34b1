"""ShellySensor against loopback devices of both generations with known watts."""

from __future__ import annotations

import threading
import time

import pytest

from emulated.meter_server import Asked, MeterServer, PowerTrace, Sent
from emulated.meters import ShellyGen1, ShellyGen2
from perwatt.attribution.integrate import curve_of, energy_between
from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.sampler import Sampler
from perwatt.sensors.shelly import ShellySensor
from tests.sensors.real_time import OF_THE_MACHINE, read_until, sampled, until

GEN2_DOCUMENTED = """{"id":0, "source":"WS_in", "output":false, "apower":0, "voltage":225.9,
"current":0, "aenergy":{"total":11.679, "by_minute":[0.000, 0.000, 0.000],
"minute_ts":1654511972}, "temperature":{"tC":53.3, "tF":127.9}}"""
"""The answer of Switch.GetStatus in the vendor's Gen2 documentation, by its shape."""


def test_without_an_address_it_says_what_to_write() -> None:
    with pytest.raises(SensorUnavailableError) as caught:
        ShellySensor().probe()
    assert str(caught.value) == (
        "The sensor shelly needs an address. Name it: --sensors shelly:HOST"
    )


def test_gen2_counter_gives_the_joules_that_flowed() -> None:
    trace = PowerTrace([(0.0, 2000.0), (0.3, 3000.0), (0.5, 1000.0)])
    with ShellyGen2(trace) as plug:
        sensor = ShellySensor(f"{plug.host}?period=0.05", watch_s=0.2)
        (domain,) = sensor.probe()
        assert (domain.name, domain.kind, domain.boundary) == ("wall", "counter", "system")
        assert (domain.grade, domain.source) == ("A", "shelly")
        assert "3.6 J" in (domain.note or "")
        samples = sampled(Sampler([sensor], hz=100, timing_s=0), 0.35)
        sensor.close()
    assert {sample.flag for sample in samples} <= OF_THE_MACHINE
    curve = curve_of(samples, domain)
    assert curve is not None
    a, b = int(curve.t_ns[0]), int(curve.t_ns[-1])
    true_j = trace.energy_j(b) - trace.energy_j(a)
    # Two ends of 3.6 J each, and at up to 3 kW what their dates may be off.
    off_s = [(sample.clock_error_ns or 0) / 1e9 for sample in samples]
    assert 0 < min(off_s) < 0.05
    assert energy_between(curve, a, b) == pytest.approx(
        true_j, abs=8 + 3000 * (off_s[0] + off_s[-1])
    )


def test_a_counter_that_stands_still_is_left_for_the_gauge() -> None:
    with ShellyGen2(PowerTrace([(0.0, 80.0)]), counter_period_s=60) as plug:
        sensor = ShellySensor(f"{plug.host}?period=0.05", watch_s=0.2)
        (domain,) = sensor.probe()
        got = read_until(sensor, lambda got: len(got) >= 3)
        sensor.close()
    assert domain.kind == "gauge"
    assert "not seen to move" in (domain.note or "")
    assert [(r.counter_j, r.power_w) for r in got[:3]] == [(None, 80.0)] * 3
    assert all(r.clock_error_ns is not None and r.clock_error_ns > 0 for r in got)
    assert [r.t_ns for r in got] == sorted(r.t_ns for r in got)


def test_gen1_has_a_coarse_counter_so_its_gauge_is_read_unless_forced() -> None:
    trace = PowerTrace([(0.0, 600.0)], start_ns=time.monotonic_ns() - 10**10)
    with ShellyGen1(trace) as plug:
        sensor = ShellySensor(plug.host)
        (domain,) = sensor.probe()
        (first,) = sensor.read()
        sensor.close()
        forced = ShellySensor(f"{plug.host}?kind=counter&domain=wall-2&period=0.05")
        (counter,) = forced.probe()
        seen = read_until(forced, lambda got: len(got) >= 1)[0]
        forced.close()
    assert (domain.kind, domain.gain_high) == ("gauge", 1.05)
    assert (first.power_w, first.counter_j) == (600.0, None)
    assert (counter.kind, counter.name) == ("counter", "wall-2")
    assert seen.counter_j is not None and seen.clock_error_ns is not None
    off_j = 60 + 600 * seen.clock_error_ns / 1e9
    assert seen.counter_j == pytest.approx(trace.energy_j(seen.t_ns), abs=off_j)
    assert seen.counter_j % 60 == 0


def test_the_documented_answer_is_understood() -> None:
    asked_for = 0

    def answer(asked: Asked) -> Sent:
        nonlocal asked_for
        path = asked.path
        if path == "/shelly":
            return Sent('{"id":"shellyplus1pm-44179394d4d4","model":"SNSW-001P16EU","gen":2}')
        if path == "/rpc/Shelly.GetStatus":
            return Sent('{"sys":{}, "wifi":{}, "switch:0":' + GEN2_DOCUMENTED + "}")
        asked_for += 1
        return Sent(GEN2_DOCUMENTED.replace("11.679", f"{11.678 + asked_for / 1000:.3f}"))

    with MeterServer(answer) as plug:
        sensor = ShellySensor(f"{plug.host}?kind=counter&period=0.05")
        sensor.probe()
        reading = read_until(sensor, lambda got: len(got) >= 1)[0]
        sensor.close()
    assert reading.counter_j == pytest.approx(11.680 * 3600)
    assert reading.power_w == 0.0


@pytest.mark.parametrize("plug_class", [ShellyGen1, ShellyGen2])
def test_a_password_is_asked_for_used_and_never_shown(
    plug_class: type[ShellyGen1] | type[ShellyGen2], monkeypatch: pytest.MonkeyPatch
) -> None:
    with plug_class(PowerTrace(), password="hunter2") as plug:
        with pytest.raises(SensorUnavailableError) as caught:
            ShellySensor(plug.host).probe()
        assert "asks for a password" in caught.value.message
        assert "PERWATT_SHELLY_PASSWORD" in (caught.value.mend or "")

        monkeypatch.setenv("PERWATT_SHELLY_PASSWORD", "wrong")
        with pytest.raises(SensorUnavailableError, match="refuses the password given") as caught:
            ShellySensor(plug.host).probe()
        assert "wrong" not in str(caught.value)

        monkeypatch.setenv("PERWATT_SHELLY_PASSWORD", "hunter2")
        sensor = ShellySensor(f"{plug.host}?kind=gauge&period=0.05")
        (domain,) = sensor.probe()
        assert "hunter2" not in repr(domain)
        if isinstance(plug, ShellyGen2):
            plug.nonce = "deadbeef"  # the device's nonces run out: the new one is taken up
        got = read_until(sensor, lambda got: len(got) >= 3)
        sensor.close()
    assert all(reading.error is None for reading in got)


def test_of_several_meters_one_must_be_named() -> None:
    both = ("switch:0", "switch:1")
    with ShellyGen2(PowerTrace([(0.0, 40.0)]), components=both) as strip:
        with pytest.raises(SensorUnavailableError, match=r"Name one: \?channel=0 or 1"):
            ShellySensor(strip.host).probe()
        with pytest.raises(SensorUnavailableError, match="It has: 0, 1"):
            ShellySensor(f"{strip.host}?channel=7").probe()
        sensor = ShellySensor(f"{strip.host}?channel=1&kind=gauge")
        sensor.probe()
        assert sensor.read()[0].power_w == 40.0
        sensor.close()
    assert strip.asked[-1].query == {"id": "1"}


@pytest.mark.parametrize("components", [(), ("pm1:0",)])
def test_a_device_without_a_meter_is_told_apart(components: tuple[str, ...]) -> None:
    with ShellyGen2(PowerTrace(), components=components) as device:
        sensor = ShellySensor(f"{device.host}?kind=gauge")
        if components:
            assert sensor.probe()[0].kind == "gauge"
        else:
            with pytest.raises(SensorUnavailableError, match="has no power meter"):
                sensor.probe()
        sensor.close()


def test_a_plug_that_falls_silent_is_a_flagged_gap_and_comes_back() -> None:
    with ShellyGen2(PowerTrace([(0.0, 50.0)])) as plug:
        sensor = ShellySensor(f"{plug.host}?kind=gauge&period=0.05&timeout=1")
        sensor.probe()
        read_until(sensor, lambda got: len(got) >= 2)
        plug.fault = "hang"
        failed = read_until(sensor, lambda got: any(r.error for r in got))[-1]
        assert failed.power_w is None
        assert failed.counter_j is None
        assert f"The shelly at http://{plug.host} did not answer within 1 s." in (
            failed.error or ""
        )
        plug.fault = None
        back = read_until(sensor, lambda got: any(r.power_w == 50.0 for r in got))
        assert back[-1].error is None
        sensor.close()
        sensor.close()
    assert not any(thread.name == "perwatt-meter" for thread in threading.enumerate())


def test_gen1_says_when_its_value_is_not_valid() -> None:
    with ShellyGen1(PowerTrace()) as plug:
        sensor = ShellySensor(f"{plug.host}?period=0.05")
        sensor.probe()
        plug.valid = False
        failed = read_until(sensor, lambda got: any(r.error for r in got))[-1]
        sensor.close()
    assert "gives no valid power now" in (failed.error or "")


def test_probing_twice_is_one_device_and_nothing_is_read_before_or_after() -> None:
    with ShellyGen2(PowerTrace()) as plug:
        sensor = ShellySensor(f"{plug.host}?kind=gauge")
        assert list(sensor.read()) == []
        assert sensor.probe() == sensor.probe()
        assert len(sensor.read()) == 1
        sensor.close()
        assert list(sensor.read()) == []


def test_a_plug_that_hangs_does_not_hold_up_the_sampler() -> None:
    with ShellyGen2(PowerTrace()) as plug:
        sensor = ShellySensor(f"{plug.host}?kind=gauge&period=0.05&timeout=5")
        sampler = Sampler([sensor], hz=100, timing_s=0)
        plug.fault, asked = "hang", len(plug.asked)
        sampler.start()
        until(lambda: len(plug.asked) > asked and sampler.costs()[0].reads > 10)
        sampler.stop()
        sensor.close()
    (cost,) = sampler.costs()
    assert cost.mean_read_s is not None
    assert cost.mean_read_s < 1.0  # a read that waited would have taken 5 s
