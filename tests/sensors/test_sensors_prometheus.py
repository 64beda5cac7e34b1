"""PrometheusSensor against a loopback server with scrapes at their own times and known watts."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from emulated.meter_server import MeterServer, PowerTrace, Sent
from emulated.metrics_servers import PrometheusServer
from perwatt.attribution.integrate import curve_of, energy_between
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Reading
from perwatt.sensors.energy_units import unit_of
from perwatt.sensors.prometheus import PrometheusSensor
from perwatt.sensors.sampler import Sampler
from tests.sensors.real_time import OF_THE_MACHINE, read_until, sampled


def collect(sensor: PrometheusSensor, seconds: float) -> list[Reading]:
    end = time.monotonic() + seconds
    return read_until(sensor, lambda got: len(got) >= 2 and time.monotonic() > end)


def test_joules_are_dated_by_their_scrapes_on_our_clock() -> None:
    trace = PowerTrace([(0.0, 300.0), (0.15, 900.0)])
    labels = {"instance": "node:9100", "job": "node"}
    series = {"node_rapl_package_joules_total": [(labels, trace, "joules")]}
    with PrometheusServer(series, scrape_s=0.06) as server:
        query = "query=node_rapl_package_joules_total&boundary=package&period=0.05"
        sensor = PrometheusSensor(f"http://{server.host}?{query}&domain=package-0")
        (domain,) = sensor.probe()
        assert (domain.name, domain.kind, domain.boundary, domain.grade) == (
            "package-0",
            "counter",
            "package",
            "B",
        )
        samples = sampled(Sampler([sensor], hz=50, timing_s=0), 0.2)
        sensor.close()
    assert {sample.flag for sample in samples} <= OF_THE_MACHINE
    for sample in samples:
        assert sample.clock_error_ns is not None
        # Scrapes fall on multiples of 60 ms of our clock: the date finds them again.
        off = (sample.t_ns + 30_000_000) % 60_000_000 - 30_000_000
        assert abs(off) <= sample.clock_error_ns
    curve = curve_of(samples, domain)
    assert curve is not None
    a, b = int(curve.t_ns[0]), int(curve.t_ns[-1])
    true_j = trace.energy_j(b) - trace.energy_j(a)
    off_s = [(sample.clock_error_ns or 0) / 1e9 for sample in samples]
    assert 0 < min(off_s) < 0.02
    assert energy_between(curve, a, b) == pytest.approx(true_j, abs=900 * (off_s[0] + off_s[-1]))


def test_each_series_is_a_domain_and_one_scrape_is_one_reading() -> None:
    gpus: Sequence[tuple[dict[str, str], PowerTrace, str]] = [
        ({"gpu": str(k), "job": "dcgm"}, PowerTrace([(0.0, 50.0 * (k + 1))]), "watts")
        for k in range(2)
    ]
    with PrometheusServer({"DCGM_FI_DEV_POWER_USAGE": gpus}, scrape_s=0.1) as server:
        sensor = PrometheusSensor(
            f"{server.host}?query=DCGM_FI_DEV_POWER_USAGE&boundary=accelerator&period=0.05"
        )
        begun = time.monotonic()
        domains = sensor.probe()
        got = collect(sensor, 0.35)
        scrapes = (time.monotonic() - begun) / 0.1 + 2
        sensor.close()
    assert [(d.name, d.kind, d.grade) for d in domains] == [
        ("gpu0", "gauge", "C"),
        ("gpu1", "gauge", "C"),
    ]
    assert {(r.domain, r.power_w) for r in got} == {("gpu0", 50.0), ("gpu1", 100.0)}
    assert 1 <= len([r for r in got if r.domain == "gpu0"]) <= scrapes


def test_an_expression_needs_its_unit_and_is_dated_when_asked() -> None:
    trace = PowerTrace([(0.0, 0.2)])
    series = {"plug_power": [({"plug": "a"}, trace, "watts"), ({"plug": "b"}, trace, "watts")]}
    with PrometheusServer(series) as server:
        address = f"{server.host}?query=sum(plug_power)"
        with pytest.raises(SensorUnavailableError, match="cannot be told from its name"):
            PrometheusSensor(address).probe()
        sensor = PrometheusSensor(f"{address}&unit=kW&grade=A&period=0.05")
        (domain,) = sensor.probe()
        got = collect(sensor, 0.12)
        sensor.close()
        with pytest.raises(SensorUnavailableError, match="kind=counter does not go with kW"):
            PrometheusSensor(f"{address}&unit=kW&kind=counter").probe()
    assert (domain.name, domain.kind, domain.grade) == ("wall", "gauge", "A")
    assert got
    assert all(reading.power_w == pytest.approx(400) for reading in got)


def test_a_target_that_is_down_is_a_failed_reading() -> None:
    nothing: dict[str, str] = {}
    series = {"wall_watts": [(nothing, PowerTrace(), "watts")]}
    with PrometheusServer(series) as server:
        sensor = PrometheusSensor(f"{server.host}?query=wall_watts&period=0.05")
        sensor.probe()
        server.down = True
        failed = read_until(sensor, lambda got: any(r.error for r in got))[-1]
        sensor.close()
    assert failed.power_w is None
    assert "has no value of wall now" in (failed.error or "")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("query=absent_watts", "has no series for absent_watts"),
        ("query=wall_watts[5m]", "gave a matrix, not one value a series"),
        ("query=sum(rate(", "could not answer: invalid parameter"),
        ("", "The sensor prometheus needs an address"),
        ("query=wall_watts&unit=hp", "unit=hp is not usable. Known: J, MJ, W, Wh"),
        ("query=wall_watts&grade=D", "grade=D is not usable"),
    ],
)
def test_a_wrong_query_is_one_sentence(query: str, sentence: str) -> None:
    nothing: dict[str, str] = {}
    series = {"wall_watts": [(nothing, PowerTrace(), "watts")]}
    with PrometheusServer(series) as server:
        sensor = PrometheusSensor(f"{server.host}?{query}")
        with pytest.raises(SensorUnavailableError) as caught:
            sensor.probe()
    assert sentence in str(caught.value)


@pytest.mark.parametrize("body", ['{"status":"success"}', "[]", '{"data":{"resultType":"x"}}'])
def test_what_is_no_prometheus_is_one_sentence(body: str) -> None:
    with MeterServer(lambda asked: Sent(body)) as server:
        sensor = PrometheusSensor(f"{server.host}?query=x_watts")
        with pytest.raises(SensorUnavailableError) as caught:
            sensor.probe()
    assert caught.value.mend


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("node_rapl_package_joules_total", "J"),
        ("kepler_node_cpu_watts", "W"),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "mJ"),
        ("all_smi_energy_consumed_joules_total", "J"),
        ("shelly_total_energy_kwh", "kWh"),
        ("amd_energy_uj", "uJ"),
        ("node_load1", None),
        ("power", None),
    ],
)
def test_units_are_told_from_names(name: str, unit: str | None) -> None:
    assert unit_of(name) == unit
