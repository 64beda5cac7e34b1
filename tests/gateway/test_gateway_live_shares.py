from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.gateway.live_curve import Tick
from perwatt.gateway.live_shares import Ledger, LiveRequest

S = 1_000_000_000


def ticks(watts: list[float], tick_s: float = 0.02, start_ns: int = 0) -> list[Tick]:
    length = round(tick_s * S)
    return [
        Tick(start_ns + n * length, start_ns + (n + 1) * length, w * tick_s, True)
        for n, w in enumerate(watts)
    ]


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Tick], list[tuple[int, int, list[int], float]], float]:
    """Ticks of uneven length, requests that begin, answer and end anywhere, and an idle."""
    lengths = draw(st.lists(st.integers(1, 50_000_000), min_size=1, max_size=15))
    found, t_ns = [], 1_000
    for length in lengths:
        joules = draw(st.floats(0, 200)) * length / S
        found.append(Tick(t_ns, t_ns + length, joules, draw(st.integers(0, 9)) > 0))
        t_ns += length
    requests = []
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, t_ns))
        end = draw(st.integers(start, t_ns + 10_000))
        chunks = sorted(draw(st.lists(st.integers(start, end), max_size=6)))
        requests.append((start, end, chunks, draw(st.floats(0, 4000))))
    return found, requests, draw(st.floats(0, 150))


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_every_joule_ends_in_one_place(
    scene: tuple[list[Tick], list[tuple[int, int, list[int], float]], float],
) -> None:
    found, requests, idle_power_w = scene
    ledger = Ledger()
    ledger.idle_power_w = idle_power_w
    live: list[LiveRequest] = []
    waiting = sorted(requests)
    for tick in found:
        while waiting and waiting[0][0] < tick.end_ns:
            start, end, chunks, prompt = waiting.pop(0)
            request = ledger.begin(start, prompt)
            for chunk in chunks:
                request.chunk(chunk)
            ledger.end(request, end)
            live.append(request)
        ledger.take(tick)
    given_out = sum(r.idle_j + r.work_j for r in live)
    device = sum(tick.energy_j for tick in found)
    assert ledger.device_j == pytest.approx(device, rel=1e-9, abs=1e-9)
    assert given_out + ledger.idle_j + ledger.unattributed_j == pytest.approx(
        device, rel=1e-9, abs=1e-9
    )
    assert given_out == pytest.approx(ledger.requests_j, rel=1e-9, abs=1e-9)
    for rule in ("time_j", "light_j", "heavy_j"):  # the bounds conserve as the figure does
        total = sum(r.idle_j + getattr(r, rule) for r in live)
        assert total == pytest.approx(given_out, rel=1e-9, abs=1e-9)
    for request in live:
        figure = ledger.figure(request, found[-1].end_ns)
        assert 0 <= figure.low_j <= figure.energy_j + 1e-9 <= figure.high_j + 2e-9


def test_alone_it_gets_all_of_it_and_a_narrow_interval() -> None:
    ledger = Ledger()
    ledger.idle_power_w = 20.0
    request = ledger.begin(0, 100)
    ledger.end(request, S)
    for tick in ticks([80.0] * 50):
        ledger.take(tick)
    figure = ledger.figure(request, 2 * S)
    assert figure.energy_j == pytest.approx(80.0)
    assert figure.energy_net_j == pytest.approx(60.0)
    assert not figure.provisional
    assert figure.low_j == pytest.approx(figure.high_j)


def test_of_two_who_writes_more_pays_more_and_the_interval_holds_both_rules() -> None:
    ledger = Ledger()
    ledger.idle_power_w = 20.0
    busy, waiting = ledger.begin(0), ledger.begin(0)
    for n in range(90):
        busy.chunk(n * 10_000_000 + 1)
    for n in range(10):
        waiting.chunk(n * 90_000_000 + 1)
    for tick in ticks([100.0] * 45):
        ledger.take(tick)
    first, second = (ledger.figure(r, 900_000_000) for r in (busy, waiting))
    assert first.energy_j > second.energy_j
    # By tokens alone it would be 9 + 72 × 0.9 of the joules above idle, by time 9 + 72 × 0.5.
    for figure, share in ((first, 0.9), (second, 0.1)):
        assert figure.low_j <= 9 + 72 * share + 3 and figure.high_j >= 9 + 72 * share - 3
        assert figure.low_j <= 45 <= figure.high_j


def test_what_the_sensor_has_not_shown_is_extrapolated_and_said_to_be_provisional() -> None:
    ledger = Ledger()
    for tick in ticks([50.0] * 10):  # to 0.2 s
        ledger.take(tick)
    request = ledger.begin(200_000_000)
    figure = ledger.figure(request, 400_000_000)
    assert figure.provisional
    assert figure.energy_j == pytest.approx(10.0)
    assert figure.energy_net_j is None
    ledger.end(request, 400_000_000)
    for tick in ticks([70.0] * 10, start_ns=200_000_000):
        ledger.take(tick)
    settled = ledger.figure(request, S)
    assert settled.energy_j == pytest.approx(14.0)
    assert not settled.provisional


def test_gain_is_in_the_interval() -> None:
    ledger = Ledger(gain=(0.5, 2.0))
    request = ledger.begin(0)
    ledger.end(request, S)
    for tick in ticks([10.0] * 50):
        ledger.take(tick)
    figure = ledger.figure(request, S)
    assert figure.low_j == pytest.approx(5.0)
    assert figure.high_j == pytest.approx(20.0)


def test_settled_requests_are_told_once_and_let_go_even_if_the_sensor_dies() -> None:
    told: list[LiveRequest] = []
    ledger = Ledger(settled=told.append)
    first = ledger.begin(0)
    ledger.end(first, 10)
    ledger.take(Tick(0, 20_000_000, 1.0, True))
    assert told == [first]
    second = ledger.begin(30_000_000)
    ledger.end(second, 40_000_000)
    ledger.forget(S)
    assert told == [first]
    ledger.forget(60 * S)
    assert told == [first, second]
    assert ledger.figure(second, 60 * S).provisional


def test_untrusted_ticks_are_charged_to_nobody_and_said() -> None:
    ledger = Ledger()
    request = ledger.begin(0)
    ledger.take(Tick(0, S, 5.0, False))
    assert ledger.unattributed_j == 5.0
    assert not ledger.figure(request, S).trusted
