"""When a counter that its device brings up to date at its own pace took the value it shows. Pure.

A plug sums up once a second, an exporter every 30 s. Asked more often, each shows an old value, and
that says nothing of the joules since: read as a standstill, all of a refresh would fall into one
moment. So a value is handed on when it changes, dated between the two looks round the change.
"""

from __future__ import annotations

import msgspec

from perwatt.core.records import Reading

__all__ = ["Refreshes"]

STILL_W = 0.5
"""Below this an unchanged counter is no old one: nothing flows."""


class Refreshes:
    """Looks at one counter in, dated changes out; failed looks pass.

    The value was taken after the look before and not after this one, so the middle is off by half
    of that at most: `clock_error_ns` says so, whether the device refreshes rarely or all the time.
    """

    def __init__(self) -> None:
        self._value_j: float | None = None
        self._looked_ns = 0

    def take(self, look: Reading) -> Reading | None:
        """The reading to hand on, if any. The first value never is: nobody knows how old it is."""
        if look.counter_j is None:
            return look
        before_ns, value_j = self._looked_ns, self._value_j
        self._looked_ns, self._value_j = look.t_ns, look.counter_j
        if value_j is None:
            return None
        if look.counter_j == value_j:
            return look if look.power_w is not None and look.power_w < STILL_W else None
        half_ns = (look.t_ns - before_ns) // 2
        error_ns = (look.clock_error_ns or 0) + half_ns + 1
        return msgspec.structs.replace(look, t_ns=look.t_ns - half_ns, clock_error_ns=error_ns)
