"""When there was load and when there was none, as phases of the run.

Nobody says when load begins: a stretch of it begins with a request, and ends when nothing has been
in flight for a while. The time between is idle measured with the model in memory, again and again,
which is what net joules subtract.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import msgspec

from perwatt.core.records import ClientAudit, Phase
from perwatt.runner.host import CpuSnapshot, cpu_shares, cpu_snapshot
from perwatt.runner.loop_watch import LoopWatch
from perwatt.sensors.process_tree import with_descendants

__all__ = ["QUIET_NS", "SETTLE_NS", "Stretches"]

QUIET_NS = 2_000_000_000
"""Nothing in flight for so long, and the stretch of load is over."""
SETTLE_NS = 500_000_000
"""The slowest counter has shown the last of the load by then: idle is measured from here."""


class Stretches:
    """Journals `load` and `loaded_idle` phases by turns. Belongs to one event loop."""

    def __init__(
        self, put: Callable[[Phase | ClientAudit], None], session: int, pair_id: str
    ) -> None:
        self._put = put
        self._session = session
        self._pair_id = pair_id
        self._count = 0
        self._pids: tuple[int, ...] | None = None
        self._phase: Phase | None = None
        self._before: CpuSnapshot | None = None
        self._watch: LoopWatch | None = None

    @property
    def phase_id(self) -> str:
        """Of the present stretch; there is one from the first `idle` or `load` on."""
        assert self._phase is not None
        return self._phase.phase_id

    @property
    def loaded(self) -> bool:
        return self._phase is not None and self._phase.kind == "load"

    def serves(self, pids: Sequence[int]) -> None:
        """Which processes answer, where that is known: their CPU time is not a neighbour's."""
        self._pids = tuple(sorted(with_descendants(pids) - {os.getpid()})) if pids else None

    def idle(self, from_ns: int) -> None:
        """Nothing is in flight from this moment on."""
        self._next("loaded_idle", from_ns)

    async def load(self, from_ns: int) -> None:
        """A request came in at this moment, and there was no load."""
        self._next("load", from_ns)
        self._watch = await LoopWatch().__aenter__()

    async def over(self, at_ns: int) -> None:
        """The stretch of load ended at this moment: what asking cost is journalled."""
        if self._watch is not None and self._phase is not None:
            await self._watch.__aexit__(None, None, None)
            self._put(self._watch.audit(self._phase.phase_id))
            self._watch = None
        self._end(at_ns)

    def _next(self, kind: str, from_ns: int) -> None:
        self._end(from_ns)
        self._count += 1
        self._before = cpu_snapshot(self._pids)
        self._phase = msgspec.convert(
            {
                "phase_id": f"s{self._session}-{self._count}",
                "kind": kind,
                "session": self._session,
                "pair_id": self._pair_id,
                "start_ns": from_ns,
                "load": "trace" if kind == "load" else None,
            },
            Phase,
        )
        self._put(self._phase)

    def _end(self, at_ns: int) -> None:
        phase, self._phase = self._phase, None
        if phase is None:
            return
        after = cpu_snapshot(self._pids)
        shares = cpu_shares(self._before, after) if self._before and after else (None, None)
        self._put(
            msgspec.structs.replace(
                phase,
                end_ns=max(at_ns, phase.start_ns),
                neighbour_share=shares[0],
                own_share=shares[1],
            )
        )
