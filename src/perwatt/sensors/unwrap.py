"""Raw readings of one domain → joules since the start, with whatever cannot be true flagged."""

from __future__ import annotations

import math

from perwatt.core.records import Domain, PowerSample, Reading

__all__ = ["Unwrapper"]

ABSURD_W = 50_000.0
"""No single domain draws this; a bound for domains that do not tell their own."""
SLACK_S = 0.25
"""A counter that ticks slower than it is read gives several reads' joules at once."""
SUSPECTS = 3
"""So many impossible readings in a row are a new truth: the counter was reset."""


class Unwrapper:
    """Keeps the running sum of one domain's counter.

    A counter may wrap (`Domain.wrap_j`): the difference is then taken modulo its range. A reading
    that would mean falling joules or an implausible power is flagged and left out, and the next
    good one spans it, so a glitch costs nothing. Three in a row are a reset: the sum goes on from
    where it was, without the joules in between, and that sample is flagged `reset`.
    """

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._bound_w = 1.5 * domain.max_power_w if domain.max_power_w else ABSURD_W
        self._sum_j = 0.0
        self._last_j: float | None = None
        self._last_ns = 0
        self._suspects = 0

    def take(self, reading: Reading, stalled: bool) -> PowerSample:
        """The sample for a reading. `stalled`: the sampler itself was late for it."""
        flag = "sampler-stalled" if stalled else None
        counter, power = reading.counter_j, reading.power_w
        if reading.error is not None:
            counter = power = None
            flag = "read-failed"
        if power is not None and not 0 <= power <= self._bound_w:  # also catches NaN
            power = None
            flag = "implausible"
        if self.domain.kind == "counter" and reading.error is None:
            counter, bad = self._counter(reading.t_ns, counter)
            flag = bad or flag
        return PowerSample(
            t_ns=reading.t_ns,
            domain=reading.domain,
            counter_j=counter if self.domain.kind == "counter" else None,
            power_w=power,
            utilization=reading.utilization,
            memory_bytes=reading.memory_bytes,
            temperature_c=reading.temperature_c,
            clock_mhz=reading.clock_mhz,
            flag=flag,
        )

    def _counter(self, t_ns: int, raw_j: float | None) -> tuple[float | None, str | None]:
        if raw_j is None:
            return None, "read-failed"
        if self._last_j is None:
            if not math.isfinite(raw_j):
                return None, "implausible"
            self._last_j, self._last_ns = raw_j, t_ns
            return 0.0, None
        delta = raw_j - self._last_j
        wrap = self.domain.wrap_j
        if delta < 0 and wrap is not None and self._plausible(delta + wrap, t_ns):
            delta += wrap
        if self._plausible(delta, t_ns):
            self._sum_j += delta
            self._last_j, self._last_ns, self._suspects = raw_j, t_ns, 0
            return self._sum_j, None
        self._suspects += 1
        if self._suspects < SUSPECTS or not math.isfinite(raw_j):
            return None, "backwards" if delta < 0 else "implausible"
        self._last_j, self._last_ns, self._suspects = raw_j, t_ns, 0
        return self._sum_j, "reset"

    def _plausible(self, delta_j: float, t_ns: int) -> bool:
        seconds = (t_ns - self._last_ns) / 1e9 + SLACK_S
        return 0 <= delta_j <= self._bound_w * seconds
