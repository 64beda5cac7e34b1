"""The load of one pair: its stretches one after the other, by this process or by workers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from perwatt.core.clock import now_ns
from perwatt.core.errors import EngineError
from perwatt.core.protocols import Endpoint
from perwatt.core.records import ClientAudit, Item, Request, Served
from perwatt.core.spec import RunSpec
from perwatt.runner.conversation import is_final
from perwatt.runner.events import Listener, Note
from perwatt.runner.fill import Filler
from perwatt.runner.loadgen import Question
from perwatt.runner.loadgen_stretch import Orders, Prepared, apply_load
from perwatt.runner.loop_watch import LoopWatch
from perwatt.runner.plan import Stretch
from perwatt.runner.plan_left import Before
from perwatt.runner.saturation import outcome_of, saturated
from perwatt.runner.session_phases import OpenPhase, Recorder
from perwatt.runner.session_progress import Tally
from perwatt.runner.worker_pool import WorkerPool

__all__ = ["Under", "apply_stretches"]

DEAD_AFTER = 8
"""So many failures to reach the server in a row, and it is taken for dead."""
HEAD_START_NS = 100_000_000
"""Workers begin together: so long for their orders to reach them all."""


class Under:
    """What all stretches of a session share."""

    def __init__(
        self,
        spec: RunSpec,
        items: Mapping[str, Item],
        recorder: Recorder,
        tally: Tally,
        known: Before,
        filler: Filler | None,
        run_dir: Path,
        listen: Listener,
    ) -> None:
        self.spec = spec
        self.items = items
        self.recorder = recorder
        self.tally = tally
        self.known = known
        self.filler = filler
        self.run_dir = run_dir
        self.listen = listen
        self.sweep = spec.parsed_load.sweep
        self.jitter = random.Random(spec.seed)

    def heard(self, request: Request) -> None:
        """Journal it first, with the samples of its time; what else there is to do comes after."""
        self.recorder.drain()
        self.recorder.journal.append(request)
        if not is_final(request, self.items[request.item_id]):
            return
        if self.filler:
            self.filler.heard(request)
            self.tally.added = self.filler.added
        self.tally.heard(request)
        self.listen(self.tally.progress(request.pair_id, self.recorder.power_w()))

    def check(self, served: Served) -> None:
        """Raise what must stop the run: samples that cannot be kept, a server that is gone."""
        self.recorder.check()
        if self.tally.unreachable >= DEAD_AFTER:
            log = f" Its log is {served.log}." if served.log else ""
            label, done = served.identity.label, self.tally.done
            msg = f"{label} stopped answering after {done} requests.{log}"
            raise EngineError(msg, f"Then go on with: perwatt resume {self.run_dir}")


async def apply_stretches(
    under: Under,
    stretches: Sequence[Stretch],
    endpoint: Endpoint,
    served: Served,
    prepared: Prepared,
    under_test: Sequence[int] | None,
    pool: WorkerPool | None,
) -> None:
    """A load phase for each stretch, but for those that a saturated sweep leaves out."""
    for stretch in stretches:
        before = under.known.outcomes.setdefault((stretch.pair_id, stretch.round), [])
        if under.sweep and saturated(before):
            under.tally.skip([stretch])
            continue
        async with under.recorder.phase(
            "load", stretch.pair_id, under_test, **_about(under.spec, stretch)
        ) as phase:
            told = await _stretch(under, stretch, endpoint, served, prepared, phase, pool)
            if not under.sweep:
                continue
            before.append(outcome_of(stretch.load, told))
            reason = saturated(before)
            if reason is not None:
                phase.stopped = "saturated"
                under.listen(Note(f"The server is saturated. {reason}"))


def _about(spec: RunSpec, stretch: Stretch) -> dict[str, object]:
    left_s = stretch.left_s
    return {
        "stage": stretch.stage,
        "load": stretch.load.text,
        "counted_from_s": spec.warmup_s or None,
        "counted_to_s": left_s - spec.cooldown_s if left_s and spec.cooldown_s else None,
    }


async def _stretch(
    under: Under,
    stretch: Stretch,
    endpoint: Endpoint,
    served: Served,
    prepared: Prepared,
    phase: OpenPhase,
    pool: WorkerPool | None,
) -> list[Request]:
    """Apply one; what has been asked of it, for a sweep."""
    recorder = under.recorder
    recorder.forget_power()
    told = list(under.known.begun.get((stretch.pair_id, stretch.round, stretch.stage), ()))
    heard = _both(under.heard, told.append) if under.sweep else under.heard
    orders = Orders(
        stretch=stretch,
        session=recorder.number,
        phase_id=phase.record.phase_id,
        start_ns=now_ns() + (HEAD_START_NS if pool else 0),
        seed=under.spec.seed,
        retries=under.spec.retries,
        max_in_flight=under.spec.max_in_flight,
    )
    under.tally.begin(stretch)
    watch = LoopWatch()
    try:
        async with watch:
            if pool is None:
                await _here(under, orders, endpoint, served, prepared, heard)
            else:
                audited = recorder.journal.append
                await pool.apply(orders, heard, audited, lambda: under.check(served))
    finally:
        under.tally.end()
        recorder.journal.append(_audit(watch, orders, pool))
    return told


def _audit(watch: LoopWatch, orders: Orders, pool: WorkerPool | None) -> ClientAudit:
    """Of this process. Beside workers it asks nothing: its own loop delays no mark."""
    if pool is None:
        return watch.audit(orders.phase_id)
    return msgspec.structs.replace(
        watch.audit(orders.phase_id, pool.count),
        loop_cpu_s=None,
        loop_lag_s=(),
        probes=0,
        gc_s=None,
    )


async def _here(
    under: Under,
    orders: Orders,
    endpoint: Endpoint,
    served: Served,
    prepared: Prepared,
    heard: Callable[[Request], None],
) -> None:
    filler = under.filler

    async def after() -> None:
        if filler:  # at another phase of the tick each time, so that what it misses averages out
            await asyncio.sleep(under.jitter.uniform(0, filler.tick_s))
        under.check(served)

    def feed(questions: Iterator[Question]) -> Iterator[Question]:
        return filler.feed(orders.stretch.pair_id, questions) if filler else questions

    try:
        await apply_load(endpoint, orders, prepared, heard, after, feed)
    except BaseExceptionGroup as group:
        # Every place in flight reports the same trouble: one error is enough for a person.
        raise _first(group) from None


def _both(
    one: Callable[[Request], None], other: Callable[[Request], None]
) -> Callable[[Request], None]:
    def each(request: Request) -> None:
        one(request)
        other(request)

    return each


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
