"""One answer on its way: each piece sent when it is due, and marked in the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perwatt.core.clock import now_ns
from perwatt.fakeserver.script import Script
from perwatt.fakeserver.truth import Truth

if TYPE_CHECKING:
    from perwatt.fakeserver.connection import Connection
    from perwatt.fakeserver.engine import Engine

__all__ = ["Stream"]

CRUMB_NS = 200_000
"""Between the parts of a chunk that is cut at odd bytes."""
CRUMBS = (1, 3, 7, 2, 11, 5)
"""Lengths of all parts but the last of a chunk, by turns."""


class Stream:
    """Sends `script` over `connection` and tells it at the end."""

    def __init__(
        self, engine: Engine, connection: Connection, script: Script, truth: Truth
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._script = script
        self._truth = truth
        self._at = 0
        self._over = False
        self._begun = False
        self._crumbs: list[bytes] = []
        self._whole_due_ns = 0
        self._shift_ns = 0
        self._step_bound = self._step

    def start(self) -> None:
        """Take a slot, or a place in the queue."""
        if self._script.status == 200:
            self._engine.slots.take(self._begin)
        else:
            self._step(now_ns())

    def cancel(self) -> None:
        """The client has closed: stop at once."""
        if not self._over:
            self._truth.cancelled_ns = now_ns()
            self._end("cancelled")

    def _begin(self) -> bool:
        if self._over:
            return False
        self._begun = True
        begun_ns = self._truth.begun_ns = now_ns()
        script = self._script
        if self._engine.settings.early_headers and script.pieces:
            self._connection.send(self._connection.head(script))
            script.head = b""
        # Time in the queue counts from the request's arrival, work from the slot.
        self._engine.timer.at(begun_ns + script.gaps_ns[0], self._step_bound)
        return True

    def _step(self, due_ns: int) -> None:
        if self._over:
            return
        at, script = self._at, self._script
        if at == len(script.pieces):
            self._finish(due_ns)
            return
        data = script.pieces[at]
        last = at + 1 == len(script.pieces)
        if last and script.timings is not None:
            data += self._timings(due_ns)
        if at == 0 and script.head:
            data = self._connection.head(script) + data
        if self._engine.settings.dribble and len(data) > 1:
            self._dribble(due_ns, data)
            return
        before_ns = now_ns()
        taken = self._connection.send(data)
        self._sent(due_ns, before_ns, taken)

    def _sent(self, due_ns: int, before_ns: int, taken: bool) -> None:
        at, script = self._at, self._script
        if at < script.chunks:
            truth = self._truth
            truth.due_ns.append(due_ns + self._shift_ns)
            truth.before_ns.append(before_ns)
            truth.after_ns.append(now_ns())
            truth.buffered += not taken
            self._engine.counters.sent(before_ns - due_ns - self._shift_ns)
        self._at = at = at + 1
        if at < len(script.pieces):
            self._engine.timer.at(due_ns + self._gap_ns(at), self._step_bound)
        elif script.ending == "done":
            self._end("done")
        else:
            gap_ns = script.gaps_ns[at] if at < len(script.gaps_ns) else 0
            self._engine.timer.at(due_ns + gap_ns, self._step_bound)

    def _gap_ns(self, at: int) -> int:
        gap_ns = self._script.gaps_ns[at]
        cost = self._engine.settings.batch_cost
        return round(gap_ns * (1 + cost * (self._engine.slots.active - 1))) if cost else gap_ns

    def _finish(self, due_ns: int) -> None:
        """After the last piece of an answer that does not end well."""
        script = self._script
        if script.ending == "drip":
            self._connection.send(script.pieces[-1])
            drip_ns = round(self._engine.settings.drip_s * 1e9)
            self._engine.timer.at(due_ns + drip_ns, self._step_bound)
        elif script.ending == "stall":
            return  # until the client has had enough, which `cancel` tells
        else:
            self._end("broken")

    def _dribble(self, due_ns: int, data: bytes) -> None:
        crumbs: list[bytes] = []
        start, turn = 0, self._at
        while len(crumbs) < 3 and start + CRUMBS[turn % len(CRUMBS)] < len(data):
            size = CRUMBS[turn % len(CRUMBS)] * (1 if not crumbs else len(data) // 24 + 1)
            crumbs.append(data[start : start + size])
            start, turn = start + size, turn + 1
        self._crumbs = [crumb for crumb in (*crumbs, data[start:]) if crumb]
        # A chunk is there when its last byte is: so much later, and the next is due all the same.
        self._whole_due_ns, self._shift_ns = due_ns, CRUMB_NS * (len(self._crumbs) - 1)
        self._crumb(due_ns)

    def _crumb(self, due_ns: int) -> None:
        if self._over:
            return
        before_ns = now_ns()
        taken = self._connection.send(self._crumbs.pop(0))
        if self._crumbs:
            self._engine.timer.at(due_ns + CRUMB_NS, self._crumb)
        else:
            self._sent(self._whole_due_ns, before_ns, taken)

    def _timings(self, due_ns: int) -> bytes:
        script, truth = self._script, self._truth
        assert script.timings is not None and truth.begun_ns is not None
        first_ns = truth.before_ns[0] if truth.before_ns else due_ns
        return script.timings((first_ns - truth.begun_ns) / 1e9, max(0, now_ns() - first_ns) / 1e9)

    def _end(self, how: str) -> None:
        self._over = True
        truth, script, engine = self._truth, self._script, self._engine
        truth.end_ns = now_ns()
        truth.ended = "cancelled" if how == "cancelled" else "done" if how == "done" else "broken"
        truth.completion_tokens = sum(script.tokens[: len(truth.before_ns)])
        if self._begun:
            engine.slots.give()
        engine.ended(truth)
        if how == "broken":
            self._connection.drop(reset=script.ending == "reset")
        elif how == "done":
            self._connection.answered()
