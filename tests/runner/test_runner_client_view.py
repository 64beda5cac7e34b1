"""What people see of the client: worked out by hand from a few requests."""

from __future__ import annotations

import msgspec
import pytest

from perwatt.core.records import ServerTimes
from perwatt.runner.client_marks import gaps_s, mean_in_flight, quantile, server_ttft_s
from perwatt.runner.client_view import client_views, loop_cores
from tests.runner.asked_load import MS, S, audit, phase, reply, request


def test_a_view_of_two_workers() -> None:
    told = ServerTimes(queue_s=0.01, prefill_s=0.03, decode_s=0.08)
    requests = [
        request(0, reply(0, connection="new", sent_ns=4 * MS), scheduled_ns=-2 * MS),
        request(1, reply(S, server=told, cached_tokens=25), scheduled_ns=S - 6 * MS, worker=1),
        request(2, reply(2 * S, status="retried", error_kind="http-503")),
        request(3, reply(3 * S, status="cancelled")),
    ]
    audits = [
        audit(worker=0, loop_cpu_s=1.5, cpu_s=1.8, gc_s=0.3),
        audit(worker=1, loop_cpu_s=3.0, cpu_s=3.2, loop_lag_s=(0.001, 0.002, 0.02, 0.03, 0.04)),
    ]
    (view,) = client_views(["a"], requests, [phase()], audits)
    assert (view.pair_id, view.stage, view.load, view.workers) == ("a", 0, "closed:1", 2)
    assert view.requests == 4
    assert view.cpu_s == pytest.approx(5.0)
    assert view.cpu_cores == pytest.approx(5 / 6)
    assert view.loop_cores == pytest.approx(0.5)
    assert (view.loop_lag_p50_s, view.loop_lag_p99_s, view.loop_lag_worst_s) == (0.001, 0.02, 0.04)
    assert view.gc_share == pytest.approx(0.05)
    assert view.requests_per_cpu_s == pytest.approx(0.8)
    assert view.dispatch_lag_p50_s == 0
    assert view.dispatch_lag_p99_s == pytest.approx(0.006)
    assert view.connect_p50_s == pytest.approx(0.004)
    assert view.send_p99_s == pytest.approx(0.0001)
    assert (view.connections_new, view.connections_reused) == (1, 3)
    assert view.cached_share == pytest.approx(0.25)
    assert (view.retried, view.cancelled) == ({"http-503": 1}, 1)
    assert view.above_server_p50_s == pytest.approx(0.02)
    assert view.above_server_ttft_p50_s == pytest.approx(0.01)


def test_a_run_that_was_not_watched_has_unknowns_and_no_zeros() -> None:
    (view,) = client_views(["a"], [request(0)], [phase(stage=None, load=None)], [])
    assert (view.stage, view.load, view.workers) == (0, None, 1)
    assert view.cpu_s is None
    assert view.loop_cores is None
    assert view.loop_lag_p99_s is None
    assert view.gc_share is None
    assert view.cached_share is None
    assert view.above_server_p50_s is None
    assert view.in_flight_mean is None  # one dispatch is no stretch of time
    assert loop_cores([audit(loop_cpu_s=None)]) is None


def test_each_stage_is_seen_apart_and_one_that_asked_nothing_is_left_out() -> None:
    requests = [request(0), request(1, phase_id="q"), request(2, phase_id="q")]
    phases = [
        phase(),
        phase(phase_id="q", stage=1, load="closed:2"),
        phase(phase_id="r", stage=2),
        phase(phase_id="w", kind="warmup"),
    ]
    views = client_views(["a", "b"], requests, phases, [audit(), audit(phase_id="q", cpu_s=2.0)])
    assert [(v.stage, v.requests, v.cpu_s) for v in views] == [(0, 1, 0.6), (1, 2, 2.0)]


def test_a_quantile_is_a_value_that_occurred() -> None:
    assert quantile([3.0, None, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0, 2.0], 0.99) == 2.0
    assert quantile([None], 0.5) is None


def test_durations_of_a_reply() -> None:
    assert gaps_s(reply(gaps_ms=(10, 20))) == pytest.approx([0.01, 0.02])
    assert server_ttft_s(reply(server=ServerTimes(ttft_s=0.02, prefill_s=9.0))) == 0.02
    assert server_ttft_s(reply(server=ServerTimes(decode_s=1.0))) is None


def test_mean_in_flight_is_taken_while_requests_are_started() -> None:
    spans = [(0.0, 1.0), (0.0, 2.0), (2.0, 9.0)]  # two for a second, one for the next
    requests = [
        request(n, reply(round(a * S), ttft_ms=(b - a) * 1e3, gaps_ms=()))
        for n, (a, b) in enumerate(spans)
    ]
    assert mean_in_flight(requests) == pytest.approx(1.5)
    # The time between two phases is nobody's.
    later = [msgspec.structs.replace(r, phase_id="q", reply=reply(99 * S)) for r in requests[:1]]
    assert mean_in_flight([*requests, *later]) == pytest.approx(1.5)
    assert mean_in_flight([]) is None
