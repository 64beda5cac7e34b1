"""How often a short query is repeated before its joules can be quoted by themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from perwatt.core.clock import seconds
from perwatt.core.records import SET_ASIDE, Prompt, Request
from perwatt.runner.plan import Job, next_repeat

__all__ = ["FILL_S", "FILL_TICKS", "Filler", "is_filled", "measured_s"]

FILL_S, FILL_TICKS = 5.0, 50
"""A sensor that looks a quarter of the time leaves 1.5% at 5 s, and 4% at 1 s; part-time sampling
of more than 70 GPUs is in arXiv 2312.02741."""
MOST = 1000


def is_filled(measured_s: float, times: int, tick_s: float, fill_s: float = FILL_S) -> bool:
    """Five seconds and fifty ticks; or a thousand repeats, for what takes no time at all."""
    return measured_s >= max(fill_s, FILL_TICKS * tick_s) or times >= MOST


def measured_s(requests: Iterable[Request]) -> dict[tuple[str, str], tuple[float, int]]:
    """(pair, item) → seconds in flight and number of requests so far, cancelled ones left out."""
    found: dict[tuple[str, str], tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for request in requests:
        if request.reply.status not in SET_ASIDE:
            key = (request.pair_id, request.item_id)
            length_s = seconds(request.reply.dispatched_ns, request.reply.last_chunk_ns)
            found[key] = (found[key][0] + length_s, found[key][1] + 1)
    return dict(found)


class Filler:
    """Feeds a closed loop of one place: each job again and again until its item is filled."""

    def __init__(self, tick_s: float, before: Mapping[tuple[str, str], tuple[float, int]]) -> None:
        self.tick_s = tick_s
        self._so_far = dict(before)
        self.added = 0
        """Requests beyond those that were planned."""

    def heard(self, request: Request) -> None:
        """Count a request that has ended. A failed item is not repeated: it would fail again."""
        key = (request.pair_id, request.item_id)
        length_s = seconds(request.reply.dispatched_ns, request.reply.last_chunk_ns)
        measured, times = self._so_far.get(key, (0.0, 0))
        if request.reply.status == "error":
            measured = float("inf")
        self._so_far[key] = (measured + length_s, times + 1)

    def feed(
        self, pair_id: str, jobs: Iterable[tuple[Job, Prompt]]
    ) -> Iterator[tuple[Job, Prompt]]:
        """The jobs and their repeats, in order; the next is decided when it is asked for."""
        for planned in jobs:
            job, prompt = planned
            yield job, prompt
            while not is_filled(*self._so_far.get((pair_id, job.item.id), (0.0, 0)), self.tick_s):
                job, prompt = next_repeat(job, prompt)
                self.added += 1
                yield job, prompt
