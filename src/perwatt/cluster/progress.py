"""All nodes as one line: done of all, requests a second, watts of each, how long it will take."""

from __future__ import annotations

from collections.abc import Sequence

from perwatt.cluster.record import Job
from perwatt.core.units import format_si
from perwatt.runner.events import Event, Listener, Note, Progress, Stage

__all__ = ["Watch"]


class Watch:
    """Hears each node's events and tells the listener of all of them together."""

    def __init__(self, jobs: Sequence[Job], listen: Listener) -> None:
        self._jobs = jobs
        self._listen = listen
        self._latest: dict[str, Progress] = {}
        """By node, of the job it is at."""
        self._before: dict[str, int] = {}
        """By node: requests of that job's earlier sessions, known once it says its own total."""
        self._failed = 0
        self._notes: set[str] = set()

    def heard(self, node: str, job: Job, event: Event) -> None:
        """One event of one node. The energy line was told before."""
        if isinstance(event, Note) and event.text not in self._notes:
            self._notes.add(event.text)
            self._listen(Note(f"{node}: {event.text}"))
        elif isinstance(event, Stage):
            self._listen(Stage(f"{node}, {job.name}: {event.text}"))
        elif isinstance(event, Progress):
            self._before[node] = max(0, job.requests - event.total)
            self._latest[node] = event
            self._listen(self.all())

    def ended(self, node: str) -> None:
        """Its job is over, or lost."""
        last = self._latest.pop(node, None)
        self._before.pop(node, None)
        self._failed += last.failed if last else 0

    def all(self) -> Progress:
        """As one."""
        running = self._latest.items()
        finished = sum(job.requests for job in self._jobs if job.status == "complete")
        done = finished + sum(p.done + self._before[node] for node, p in running)
        total = max(done, sum(job.requests for job in self._jobs))
        rate = sum(p.rate_per_s or 0.0 for _, p in running)
        watts = [p.power_w for _, p in running if p.power_w is not None]
        each = [f"{node} {p.pair_id} {_watts(p)}".strip() for node, p in running]
        return Progress(
            pair_id=" · ".join(each),
            done=done,
            total=total,
            failed=self._failed + sum(p.failed for _, p in running),
            power_w=sum(watts) if watts else None,
            rate_per_s=rate or None,
            eta_s=(total - done) / rate if rate else None,
        )


def _watts(progress: Progress) -> str:
    return "" if progress.power_w is None else format_si(progress.power_w, "W")
