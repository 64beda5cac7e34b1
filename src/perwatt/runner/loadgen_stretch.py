"""One stretch of load, applied by one process: the whole of it, or its share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice, takewhile

import msgspec
import numpy as np

from perwatt.core.clock import now_ns, seconds
from perwatt.core.protocols import Endpoint
from perwatt.core.records import Prompt, Request
from perwatt.runner.arrivals import offsets_ns
from perwatt.runner.loadgen import After, Question, closed_loop, open_loop
from perwatt.runner.loadgen_ask import Asker, Place
from perwatt.runner.plan import Job, Stretch

__all__ = ["Orders", "Prepared", "apply_load", "due_jobs", "share_of"]


class Prepared(msgspec.Struct, frozen=True):
    """The prompts of a pair, by item id: rendered and fitted once, asked any number of times."""

    prompts: dict[str, Prompt]
    """Of repeat 0."""
    sha256: dict[str, str | None]

    def of(self, job: Job) -> Prompt:
        """The prompt of one job; each repeat has a seed of its own."""
        bare = self.prompts[job.item.id]
        seed = bare.sampling.seed + job.repeat
        sampling = msgspec.structs.replace(bare.sampling, seed=seed)
        return msgspec.structs.replace(bare, request_id=job.request_id, sampling=sampling)


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a process needs to know of a stretch to apply its share."""

    stretch: Stretch
    session: int
    phase_id: str
    start_ns: int
    """When the stretch begins, for all processes alike."""
    seed: int
    retries: int = 0
    max_in_flight: int | None = None
    worker: int = 0
    workers: int = 1

    @property
    def until_ns(self) -> int | None:
        """When asking ends; None: when all has been asked."""
        left_s = self.stretch.left_s
        return None if left_s is None else self.start_ns + round(left_s * 1e9)


def share_of(total: int, worker: int, workers: int) -> int:
    """`total` places dealt out: the first workers have one more where it does not come out even."""
    return total // workers + (worker < total % workers)


def due_jobs(stretch: Stretch, seed: int) -> Iterator[tuple[int, Job]]:
    """(nanoseconds from the start of the stretch, job) of an open loop, in order.

    Drawn arrivals depend on the seed, the stage and the round alone, so that all pairs of a run
    see the same ones. A stretch that goes on after a resume begins where it was.
    """
    spent_ns = round(stretch.spent_s * 1e9)
    if stretch.load.kind == "trace":
        timed = [(job.due_ns or 0, job) for job in stretch.in_order()]
        from_ns = spent_ns if stretch.load.for_s is not None else (timed[0][0] if timed else 0)
        return ((due - from_ns, job) for due, job in timed if due >= from_ns)
    rng = np.random.default_rng((seed, stretch.stage, stretch.round))
    offsets = (due - spent_ns for due in offsets_ns(stretch.load, rng) if due >= spent_ns)
    return zip(offsets, stretch.in_order(), strict=False)


async def apply_load(
    endpoint: Endpoint,
    orders: Orders,
    prepared: Prepared,
    tell: Callable[[Request], None],
    after: After | None = None,
    feed: Callable[[Iterator[Question]], Iterator[Question]] | None = None,
) -> None:
    """Ask this process's share of the stretch. `tell` hears of each attempt as it ends.

    `feed` may turn the questions of a closed loop into others, such as with repeats. Errors come as
    an ExceptionGroup; cancelled, it tells of what was in flight and raises CancelledError.
    """
    stretch = orders.stretch
    place = Place(
        pair_id=stretch.pair_id,
        session=orders.session,
        phase_id=orders.phase_id,
        stage=stretch.stage,
        worker=orders.worker,
    )
    ask = Asker(endpoint, place, prepared.sha256, tell, orders.retries)
    deal = (orders.worker, None, orders.workers)
    if stretch.load.in_flight is not None:
        await asyncio.sleep(max(0.0, seconds(now_ns(), orders.start_ns)))
        jobs = islice(stretch.in_order(), *deal)
        questions: Iterator[Question] = ((job, prepared.of(job)) for job in jobs)
        await closed_loop(
            ask,
            feed(questions) if feed else questions,
            share_of(stretch.load.in_flight, orders.worker, orders.workers),
            until_ns=orders.until_ns,
            after=after,
        )
        return
    most = orders.max_in_flight
    due = islice(due_jobs(stretch, orders.seed), *deal)
    timed = ((orders.start_ns + offset, (job, prepared.of(job))) for offset, job in due)
    until_ns = orders.until_ns
    await open_loop(
        ask,
        timed if until_ns is None else takewhile(lambda each: each[0] < until_ns, timed),
        most=None if most is None else share_of(most, orders.worker, orders.workers),
        after=after,
    )
