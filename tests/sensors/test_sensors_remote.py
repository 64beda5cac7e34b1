"""A sampler served over loopback and read back: dates, joules, gaps, restarts, tokens."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from emulated.meter_server import Asked, MeterServer, PowerTrace, Sent
from perwatt.attribution.integrate import curve_of, energy_between
from perwatt.core.clock import now_ns
from perwatt.core.errors import PortInUseError, SensorUnavailableError, SpecError
from perwatt.core.records import Domain, PowerSample, Reading
from perwatt.sensors.remote import RemoteSensor
from perwatt.sensors.remote_wire import BatchHead, DomainsAnswer, TimeAnswer, WireSample, to_wire
from perwatt.sensors.sampler import Sampler
from perwatt.sensors.serve import SampleServer, parse_listen
from tests.sensors.real_time import OF_THE_MACHINE, read_until, sampled, until

PACKAGE = Domain(
    name="package-0",
    kind="counter",
    boundary="package",
    source="rapl",
    grade="B",
    device="a CPU far away",
    wrap_j=262144.0,
    covers=("dram-0",),
)
S = 1_000_000_000


class Lamp:
    """A sensor of this process with known watts, in a counter that ticks at each read."""

    def __init__(self, trace: PowerTrace) -> None:
        self._trace = trace
        self.fails = False

    def probe(self) -> Sequence[Domain]:
        return (PACKAGE,)

    def read(self) -> Sequence[Reading]:
        t_ns = now_ns()
        if self.fails:
            return (Reading(domain="package-0", t_ns=t_ns, error="a fault"),)
        joules = self._trace.energy_j(t_ns) + 1000
        return (Reading(domain="package-0", t_ns=t_ns, counter_j=joules, power_w=1.0),)

    def close(self) -> None:
        pass


@pytest.fixture
def lamp() -> Lamp:
    return Lamp(PowerTrace([(0.0, 200.0)]))


@pytest.fixture
def served(lamp: Lamp) -> Iterator[SampleServer]:
    sampler = Sampler([lamp], hz=100, timing_s=0)
    server = SampleServer(sampler, hz=100)
    sampler.start()
    server.start()
    yield server
    server.close()
    server.close()
    sampler.stop()


def test_joules_elsewhere_are_joules_here(served: SampleServer) -> None:
    sensor = RemoteSensor(f"{served.url}?period=0.05&prefix=node1.")
    (domain,) = sensor.probe()
    assert (domain.name, domain.source, domain.grade, domain.wrap_j) == (
        "node1.package-0",
        "remote",
        "B",
        None,
    )
    assert "rapl read by perwatt sampler on 127.0.0.1" in (domain.note or "")
    samples = sampled(Sampler([sensor], hz=50, timing_s=0), 0.15)
    sensor.close()
    # A flag of the sampler over there comes as a failed read.
    assert {sample.flag for sample in samples} <= {"read-failed", *OF_THE_MACHINE}
    errors_ns = [sample.clock_error_ns for sample in samples if sample.counter_j is not None]
    assert all(error is not None and error > 0 for error in errors_ns)
    curve = curve_of(samples, domain)
    assert curve is not None
    a, b = int(curve.t_ns[0]), int(curve.t_ns[-1])
    # The same clock on both sides, so the dates are right to the round trip's half.
    off_ns = [error or 0 for error in errors_ns]
    assert min(off_ns) < 20_000_000
    assert energy_between(curve, a, b) == pytest.approx(
        200 * (b - a) / S, abs=200 * 2 * max(off_ns) / S
    )


def test_a_failed_read_over_there_is_one_here(served: SampleServer, lamp: Lamp) -> None:
    sensor = RemoteSensor(f"{served.url}?period=0.02")
    sensor.probe()
    lamp.fails = True
    failed = read_until(sensor, lambda got: any(r.error for r in got))[-1]
    sensor.close()
    assert failed.counter_j is None
    assert "flagged read-failed" in (failed.error or "")


class Scripted:
    """The wire protocol with sessions and numbers at will, and a clock of its own."""

    def __init__(self, ahead_ns: int = 0) -> None:
        self.session, self.ahead_ns = "first", ahead_ns
        self.kept: list[WireSample] = []

    def add(self, seq: int, joules: float | None, flag: str | None = None) -> None:
        sample = PowerSample(now_ns() + self.ahead_ns, "package-0", joules, None, flag=flag)
        self.kept.append(to_wire(seq, sample))

    def __call__(self, asked: Asked) -> Sent:
        import msgspec

        if asked.path == "/v1/time":
            told = TimeAnswer(self.session, now_ns() + self.ahead_ns)
            return Sent(msgspec.json.encode(told))
        if asked.path == "/v1/domains":
            return Sent(msgspec.json.encode(DomainsAnswer(self.session, 20.0, 1, (PACKAGE,))))
        since = int(asked.query["since"]) if asked.query["session"] == self.session else 0
        first = self.kept[0].seq if self.kept else 1
        found = [sample for sample in self.kept if sample.seq > since][:3]
        more = bool(found) and found[-1].seq < self.kept[-1].seq
        lines = [BatchHead(self.session, first, len(found), more), *found]
        return Sent(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def test_another_clock_is_dated_on_ours() -> None:
    script = Scripted(ahead_ns=-7 * 3600 * S)
    with MeterServer(script) as server:
        sensor = RemoteSensor(f"{server.host}?period=0.02")
        sensor.probe()
        before = now_ns()
        script.add(1, 1.0)
        after = now_ns()
        (reading,) = read_until(sensor, lambda got: len(got) >= 1)
        sensor.close()
    assert reading.clock_error_ns is not None
    assert before - reading.clock_error_ns <= reading.t_ns <= after + reading.clock_error_ns
    assert reading.clock_error_ns < S  # the shortest of eight round trips, halved


def test_nothing_is_lost_or_doubled_over_cut_and_repeated_answers() -> None:
    script = Scripted()
    with MeterServer(script) as server:
        sensor = RemoteSensor(f"{server.host}?period=0.01")
        sensor.probe()
        got: list[Reading] = []

        def asked_anew(before: int) -> bool:
            return len(server.asked) > before

        for seq in range(1, 61):
            script.add(seq, float(seq))
            server.fault = "cut" if seq % 7 == 0 else None
            if seq % 11 == 0:
                server.drop_connections()
            got += sensor.read()
            until(partial(asked_anew, len(server.asked)))
        server.fault = None
        got += read_until(sensor, lambda more: any(r.counter_j == 60.0 for r in more))
        sensor.close()
    values = [reading.counter_j for reading in got if reading.counter_j is not None]
    assert values == [float(seq) for seq in range(1, 61)]
    dates = [reading.t_ns for reading in got if reading.counter_j is not None]
    assert all(a < b for a, b in pairwise(dates))


def test_a_sampler_started_anew_is_a_flagged_gap_and_never_negative_joules() -> None:
    script = Scripted()
    with MeterServer(script) as server:
        sensor = RemoteSensor(f"{server.host}?period=0.01")
        sampler = Sampler([sensor], hz=200, timing_s=0)
        sampler.start()
        samples: list[PowerSample] = []

        def seen(joules: float) -> bool:
            samples.extend(sampler.drain())
            return any(sample.counter_j == joules for sample in samples)

        for seq in range(1, 6):
            script.add(seq, 10.0 * seq)
            until(partial(seen, 10.0 * (seq - 1)))
        script.kept = []
        script.session = "second"
        for seq in range(1, 9):
            script.add(seq, 40.0 + 10 * seq)  # it looks like a small, plausible rise
        until(lambda: seen(40.0 + 50))
        sampler.stop()
        sensor.close()
    samples += sampler.drain()
    flags = [sample.flag for sample in samples if sample.flag]
    assert "read-failed" in flags
    assert "reset" in flags
    curve = curve_of(samples, PACKAGE)
    assert curve is not None
    assert (curve.energy_j[1:] >= curve.energy_j[:-1]).all()
    assert not curve.trusted.all()
    # 40 J before, and 10 J for each of the new session after the three that show the restart.
    assert curve.energy_j[-1] == pytest.approx(40 + 50)


def test_samples_that_nobody_fetched_in_time_are_said_to_be_lost() -> None:
    script = Scripted()
    with MeterServer(script) as server:
        sensor = RemoteSensor(f"{server.host}?period=0.02")
        sensor.probe()
        for seq in range(50, 53):
            script.add(seq, float(seq))
        got = read_until(sensor, lambda got: len(got) >= 4)
        sensor.close()
    assert "49 of its samples were not fetched in time" in (got[0].error or "")
    assert [reading.counter_j for reading in got[1:]] == [50.0, 51.0, 52.0]


def test_a_flag_over_there_comes_before_its_value_here() -> None:
    script = Scripted()
    with MeterServer(script) as server:
        sensor = RemoteSensor(f"{server.host}?period=0.02")
        sensor.probe()
        script.add(1, 5.0)
        script.add(2, 6.0, flag="sampler-stalled")
        script.add(3, 7.0, flag="wrap")
        script.add(4, 8.0, flag="reset")
        got = read_until(sensor, lambda got: len(got) >= 6)
        sensor.close()
    assert [(r.counter_j, bool(r.error)) for r in got] == [
        (5.0, False),
        (None, True),
        (6.0, False),
        (7.0, False),
        (None, True),
        (8.0 - 1e9, False),
    ]


def test_what_is_no_sampler_is_one_sentence() -> None:
    with MeterServer(lambda asked: Sent('{"odd": 1}')) as server:
        with pytest.raises(SensorUnavailableError, match="sent something else"):
            RemoteSensor(server.host).probe()
        server.fault = 404
        with pytest.raises(SensorUnavailableError, match="404"):
            RemoteSensor(server.host).probe()
    with pytest.raises(SensorUnavailableError, match="--sensors remote:http://HOST:9471"):
        RemoteSensor().probe()


def test_beyond_loopback_a_token_is_needed_and_checked(
    lamp: Lamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = Sampler([lamp], hz=20, timing_s=0)
    with pytest.raises(SpecError, match="no token is set"):
        SampleServer(sampler, hz=20, host="0.0.0.0")
    everywhere = SampleServer(sampler, hz=20, host="0.0.0.0", token="s3cret")
    assert everywhere.url.startswith(f"http://{socket.gethostname()}:")
    everywhere.close()
    server = SampleServer(sampler, hz=20, token="s3cret")
    server.start()
    try:
        with pytest.raises(SensorUnavailableError) as caught:
            RemoteSensor(server.url).probe()
        assert "asks for a password (401)" in caught.value.message
        assert "PERWATT_SAMPLER_TOKEN" in (caught.value.mend or "")
        monkeypatch.setenv("PERWATT_SAMPLER_TOKEN", "wr0ng")
        with pytest.raises(SensorUnavailableError) as caught:
            RemoteSensor(server.url).probe()
        assert "refuses the password given" in caught.value.message
        assert "wr0ng" not in str(caught.value)
        monkeypatch.setenv("PERWATT_SAMPLER_TOKEN", "s3cret")
        sensor = RemoteSensor(server.url)
        assert sensor.probe()[0].name == "package-0"
        sensor.close()
        monkeypatch.setenv("PERWATT_SAMPLER_TOKEN", "gehe im")
        with pytest.raises(SpecError, match="cannot be sent in a header"):
            RemoteSensor(server.url).probe()
    finally:
        server.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/samples?since=-1", 400), ("/v1/samples?since=x", 400), ("/", 404), ("/v2/time", 404)],
)
def test_odd_questions_are_refused(served: SampleServer, path: str, status: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(served.url + path, timeout=30)
    assert caught.value.code == status
    caught.value.close()


def test_batches_are_lines_with_rising_numbers_and_old_ones_give_way(lamp: Lamp) -> None:
    sampler = Sampler([lamp], hz=1000, timing_s=0)
    server = SampleServer(sampler, hz=1000, kept=10)
    sampler.start()
    server.start()
    lines: list[dict[str, int]] = []

    def asked() -> bool:
        with urllib.request.urlopen(f"{server.url}/v1/samples?since=0", timeout=30) as answer:
            lines[:] = [json.loads(line) for line in answer.read().splitlines()]
        return lines[0]["first"] > 1

    until(asked)
    head, *samples = lines
    server.close()
    sampler.stop()
    assert head["count"] == len(samples) == 10
    assert head["first"] > 1
    assert [s["seq"] for s in samples] == list(range(head["first"], head["first"] + 10))


def test_a_taken_port_and_a_bad_listen_are_told(served: SampleServer, lamp: Lamp) -> None:
    host, port = parse_listen(served.url.removeprefix("http://"))
    sampler = Sampler([lamp], hz=20, timing_s=0)
    with pytest.raises(PortInUseError, match="cannot be listened at"):
        SampleServer(sampler, hz=20, host=host, port=port)
    assert parse_listen("[::1]:0") == ("::1", 0)
    for text in ("", "host", "host:port", "a@b:1", "host:1/x"):
        with pytest.raises(SpecError, match="--listen"):
            parse_listen(text)


def test_the_record_of_one_wire_sample_has_every_field_of_a_sample(tmp_path: Path) -> None:
    assert WireSample.__struct_fields__[1:] and set(WireSample.__struct_fields__[1:]) == set(
        PowerSample.__struct_fields__
    )
