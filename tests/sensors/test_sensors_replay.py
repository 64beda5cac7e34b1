"""ReplaySensor on traces that perwatt wrote, that others wrote, and that are damaged."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.errors import FileError, SensorUnavailableError
from perwatt.core.records import Domain, PowerSample, Reading
from perwatt.sensors.replay import ReplaySensor
from perwatt.sensors.replay_trace import read_trace, write_trace
from perwatt.sensors.sampler import Sampler

WALL = Domain(
    name="wall",
    kind="counter",
    boundary="system",
    source="shelly",
    grade="A",
    device="Shelly Plug S",
    gain_low=0.97,
    gain_high=1.03,
)
GAUGE = Domain(
    name="gpu0", kind="gauge", boundary="accelerator", source="nvml", grade="C", device="a GPU"
)


def sample(t_ns: int, **fields: object) -> PowerSample:
    base: dict[str, object] = {"domain": "wall", "counter_j": None, "power_w": None}
    return PowerSample(t_ns=t_ns, **{**base, **fields})  # type: ignore[arg-type]


finite = st.floats(0, 1e6, allow_nan=False)
values = st.one_of(st.none(), finite)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2**62), finite, values, st.sampled_from(["wall", "gpu0"])),
        min_size=1,
        max_size=20,
    ),
    suffix=st.sampled_from([".csv", ".jsonl"]),
)
def test_what_was_written_is_read(
    rows: list[tuple[int, float, float | None, str]],
    suffix: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("trace") / f"power{suffix}"
    samples = [
        sample(t, domain=name, counter_j=value, power_w=power, throttle="sw-power-cap,hw-thermal")
        for t, value, power, name in sorted(rows, key=lambda row: row[0])
    ]
    write_trace(path, [WALL, GAUGE], samples)
    trace = read_trace(path)
    assert trace.remarks == ()
    assert set(trace.domains) <= {WALL, GAUGE}
    assert [(r.t_ns, r.domain, r.counter_j, r.power_w, r.throttle) for r in trace.readings] == [
        (s.t_ns, s.domain, s.counter_j, s.power_w, ("sw-power-cap", "hw-thermal")) for s in samples
    ]


def test_a_byte_order_mark_of_a_spreadsheet_is_no_column(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("t_s,power_w\n0,5\n", encoding="utf-8-sig")
    assert read_trace(path).readings[0].power_w == 5.0


def test_a_failed_read_stays_a_failed_read(tmp_path: Path) -> None:
    path = tmp_path / "power.csv"
    samples = [sample(1, counter_j=0.0), sample(2, flag="read-failed"), sample(3, counter_j=5.0)]
    write_trace(path, [WALL], samples)
    good, failed, last = read_trace(path).readings
    assert (good.counter_j, last.counter_j) == (0.0, 5.0)
    assert failed.counter_j is None
    assert failed.error == "flagged read-failed when it was recorded"


def test_lines_out_of_order_cut_or_empty_are_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "made.csv"
    path.write_text(
        "# a plug of mine\n"
        "t_s,domain,power_w,counter_j\n"
        "0.0,wall,10,\n0.1,wall,11,\n0.05,wall,99,\n0.2,wall,,\n0.3,wall\n0.4,wall,nan,\n"
        "0.5,wall,12,\n"
    )
    trace = read_trace(path)
    assert [(r.t_ns, r.power_w) for r in trace.readings] == [
        (0, 10.0),
        (100_000_000, 11.0),
        (500_000_000, 12.0),
    ]
    (domain,) = ReplaySensor(str(path)).probe()
    assert (domain.kind, domain.boundary, domain.grade, domain.source) == (
        "gauge",
        "system",
        "C",
        "replay",
    )
    assert domain.note is not None
    assert "4 of its 7 samples left out, first line 5: its time is 0.05 s before" in domain.note
    assert "guesses" in domain.note


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it has no samples"),
        ("a,b\n1,2\n", "Line 1 of"),
        ("t_s,domain,power_w\nx,wall,1\ny,wall,2\n", "all 2 samples are unusable (line 2: its t_s"),
        ('{"name": "wall", "kind": "odd"}\n', "Line 1 of"),
        ('{"domain": "wall", "t_s": 0, "power_w": true}\n', "power_w True is no number"),
        ('{"domain": "wall", "t_s"\n', "line 1: it is cut short"),
    ],
)
def test_nothing_usable_is_one_sentence_with_file_and_line(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(FileError) as caught:
        read_trace(path)
    assert sentence in caught.value.message
    assert "trace.csv" in caught.value.message
    assert caught.value.mend


@pytest.mark.parametrize("address", [None, "", "no-such.csv", "x.csv?speed=2"])
def test_probe_says_what_is_missing(address: str | None) -> None:
    with pytest.raises(SensorUnavailableError) as caught:
        ReplaySensor(address).probe()
    assert caught.value.mend
    assert "Traceback" not in str(caught.value)


def test_real_time_falls_on_the_sampler_s_own_clock(tmp_path: Path) -> None:
    path = tmp_path / "power.jsonl"
    step = 20_000_000
    write_trace(path, [WALL], [sample(10**15 + k * step, counter_j=2.0 * k) for k in range(6)])
    begun = time.monotonic_ns()
    sampler = Sampler([ReplaySensor(str(path))], hz=200, timing_s=0)
    sampler.start()
    started = time.monotonic_ns()
    time.sleep(0.15)
    sampler.stop()
    got = [s for s in sampler.drain() if s.counter_j is not None]
    assert [s.counter_j for s in got] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert [s.t_ns - got[0].t_ns for s in got] == [k * step for k in range(6)]
    assert begun <= got[0].t_ns <= started


def test_the_end_is_said_and_not_made_up(tmp_path: Path) -> None:
    path = tmp_path / "power.csv"
    write_trace(path, [WALL], [sample(5, counter_j=1.0)])
    sensor = ReplaySensor(str(path))
    sensor.probe()
    assert [r.counter_j for r in sensor.read()] == [1.0]
    (ended,) = sensor.read()
    assert ended.counter_j is None
    assert "has ended" in (ended.error or "")
    assert sensor.read() == []


def test_at_once_keeps_the_file_s_own_times_and_probing_again_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "power.csv"
    write_trace(path, [WALL], [sample(5, counter_j=1.0), sample(7, counter_j=2.0)])
    sensor = ReplaySensor(f"{path}?pace=once")
    for _ in range(2):
        (domain,) = sensor.probe()
        assert (domain.grade, domain.gain_high) == ("A", 1.03)
        assert sensor.read() == (
            Reading(domain="wall", t_ns=5, counter_j=1.0),
            Reading(domain="wall", t_ns=7, counter_j=2.0),
        )
        assert sensor.read() == []
    sensor.close()
    sensor.close()
    assert sensor.read() == []
