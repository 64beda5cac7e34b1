"""From a journal to each request's joules: marks, baselines, clocks and the method's own word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emulated.device import Device, counter
from emulated.load import Load, mixed, serve
from perwatt.core.records import Domain, Phase, PowerSample, Reply, Request, Sampling
from perwatt.core.registry import registry
from perwatt.runner.shares import share_out
from perwatt.store.journal import Journal, Power

S = 1_000_000_000
GPU = Domain(
    name="gpu0",
    kind="counter",
    boundary="accelerator",
    source="nvml",
    grade="B",
    device="test",
    gain_low=0.95,
    gain_high=1.05,
)


def request(load: Load, i: int, timings: dict[str, float]) -> Request:
    chunks = load.chunk_ns[load.chunk_at[i] : load.chunk_at[i + 1]]
    return Request(
        request_id=f"r{i}",
        item_id=f"i{i}",
        pair_id="p",
        session=1,
        phase_id="load",
        repeat=0,
        scheduled_ns=int(load.start_ns[i]),
        in_flight=4,
        prompt_sha256=None,
        sampling=Sampling(),
        reply=Reply(
            status="ok",
            dispatched_ns=int(load.start_ns[i]),
            first_chunk_ns=int(load.first_chunk_ns[i]),
            last_chunk_ns=int(load.end_ns[i]),
            chunk_offsets_ns=tuple(int(t - load.start_ns[i]) for t in chunks),
            prompt_tokens=int(load.wanted.prompt[i]),
            cached_tokens=int(load.wanted.cached[i]),
            completion_tokens=int(load.wanted.output[i]),
            server_timings=timings,
        ),
    )


@pytest.fixture(scope="module")
def load() -> Load:
    rng = np.random.default_rng(3)
    return serve(rng, Device(), mixed(rng, Device(), 30, 4), 4)


def journal(load: Load, *, told: bool = False, clock_error_ns: int | None = None) -> Journal:
    reads = np.arange(load.truth.t_ns[0], load.truth.t_ns[-1], S // 50)
    shown = counter(load.truth, reads, tick_s=0.1)
    begin, end = load.load_ns
    first, last = int(reads[0]), int(reads[-1])

    def phase(kind: Any, start_ns: int, end_ns: int) -> Phase:
        return Phase(
            phase_id=kind, kind=kind, session=1, pair_id="p", start_ns=start_ns, end_ns=end_ns
        )

    def timings(i: int) -> dict[str, float]:
        return {"prompt_ms": (load.first_chunk_ns - load.prefill_ns)[i] / 1e6} if told else {}

    samples = tuple(
        PowerSample(int(t), "gpu0", float(j), None, clock_error_ns=clock_error_ns)
        for t, j in zip(reads, shown, strict=True)
    )
    return Journal(
        sessions=(),
        phases=(
            phase("loaded_idle", first, begin - 1),
            phase("load", begin, end),
            phase("after_idle", end + S // 2, last),
        ),
        requests=tuple(request(load, i, timings(i)) for i in range(len(load.net_j))),
        scores=(),
        power=(Power(session=1, samples=samples),),
    )


@pytest.mark.parametrize("told", [True, False])
def test_a_run_comes_to_the_truth_by_phase(load: Load, told: bool) -> None:
    shares, ledger = share_out(journal(load, told=told), "p", [GPU], "phase")
    assert ledger is not None
    net = np.array([shares[f"r{i}"].energy_net_j for i in range(30)], dtype=np.float64)
    assert np.median(np.abs(net / load.net_j - 1)) < 0.005
    low = np.array([shares[f"r{i}"].net_low_j for i in range(30)], dtype=np.float64)
    high = np.array([shares[f"r{i}"].net_high_j for i in range(30)], dtype=np.float64)
    assert (low < load.net_j).all()
    assert (load.net_j < high).all()  # 5% of gain is far more than what else is off
    one = shares["r0"]
    assert one.prefill_net_j is not None
    assert one.decode_net_j is not None
    assert one.prefill_net_j + one.decode_net_j == pytest.approx(one.energy_net_j)
    assert one.flags == ()
    assert ledger.idle_power_w == pytest.approx(70, abs=0.2)
    parts = ledger.requests_j + ledger.idle_j + ledger.unattributed_j
    assert parts == pytest.approx(ledger.device_j, rel=1e-9)


def test_a_clock_that_may_be_off_widens_the_interval(load: Load) -> None:
    ours, theirs = (
        share_out(journal(load, clock_error_ns=error), "p", [GPU], "time")[0]["r3"]
        for error in (None, 200_000_000)
    )
    assert ours.energy_gross_j == theirs.energy_gross_j
    assert ours.energy_high_j is not None
    assert theirs.energy_high_j is not None
    assert theirs.energy_high_j > ours.energy_high_j


def test_a_method_that_fell_back_says_so_in_every_row(load: Load) -> None:
    few = journal(load)
    alone = Journal(
        sessions=(), phases=few.phases, requests=few.requests[:1], scores=(), power=few.power
    )
    shares, _ = share_out(alone, "p", [GPU], "phase")
    assert shares["r0"].flags == ("shared-by-time",)


def test_every_method_is_there_by_name() -> None:
    assert {"phase", "time", "tokens", "kv"} <= set(registry("attribution").names())
