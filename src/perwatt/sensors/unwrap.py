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
POWERED_W = 1.0
"""A gauge that has never shown less cannot fall to nothing while its device is on."""


class Unwrapper:
    """Keeps the running sum of one domain's counter.

    A counter may wrap (`Domain.wrap_j`): the difference is then taken modulo its range, and the
    sample is flagged `wrap` for the record. A reading that would mean falling joules or an
    implausible power is flagged and left out, and the next good one spans it, so a glitch costs
    nothing. Three in a row are a reset: the sum goes on from where it was, without the joules in
    between, and that sample is flagged `reset`. A 0 where the counter stood above 0 is flagged
    `zero` and never taken, not even as a wrap or a reset: the reading after it tells which it was.
    """

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._bound_w = 1.5 * domain.max_power_w if domain.max_power_w else ABSURD_W
        self._sum_j = 0.0
        self._last_j: float | None = None
        self._last_ns = 0
        self._suspects = 0
        self._newest_ns: int | None = None
        self._lowest_w: float | None = None

    def take(self, reading: Reading, stalled: bool, stepped: bool = False) -> PowerSample:
        """The sample for a reading.

        `stalled`: the sampler itself was late for it. `stepped`: the clocks jumped since the one
        before. A reading dated before its predecessor has no value, and the flag `clock-step`.
        """
        flag = "clock-step" if stepped else "sampler-stalled" if stalled else None
        counter, power = reading.counter_j, reading.power_w
        late = self._newest_ns is not None and reading.t_ns < self._newest_ns
        if reading.error is not None:
            counter = power = None
            flag = "read-failed"
        elif late:
            counter = power = None
            flag = "clock-step"
        else:
            self._newest_ns = reading.t_ns
            power, bad = self._power(reading, power)
            flag = bad or flag
            if self.domain.kind == "counter":
                counter, bad = self._counter(reading.t_ns, counter)
                flag = bad or flag
            elif reading.power_w is None:
                flag = "read-failed"
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
            power_average_w=reading.power_average_w,
            power_limit_w=reading.power_limit_w,
            throttle=",".join(reading.throttle) or None,
            clock_error_ns=reading.clock_error_ns,
        )

    def _power(self, reading: Reading, power: float | None) -> tuple[float | None, str | None]:
        if power is None:
            return None, None
        if not 0 <= power <= self._bound_w:  # also catches NaN
            return None, "implausible"
        lowest = power if self._lowest_w is None else min(power, self._lowest_w)
        if power == 0 and ((self._lowest_w or 0) >= POWERED_W or reading.utilization):
            return None, "zero"
        self._lowest_w = lowest
        return power, None

    def _counter(self, t_ns: int, raw_j: float | None) -> tuple[float | None, str | None]:
        if raw_j is None:
            return None, "read-failed"
        if self._last_j is None:
            if not math.isfinite(raw_j):
                return None, "implausible"
            self._last_j, self._last_ns = raw_j, t_ns
            return 0.0, None
        if raw_j == 0 and self._last_j > 0:
            self._suspects += 1
            return None, "zero"
        delta = raw_j - self._last_j
        wrap = self.domain.wrap_j
        flag = None
        if delta < 0 and wrap is not None and self._plausible(delta + wrap, t_ns):
            delta += wrap
            flag = "wrap"
        if self._plausible(delta, t_ns):
            self._sum_j += delta
            self._suspects = 0
            if delta > 0:  # a coarse counter gives the joules of all the time it stood still
                self._last_j, self._last_ns = raw_j, t_ns
            return self._sum_j, flag
        self._suspects += 1
        if self._suspects < SUSPECTS or not math.isfinite(raw_j):
            return None, "backwards" if delta < 0 else "implausible"
        self._last_j, self._last_ns, self._suspects = raw_j, t_ns, 0
        return self._sum_j, "reset"

    def _plausible(self, delta_j: float, t_ns: int) -> bool:
        seconds = (t_ns - self._last_ns) / 1e9 + SLACK_S
        return 0 <= delta_j <= self._bound_w * seconds
