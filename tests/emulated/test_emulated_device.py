"""The emulation's own truth: every joule is somebody's or idle, and counters show what they say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emulated.device import DEVICES, Device, Knots, counter, idle_knots
from emulated.load import Wanted, mixed, serve

Floats = NDArray[np.float64]
S = 1_000_000_000


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("in_flight", [1, 5, 32])
def test_the_parts_sum_to_what_the_device_drew(name: str, in_flight: int) -> None:
    rng = np.random.default_rng(in_flight)
    device = DEVICES[name]
    load = serve(rng, device, mixed(rng, device, 40, in_flight), in_flight)
    drawn = float(load.truth.energy_j[-1])
    # The same idle again, from the same stream of random numbers, is out of reach: bound it.
    seconds = (load.truth.t_ns[-1] - load.truth.t_ns[0]) / S
    idle = drawn - load.net_j.sum()
    assert idle / seconds == pytest.approx(device.idle_w, abs=device.drift_w + 0.5)
    assert load.prefill_net_j + load.decode_net_j == pytest.approx(load.net_j)
    assert (load.gross_j > load.net_j).all()
    assert (np.diff(load.truth.energy_j) >= 0).all()


@pytest.mark.parametrize("in_flight", [1, 8])
def test_marks_are_in_order_as_a_client_sees_them(in_flight: int) -> None:
    rng = np.random.default_rng(1)
    device = Device(prefill_pauses=0.5)
    load = serve(rng, device, mixed(rng, device, 30, in_flight), in_flight)
    assert (load.start_ns < load.prefill_ns).all()
    assert (load.prefill_ns < load.first_chunk_ns).all()
    assert (load.first_chunk_ns <= load.end_ns).all()
    for i, output in enumerate(load.wanted.output):
        chunks = load.chunk_ns[load.chunk_at[i] : load.chunk_at[i + 1]]
        assert len(chunks) == output
        assert (np.diff(chunks) >= 0).all()
        assert (chunks[0], chunks[-1]) == (load.first_chunk_ns[i], load.end_ns[i])
    flights = [((load.start_ns <= t) & (t < load.end_ns)).sum() for t in load.start_ns]
    assert max(flights) == in_flight


def test_one_request_costs_what_its_tokens_cost() -> None:
    device = Device(busy_w=10.0, step_j=0.1)
    wanted = Wanted(np.array([1000]), np.array([400]), np.array([101]))
    load = serve(np.random.default_rng(0), device, wanted, 1, jitter_s=0.0)
    prefill_s = 600 / 5000
    assert load.prefill_net_j[0] == pytest.approx(600 * 0.05 + 10 * prefill_s)
    context = sum(1000 + n for n in range(1, 101))
    assert load.decode_net_j[0] == pytest.approx(
        100 * (0.4 + 0.1) + 0.0002 * context + 10 * 100 * 0.02
    )
    assert load.end_ns[0] - load.first_chunk_ns[0] == pytest.approx(100 * 0.02 * S, abs=10)


def test_a_step_costs_its_requests_alike() -> None:
    device = Device(decode_token_j=0.0, context_token_j=0.0, prefill_token_j=0.0, step_j=1.0)
    wanted = Wanted(np.array([10, 10]), np.array([0, 0]), np.array([51, 51]))
    load = serve(np.random.default_rng(0), device, wanted, 2, jitter_s=0.0)
    assert load.net_j[0] == pytest.approx(load.net_j[1], rel=0.05)
    assert load.net_j.sum() == pytest.approx(51, abs=2)  # all but the first step are shared


def ramp() -> Knots:
    """100 W for 5 s, then 300 W."""
    return Knots(np.array([0, 5 * S, 10 * S]), np.array([0.0, 500.0, 2000.0]))


@pytest.mark.parametrize(("tick_s", "lag_s"), [(0.001, 0.0), (0.1, 0.0), (0.1, 0.25)])
def test_a_counter_shows_its_last_tick(tick_s: float, lag_s: float) -> None:
    reads = np.arange(S, 10 * S, 7_000_000)
    shown = counter(ramp(), reads, tick_s=tick_s, phase_s=0.03, lag_s=lag_s)
    tick = tick_s * 1e9
    ticks: Floats = (reads.astype(np.float64) - 0.03e9) // tick * tick + 0.03e9
    assert shown == pytest.approx(ramp().at(ticks - lag_s * 1e9), abs=0.0011)


def test_gain_is_true_over_shown_and_quanta_are_whole() -> None:
    reads = np.array([4 * S])
    shown = counter(ramp(), reads, tick_s=0.1, gain=1.25, quantum_j=0.5)
    assert shown[0] == 320.0


def test_a_counter_that_looks_a_quarter_of_the_time_is_right_on_steady_power() -> None:
    reads = np.arange(S, 10 * S, 100_000_000)
    steady = counter(ramp(), reads, tick_s=0.1, duty=0.25)[reads < 5 * S]
    assert np.diff(steady) == pytest.approx(10.0, abs=0.01)


def test_idle_drifts_and_flickers_as_told() -> None:
    device = Device(drift_w=2.0, drift_period_s=100.0, noise_w=3.0, noise_s=0.1)
    idle = idle_knots(device, np.random.default_rng(0), 0.0, 1000.0)
    watts = np.diff(idle.energy_j) / (np.diff(idle.t_ns) / 1e9)
    assert watts.mean() == pytest.approx(70, abs=0.3)
    assert watts.std() == pytest.approx(np.hypot(3, 2 / np.sqrt(2)), rel=0.1)
