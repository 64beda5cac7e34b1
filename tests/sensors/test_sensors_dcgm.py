"""DcgmSensor against a loopback exporter with known watts, MIG slices included."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulated.meter_server import MeterServer, PowerTrace, Sent
from emulated.metrics_servers import DcgmExporter
from perwatt.attribution.integrate import curve_of, energy_between
from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.dcgm import DcgmSensor
from perwatt.sensors.prometheus_text import parse_text
from perwatt.sensors.sampler import Sampler
from tests.sensors.real_time import read_until, sampled


def test_needs_an_address() -> None:
    with pytest.raises(SensorUnavailableError, match="--sensors dcgm:http://HOST:9400/metrics"):
        DcgmSensor().probe()


def test_joules_of_each_gpu_are_those_that_it_drew() -> None:
    traces = [PowerTrace([(0.0, 100.0), (0.2, 600.0)]), PowerTrace([(0.0, 60.0)])]
    with DcgmExporter(traces) as exporter:
        sensor = DcgmSensor(f"http://{exporter.host}/metrics?period=0.05")
        domains = sensor.probe()
        assert [(d.name, d.kind, d.boundary, d.grade) for d in domains] == [
            ("gpu0", "counter", "accelerator", "B"),
            ("gpu1", "counter", "accelerator", "B"),
        ]
        assert domains[0].device == "NVIDIA A800-SXM4-80GB of node-35"
        samples = sampled(Sampler([sensor], hz=50, timing_s=0), 0.25)
        sensor.close()
    for domain, trace in zip(domains, traces, strict=True):
        curve = curve_of(samples, domain)
        assert curve is not None
        a, b = int(curve.t_ns[0]), int(curve.t_ns[-1])
        true_j = trace.energy_j(b) - trace.energy_j(a)
        own = [sample for sample in samples if sample.domain == domain.name]
        off_s = [(sample.clock_error_ns or 0) / 1e9 for sample in own]
        assert 0 < min(off_s) < 0.06
        error_j = trace.power_w(b) * (off_s[0] + off_s[-1])
        assert energy_between(curve, a, b) == pytest.approx(true_j, abs=error_j)
    first = next(sample for sample in samples if sample.domain == "gpu0")
    assert (first.utilization, first.temperature_c, first.clock_mhz) == (0.37, 41.0, 1755.0)
    assert first.memory_bytes == 2 << 30
    assert first.power_w in {100.0, 600.0}  # before its step, where nothing held us up


def test_slices_share_the_counter_of_their_gpu_and_it_is_counted_once() -> None:
    trace = PowerTrace([(0.0, 250.0)], start_ns=time.monotonic_ns() - 10**9)
    with DcgmExporter([trace], mig={0: ("3", "5", "13")}) as exporter:
        sensor = DcgmSensor(f"{exporter.host}?period=0.05")
        (domain,) = sensor.probe()
        reading = read_until(sensor, lambda got: len(got) >= 1)[0]
        sensor.close()
    assert domain.name == "gpu0"
    assert "3 slices share this counter, and it is counted once" in (domain.note or "")
    assert reading.clock_error_ns is not None
    off_j = 250 * reading.clock_error_ns / 1e9
    assert reading.counter_j == pytest.approx(trace.energy_j(reading.t_ns), abs=off_j + 1)
    assert reading.utilization is None  # a slice's own, not the GPU's


def test_a_refresh_that_comes_rarely_is_not_read_as_a_standstill() -> None:
    trace = PowerTrace([(0.0, 300.0)])
    with DcgmExporter([trace], refresh_s=0.15) as exporter:
        sensor = DcgmSensor(f"{exporter.host}?period=0.05")
        sensor.probe()
        samples = sampled(Sampler([sensor], hz=100, timing_s=0), 0.25)
        sensor.close()
    values = [sample.counter_j for sample in samples]
    assert 2 <= len(values) == len(set(values))
    for sample in samples:
        assert sample.clock_error_ns is not None
        off_ns = (sample.t_ns - trace.start_ns) % 150_000_000
        assert min(off_ns, 150_000_000 - off_ns) <= sample.clock_error_ns


def test_some_gpus_can_be_named_and_a_lost_one_is_a_failed_reading() -> None:
    with DcgmExporter([PowerTrace()] * 3) as exporter:
        with pytest.raises(SensorUnavailableError, match=r"has no GPU '7'\. It has: 0, 1, 2"):
            DcgmSensor(f"{exporter.host}?gpus=0,7").probe()
        sensor = DcgmSensor(f"{exporter.host}?gpus=2,0&period=0.05")
        assert [domain.name for domain in sensor.probe()] == ["gpu2", "gpu0"]
        sensor.read()
        exporter.lost = {2}
        got = read_until(sensor, lambda got: any(r.error for r in got))
        failed = next(r for r in got if r.error)
        sensor.close()
    assert (failed.domain, failed.counter_j) == ("gpu2", None)
    assert "no longer lists gpu2" in (failed.error or "")


def test_without_the_counter_it_is_a_gauge_of_grade_c() -> None:
    with DcgmExporter([PowerTrace([(0.0, 70.0)])], counter=False) as exporter:
        sensor = DcgmSensor(exporter.host)
        (domain,) = sensor.probe()
        (reading,) = sensor.read()
        sensor.close()
    assert (domain.kind, domain.grade) == ("gauge", "C")
    assert (reading.power_w, reading.counter_j) == (70.0, None)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("<html>", "something else than metrics: line 1 is no metric"),
        ("up 1\n", "exports neither DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"),
        (b"\xff\xfe", "something else than metrics"),
    ],
)
def test_what_is_no_exporter_is_one_sentence(body: str | bytes, sentence: str) -> None:
    with MeterServer(lambda asked: Sent(body)) as server:
        sensor = DcgmSensor(server.host)
        with pytest.raises(SensorUnavailableError, match=sentence):
            sensor.probe()


DOCUMENTED = r"""# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="+Inf"} 144320
"""  # noqa: E501 - the vendor's own lines
"""The example of prometheus.io/docs/instrumenting/exposition_formats, shortened."""


def test_the_documented_text_is_understood() -> None:
    samples, types = parse_text(DOCUMENTED)
    assert types["http_requests_total"] == "counter"
    assert [sample.value for sample in samples[:2]] == [1027.0, 3.0]
    assert samples[2].labels == {
        "path": "C:\\DIR\\FILE.TXT",
        "error": 'Cannot find file:\n"FILE.TXT"',
    }
    assert samples[3].labels == {}
    assert samples[4].value == float("inf")
    assert samples[5].labels == {"le": "+Inf"}


@settings(max_examples=50, deadline=None)
@given(
    labels=st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True), st.text()),
    value=st.floats(allow_nan=False),
)
def test_any_label_value_survives(labels: dict[str, str], value: float) -> None:
    def escape(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    inside = ",".join(f'{k}="{escape(v)}"' for k, v in labels.items())
    (sample,), _ = parse_text(f"m{{{inside}}} {value!r}")
    assert (sample.labels, sample.value) == (labels, value)


@pytest.mark.parametrize("line", ["m{a=b} 1", 'm{a="b" 1', "m", "m 1 2 3", "1m 2", "m x"])
def test_a_line_that_is_no_metric_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 is no metric"):
        parse_text(f"up 1\n{line}\n")
