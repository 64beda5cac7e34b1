"""ScpiSensor against analysers on loopback that speak SCPI, with known watts."""

from __future__ import annotations

import importlib.util

import pytest

from emulated.analyser import PowerAnalyser
from emulated.meter_server import PowerTrace
from perwatt.attribution.integrate import curve_of, energy_between
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Reading
from perwatt.sensors.sampler import Sampler
from perwatt.sensors.scpi import ScpiSensor
from tests.sensors.real_time import OF_THE_MACHINE, read_until, sampled, step_gap_s


def first_error(sensor: ScpiSensor) -> Reading:
    got = read_until(sensor, lambda got: any(reading.error for reading in got))
    return next(reading for reading in got if reading.error)


def test_needs_an_address() -> None:
    with pytest.raises(SensorUnavailableError, match="--sensors scpi:tcp://HOST:5025"):
        ScpiSensor().probe()


@pytest.mark.parametrize(("make", "integrating"), [("wt310e", False), ("hmc8015", True)])
def test_joules_are_those_that_flowed(make: str, integrating: bool) -> None:
    trace = PowerTrace([(0.0, 400.0), (0.12, 900.0)])
    with PowerAnalyser(trace, make, integrating) as analyser:
        sensor = ScpiSensor(f"{analyser.address}?period=0.02")
        (domain,) = sensor.probe()
        assert (domain.name, domain.boundary, domain.grade) == ("wall", "system", "A")
        assert domain.kind == ("counter" if integrating else "gauge")
        assert domain.gain_high == pytest.approx(1.005)
        samples = sampled(Sampler([sensor], hz=100, timing_s=0), 0.2)
        sensor.close()
    assert {sample.flag for sample in samples} <= OF_THE_MACHINE
    curve = curve_of(samples, domain)
    assert curve is not None
    a, b = int(curve.t_ns[0]), int(curve.t_ns[-1])
    true_j = trace.energy_j(b) - trace.energy_j(a)
    off_s = [(sample.clock_error_ns or 0) / 1e9 for sample in samples]
    assert 0 < min(off_s) < 0.03
    # A gauge finds the step to the looks round it, a counter's ends are off by what it says itself.
    step_ns = trace.start_ns + 120_000_000
    error_j = 900 * (off_s[0] + off_s[-1]) if integrating else 500 * step_gap_s(samples, step_ns)
    assert energy_between(curve, a, b) == pytest.approx(true_j, abs=error_j + 1e-3)


def test_the_element_is_the_one_asked_for() -> None:
    with PowerAnalyser(PowerTrace()) as analyser:
        sensor = ScpiSensor(f"{analyser.address}?element=SIGMA&domain=wall-2")
        (domain,) = sensor.probe()
        sensor.close()
    assert domain.name == "wall-2"
    assert ":NUMERIC:NORMAL:ITEM1 P,SIGMA" in analyser.said
    assert domain.device == "YOKOGAWA WT310E"


def test_another_make_is_asked_what_the_user_says() -> None:
    with PowerAnalyser(PowerTrace([(0.0, 60.0)]), "other") as analyser:
        with pytest.raises(SensorUnavailableError, match="is unknown here: ACME,PA-1") as caught:
            ScpiSensor(analyser.address).probe()
        assert "&query=MEAS:POW?" in (caught.value.mend or "")
        sensor = ScpiSensor(f"{analyser.address}?unit=mW&query=MEAS:POW?")
        (domain,) = sensor.probe()
        (reading,) = sensor.read()
        sensor.close()
    assert (domain.kind, domain.gain_low) == ("gauge", 0.98)
    assert reading.power_w == pytest.approx(0.06)


@pytest.mark.parametrize("make", ["wt310e", "hmc8015"])
def test_an_overload_is_a_failed_reading_and_never_a_number(make: str) -> None:
    with PowerAnalyser(PowerTrace(), make) as analyser:
        sensor = ScpiSensor(f"{analyser.address}?period=0.02")
        sensor.probe()
        analyser.overload = True
        failed = first_error(sensor)
        sensor.close()
        assert failed.power_w is None
        assert "overloaded" in (failed.error or "")
        with pytest.raises(SensorUnavailableError, match="gives no power now"):
            ScpiSensor(analyser.address).probe()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [("hang", "within 1 s"), ("cut", "failed"), ("endless", "failed")],
)
def test_an_analyser_that_fails_is_a_flagged_gap_in_bounded_time(fault: str, sentence: str) -> None:
    with PowerAnalyser(PowerTrace()) as analyser:
        sensor = ScpiSensor(f"{analyser.address}?period=0.02&timeout=1")
        sensor.probe()
        analyser.fault = fault
        failed = first_error(sensor)
        assert failed.power_w is None
        assert sentence in (failed.error or "")
        assert f"127.0.0.1:{analyser.port}" in (failed.error or "")
        analyser.fault = None
        read_until(sensor, lambda got: any(reading.power_w for reading in got))
        sensor.close()
        sensor.close()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("10.0.0.5", "neither tcp://HOST:PORT nor a VISA resource"),
        ("tcp://", "is not usable"),
        ("tcp://u:p@h:1", "is not usable"),
        ("tcp://h:1?colour=red", "no option 'colour'"),
        ("tcp://h:1?timeout=0", "timeout=0 is not usable"),
        ("tcp://h:1?element=1;*RST", "element=1;*RST is not usable"),
        ("tcp://127.0.0.1:1", "The analyser at 127.0.0.1:1 failed"),
    ],
)
def test_a_bad_address_is_one_sentence(address: str, sentence: str) -> None:
    with pytest.raises(SensorUnavailableError) as caught:
        ScpiSensor(address).probe()
    assert sentence in caught.value.message
    assert caught.value.mend


@pytest.mark.skipif(importlib.util.find_spec("pyvisa") is not None, reason="pyvisa is installed")
def test_without_pyvisa_it_names_the_extra() -> None:
    with pytest.raises(SensorUnavailableError, match=r"perwatt\[scpi\]"):
        ScpiSensor("TCPIP0::10.0.0.5::INSTR").probe()


@pytest.mark.skipif(importlib.util.find_spec("pyvisa") is None, reason="needs pyvisa, pyvisa-py")
def test_through_visa_the_same_watts_are_read() -> None:
    with PowerAnalyser(PowerTrace([(0.0, 400.0)])) as analyser:
        sensor = ScpiSensor(f"TCPIP::127.0.0.1::{analyser.port}::SOCKET?timeout=0.5")
        (domain,) = sensor.probe()
        assert domain.device == "YOKOGAWA WT310E"
        assert sensor.read()[0].power_w == 400.0
        analyser.fault = "hang"
        assert "failed" in (first_error(sensor).error or "")
        sensor.close()
