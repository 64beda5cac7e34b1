"""RedfishSensor against a loopback BMC with known watts, old and new resources."""

from __future__ import annotations

import time

import pytest

from emulated.bmc import RedfishBmc
from emulated.meter_server import PowerTrace
from perwatt.attribution.integrate import curve_of, energy_between
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Reading
from perwatt.sensors.redfish import RedfishSensor
from perwatt.sensors.sampler import Sampler
from tests.sensors.real_time import read_until, sampled, step_gap_s


def next_reading(sensor: RedfishSensor) -> Reading:
    """The first that comes: a counter's first value is only there to be compared with."""
    return read_until(sensor, lambda got: len(got) >= 1)[0]


def test_needs_an_address() -> None:
    with pytest.raises(SensorUnavailableError, match="--sensors redfish:HOST"):
        RedfishSensor().probe()


@pytest.mark.parametrize("environment", [False, True])
def test_watts_of_the_chassis_are_a_gauge_of_grade_c(environment: bool) -> None:
    trace = PowerTrace([(0.0, 344.0), (0.15, 600.0)])
    with RedfishBmc(trace, environment=environment) as bmc:
        sensor = RedfishSensor(f"http://{bmc.host}?period=0.05")
        (domain,) = sensor.probe()
        assert (domain.name, domain.kind, domain.boundary, domain.grade) == (
            "bmc",
            "gauge",
            "system",
            "C",
        )
        assert domain.device.startswith("Contoso 3500RX, chassis 1U")
        samples = sampled(Sampler([sensor], hz=50, timing_s=0), 0.25)
        sensor.close()
    curve = curve_of(samples, domain)
    assert curve is not None
    a, b = int(curve.t_ns[0]), int(curve.t_ns[-1])
    true_j = trace.energy_j(b) - trace.energy_j(a)
    error_j = 256 * step_gap_s(samples, trace.start_ns + 150_000_000)
    assert energy_between(curve, a, b) == pytest.approx(true_j, abs=error_j + 1e-3)


@pytest.mark.parametrize(
    ("decimals", "option", "kind"),
    [(0, "", "gauge"), (6, "", "counter"), (5, "&kind=counter", "counter")],
)
def test_its_energy_is_read_where_it_is_fine(decimals: int, option: str, kind: str) -> None:
    trace = PowerTrace([(0.0, 360.0)], start_ns=time.monotonic_ns() - 1000 * 10**9)
    with RedfishBmc(trace, environment=True, energy_decimals=decimals) as bmc:
        sensor = RedfishSensor(f"http://{bmc.host}?chassis=1U&period=0.05{option}")
        (domain,) = sensor.probe()
        reading = next_reading(sensor)
        sensor.close()
    assert (domain.kind, domain.grade) == (kind, "B" if kind == "counter" else "C")
    assert reading.power_w == 360.0
    if kind == "counter":
        off_j = 360 * (reading.clock_error_ns or 0) / 1e9
        true_j = trace.energy_j(reading.t_ns)
        # Its last decimal is worth 3.6 J, or 36 J.
        assert reading.counter_j == pytest.approx(true_j, abs=40 + off_j)


def test_parts_of_a_chassis_are_not_counted_and_several_must_be_named() -> None:
    parts = {"1U": "RackMount", "GPU_0": "Component", "GPU_1": "Module"}
    with RedfishBmc(PowerTrace(), chassis=parts) as bmc:
        sensor = RedfishSensor(f"http://{bmc.host}")
        assert "chassis 1U" in sensor.probe()[0].device
        sensor.close()
        sensor = RedfishSensor(f"http://{bmc.host}?chassis=GPU_1")
        assert "chassis GPU_1" in sensor.probe()[0].device
        sensor.close()
        with pytest.raises(SensorUnavailableError, match="has no chassis 'X' with a power reading"):
            RedfishSensor(f"http://{bmc.host}?chassis=X").probe()
    blades = {"Blade1": "Blade", "Blade2": "Blade"}
    with (
        RedfishBmc(PowerTrace(), chassis=blades) as bmc,
        pytest.raises(SensorUnavailableError, match="chassis=Blade1 or Blade2"),
    ):
        RedfishSensor(f"http://{bmc.host}").probe()


def test_the_password_is_used_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with RedfishBmc(PowerTrace(), password="hunter2") as bmc:
        with pytest.raises(SensorUnavailableError) as caught:
            RedfishSensor(f"http://{bmc.host}").probe()
        assert "PERWATT_REDFISH_PASSWORD" in str(caught.value)
        monkeypatch.setenv("PERWATT_REDFISH_PASSWORD", "hunter2")
        sensor = RedfishSensor(f"http://{bmc.host}")
        (domain,) = sensor.probe()
        sensor.close()
    assert "hunter2" not in repr(domain)


def test_over_plain_http_to_another_machine_no_password_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PERWATT_REDFISH_PASSWORD", "hunter2")
    with pytest.raises(SensorUnavailableError, match="would travel readable over http") as caught:
        RedfishSensor("http://bmc.invalid").probe()
    assert "redfish:https://bmc.invalid" in (caught.value.mend or "")


@pytest.mark.parametrize("link", ["http://198.51.100.7/x", "//198.51.100.7/x"])
def test_a_link_that_leads_elsewhere_is_not_followed(link: str) -> None:
    with RedfishBmc(PowerTrace()) as bmc:
        bmc.link = link
        with pytest.raises(SensorUnavailableError, match="no path of its own"):
            RedfishSensor(f"http://{bmc.host}").probe()


@pytest.mark.parametrize(("fault", "sentence"), [(500, "500"), ("garbage", "does not speak HTTP")])
def test_a_bmc_that_fails_is_one_sentence(fault: int | str, sentence: str) -> None:
    with RedfishBmc(PowerTrace()) as bmc:
        bmc.fault = fault
        with pytest.raises(SensorUnavailableError, match=sentence):
            RedfishSensor(f"http://{bmc.host}").probe()
