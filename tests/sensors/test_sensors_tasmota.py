"""TasmotaSensor against a loopback plug with known watts."""

from __future__ import annotations

import time

import pytest

from emulated.meter_server import MeterServer, PowerTrace, Sent
from emulated.meters import TasmotaPlug
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Reading
from perwatt.sensors.tasmota import TasmotaSensor
from tests.sensors.real_time import read_until

DOCUMENTED = (
    '{"StatusSNS":{"Time":"2018-11-15T08:54:18","ENERGY":{"TotalStartTime":'
    '"2018-11-14T18:39:40","Total":6.404,"Yesterday":5.340,"Today":1.064,"Power":2629,'
    '"ApparentPower":2645,"ReactivePower":288,"Factor":0.99,"Voltage":226,"Current":11.677}}}'
)
"""STATUS8 of a POW as tasmota.github.io/docs/Commands shows it."""


def next_reading(sensor: TasmotaSensor) -> Reading:
    """The first that comes: a counter's first value is only there to be compared with."""
    return read_until(sensor, lambda got: len(got) >= 1)[0]


def test_needs_an_address() -> None:
    with pytest.raises(SensorUnavailableError, match="--sensors tasmota:HOST"):
        TasmotaSensor().probe()


def test_the_documented_answer_is_understood() -> None:
    with MeterServer(lambda asked: Sent(DOCUMENTED)) as plug:
        sensor = TasmotaSensor(plug.host)
        (domain,) = sensor.probe()
        (reading,) = sensor.read()
        sensor.close()
    assert (domain.name, domain.kind, domain.boundary, domain.grade) == (
        "wall",
        "gauge",
        "system",
        "A",
    )
    assert "steps of 3600 J" in (domain.note or "")
    assert (reading.power_w, reading.counter_j) == (2629.0, None)
    assert plug.asked[0].query == {"cmnd": "Status 8"}


@pytest.mark.parametrize(("decimals", "kind"), [(3, "gauge"), (5, "gauge"), (6, "counter")])
def test_the_counter_is_read_where_its_steps_are_fine(decimals: int, kind: str) -> None:
    hour_ago_ns = time.monotonic_ns() - 3600 * 10**9
    trace = PowerTrace([(0.0, 100.0)], start_ns=hour_ago_ns)
    with TasmotaPlug(trace, decimals=decimals) as plug:
        sensor = TasmotaSensor(f"{plug.host}?period=0.05")
        (domain,) = sensor.probe()
        reading = next_reading(sensor)
        sensor.close()
    assert domain.kind == kind
    assert reading.power_w == 100.0
    if kind == "counter":
        # 100 W up to when it was dated, to a thousandth of a watt-hour and what the date is off.
        off_j = 100 * (reading.clock_error_ns or 0) / 1e9
        assert reading.counter_j == pytest.approx(trace.energy_j(reading.t_ns), abs=4 + off_j)


def test_a_counter_can_be_forced() -> None:
    with TasmotaPlug(PowerTrace([(0.0, 3500.0)]), decimals=5) as plug:
        sensor = TasmotaSensor(f"{plug.host}?kind=counter&period=0.05")
        (domain,) = sensor.probe()
        assert domain.kind == "counter"
        assert next_reading(sensor).counter_j is not None
        sensor.close()


def test_the_password_goes_to_the_device_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with TasmotaPlug(PowerTrace(), password="hun ter&2") as plug:
        with pytest.raises(SensorUnavailableError) as caught:
            TasmotaSensor(plug.host).probe()
        assert "asks for a password" in caught.value.message
        monkeypatch.setenv("PERWATT_TASMOTA_PASSWORD", "hun ter&2")
        sensor = TasmotaSensor(f"{plug.host}?period=0.05")
        sensor.probe()
        assert sensor.read()[0].power_w == 100.0
        plug.fault = 404
        got = read_until(sensor, lambda got: any(r.error for r in got))
        errors = [r.error for r in got if r.error]
        sensor.close()
    assert "answered /cm with 404" in errors[0]
    assert "hun" not in errors[0]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"StatusSNS":{"Time":"2018.02.15 01:00:50","Switch1":"OFF"}}', "has no power meter"),
        ('{"StatusSNS":{"ENERGY":{"Power":[1,2],"Total":[1.0,2.0]}}}', "meters 2 phases"),
        ('{"StatusSNS":{"ENERGY":{"Power":"x","Total":1}}}', "sent something else"),
        ("<html>a router</html>", "sent something else than was asked for"),
    ],
)
def test_what_is_no_plug_is_one_sentence(body: str, sentence: str) -> None:
    with MeterServer(lambda asked: Sent(body)) as server:
        sensor = TasmotaSensor(server.host)
        with pytest.raises(SensorUnavailableError) as caught:
            sensor.probe()
        sensor.close()
    assert sentence in caught.value.message
    assert caught.value.mend
