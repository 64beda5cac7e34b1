from __future__ import annotations

import pytest

from perwatt.core.errors import SpecError
from perwatt.core.load import parse_load
from perwatt.core.slo import Slo, parse_slo


def test_each_kind_of_load() -> None:
    closed = parse_load("closed:8")
    assert (closed.stages[0].kind, closed.most_in_flight) == ("closed", 8)
    even, random, bursty = (
        parse_load(t).stages[0] for t in ("constant:2.5", "poisson:4/s@30s", "gamma:4:2.5")
    )
    assert (even.per_s, even.cv, even.for_s) == (2.5, 0.0, None)
    assert (random.per_s, random.cv, random.for_s) == (4.0, 1.0, 30.0)
    assert (bursty.per_s, bursty.cv) == (4.0, 2.5)
    assert parse_load("burst").stages[0].kind == "burst"
    assert parse_load("poisson:4").most_in_flight is None


def test_a_trace_names_a_file_a_speed_both_or_neither() -> None:
    stages = [
        parse_load(t).stages[0]
        for t in ("trace", "trace:a.csv", "trace:x2", "trace:dir/a.csv.gz:x0.5@5m")
    ]
    assert [(s.trace, s.speed, s.for_s) for s in stages] == [
        (None, 1.0, None),
        ("a.csv", 1.0, None),
        (None, 2.0, None),
        ("dir/a.csv.gz", 0.5, 300.0),
    ]


def test_stages_follow_each_other() -> None:
    load = parse_load("closed:1@500ms, closed:4@1m")
    assert [(s.in_flight, s.for_s) for s in load.stages] == [(1, 0.5), (4, 60.0)]
    assert load.most_in_flight == 4
    assert not load.sweep


def test_a_sweep_doubles_and_ends_where_it_is_told() -> None:
    assert [s.in_flight for s in parse_load("sweep:1..24").stages] == [1, 2, 4, 8, 16, 24]
    rates = parse_load("sweep:0.5/s..2/s@10s")
    assert [(s.per_s, s.cv, s.for_s) for s in rates.stages] == [
        (0.5, 1.0, 10.0),
        (1.0, 1.0, 10.0),
        (2.0, 1.0, 10.0),
    ]
    assert rates.sweep


@pytest.mark.parametrize(
    "text",
    [
        "",
        "closed:0",
        "closed:1.5",
        "closed",
        "poisson:0",
        "poisson:-1",
        "gamma:4",
        "burst@3s",
        "poisson:4@30",
        "poisson:4@0s",
        "sweep:8..2",
        "sweep:1.5..4",
        "sweep:1..2,closed:4",
        "closed:1@3s,closed:2",
        "often",
    ],
)
def test_what_cannot_be_read_is_said_with_the_mend(text: str) -> None:
    with pytest.raises(SpecError) as raised:
        parse_load(text)
    assert "--load" in raised.value.message
    assert raised.value.mend


def test_limits_are_in_seconds_or_milliseconds() -> None:
    assert parse_slo("ttft=500ms, tpot=0.05") == Slo(ttft_s=0.5, tpot_s=0.05)
    for text in ("", "ttft", "ttft=0", "ttft=1,ttft=2", "joules=3"):
        with pytest.raises(SpecError, match="--slo"):
            parse_slo(text)
