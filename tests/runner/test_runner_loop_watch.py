"""The loop is held up by known amounts; wide bounds, since the machine may hold it up as well."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from perwatt.core.records import ClientAudit
from perwatt.runner.loop_watch import LoopWatch

Runs = Callable[[Coroutine[Any, Any, ClientAudit]], ClientAudit]


def _with_uvloop(main: Coroutine[Any, Any, ClientAudit]) -> ClientAudit:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@pytest.fixture(params=[asyncio.run, _with_uvloop], ids=["asyncio", "uvloop"])
def runs(request: pytest.FixtureRequest) -> Runs:
    chosen: Runs = request.param
    return chosen


def hold(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


async def held_up(for_s: float, times: int) -> ClientAudit:
    async with LoopWatch() as watch:
        for _ in range(times):
            await asyncio.sleep(0.001)
            hold(for_s)
    return watch.audit("p", worker=3)


def test_a_loop_that_is_held_up_is_late_by_about_as_much(runs: Runs) -> None:
    quick, slow = runs(held_up(0.0005, 200)), runs(held_up(0.06, 8))
    assert (slow.phase_id, slow.worker) == ("p", 3)
    p50, p90, p99, p999, worst = slow.loop_lag_s
    assert p50 <= p90 <= p99 <= p999 <= worst
    assert worst > 0.03
    assert p50 > 0.01
    # Quick for all but what the machine took: it asked for 0.3 s.
    assert quick.loop_lag_s[0] < 0.01 + max(0.0, quick.wall_s - 0.3)
    assert slow.probes > 10


def test_one_long_wait_weighs_as_long_as_it_was(runs: Runs) -> None:
    async def main() -> ClientAudit:
        async with LoopWatch() as watch:
            await asyncio.sleep(0.02)
            hold(0.3)
            await asyncio.sleep(0)
        return watch.audit("p")

    # Most of the time somebody who asked would have waited, though few probes were fired.
    assert runs(main()).loop_lag_s[0] > 0.05


def test_processor_time_is_that_of_the_phase(runs: Runs) -> None:
    async def main() -> ClientAudit:
        hold(0.05)
        async with LoopWatch() as watch:
            await asyncio.to_thread(hold, 0.05)
            before = time.thread_time()
            hold(0.02)
            spent = time.thread_time() - before
        audit = watch.audit("p")
        hold(0.05)
        assert watch.audit("p") == audit  # what comes after is not in it
        assert audit.loop_cpu_s is not None
        assert audit.loop_cpu_s >= spent
        assert audit.cpu_s > audit.loop_cpu_s  # the other thread is in the process's alone
        assert audit.cpu_s <= audit.wall_s * 2 + 0.1
        return audit

    runs(main())


def test_time_spent_collecting_garbage_is_told_and_the_hook_is_taken_out() -> None:
    async def main() -> ClientAudit:
        before = list(gc.callbacks)
        async with LoopWatch() as watch:
            assert len(gc.callbacks) == len(before) + 1
            gc.collect()
        assert gc.callbacks == before
        return watch.audit("p")

    audit = asyncio.run(main())
    assert audit.gc_s is not None
    assert 0 < audit.gc_s <= audit.wall_s


def test_an_idle_loop_is_probed_seldom() -> None:
    async def main() -> ClientAudit:
        async with LoopWatch() as watch:
            await asyncio.sleep(0.6)
        return watch.audit("p")

    audit = asyncio.run(main())
    # 100 a second at the busy rate, which a machine that holds it up gives it reason for.
    rate = 75 if audit.loop_lag_s[-1] < 0.02 else 101
    assert 0 < audit.probes < rate * audit.wall_s + 1


def test_nothing_watched_is_an_error_of_the_caller() -> None:
    with pytest.raises(RuntimeError, match="before the watch began"):
        LoopWatch().audit("p")
