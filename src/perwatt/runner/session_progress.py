"""How far a session has come: for the person who watches, and to know a dead server by."""

from __future__ import annotations

from collections.abc import Sequence

from perwatt.core.clock import now_ns, seconds
from perwatt.core.records import Request
from perwatt.runner.events import Progress
from perwatt.runner.plan import Plan, Stretch

__all__ = ["Tally"]


class Tally:
    """Counts items whose final request has ended, in this session."""

    def __init__(self, plan: Plan) -> None:
        self.planned = plan.total
        self.added = 0
        """Repeats of short queries, decided on as they go."""
        self.done = 0
        self.unreachable = 0
        """Final failures to reach the server, in a row."""
        self._failed = 0
        self._timed_s = [
            left_s
            for segment in plan.segments
            for stretch in segment.stretches
            if (left_s := stretch.left_s) is not None
        ]
        self._load_s = 0.0
        self._since_ns: int | None = None
        self._left_s: float | None = None

    def begin(self, stretch: Stretch) -> None:
        """Load begins, for as long as the stretch says."""
        self._since_ns = now_ns()
        if stretch.left_s is not None:
            self._timed_s.remove(stretch.left_s)
        self._left_s = stretch.left_s

    def end(self) -> None:
        """Load ends."""
        if self._since_ns is not None:
            self._load_s += seconds(self._since_ns, now_ns())
            self._since_ns = None

    def skip(self, stretches: Sequence[Stretch]) -> None:
        """Stages that a saturated sweep leaves out."""
        for stretch in stretches:
            self.planned -= len(stretch.jobs)
            if stretch.left_s is not None:
                self._timed_s.remove(stretch.left_s)

    def heard(self, final: Request) -> None:
        """An item has ended."""
        self.done += 1
        failed = final.reply.status == "error"
        self._failed += failed
        away = failed and final.reply.error_kind in {"connect", "engine-died"}
        self.unreachable = self.unreachable + 1 if away else 0

    def progress(self, pair_id: str, power_w: float | None) -> Progress:
        """As a person is told it."""
        under_way_s = seconds(self._since_ns, now_ns()) if self._since_ns is not None else 0.0
        load_s = self._load_s + under_way_s
        rate = self.done / load_s if load_s > 0 else None
        total, eta_s = self.planned + self.added, None
        if self._since_ns is not None and self._left_s is not None:
            eta_s = sum(self._timed_s) + max(0.0, self._left_s - under_way_s)
            total = self.done + round(eta_s * (rate or 0.0))
        elif rate:
            eta_s = (total - self.done) / rate
        return Progress(
            pair_id=pair_id,
            done=self.done,
            total=total,
            failed=self._failed,
            power_w=power_w,
            rate_per_s=rate,
            eta_s=eta_s,
        )
