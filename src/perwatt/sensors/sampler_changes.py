"""Which samples are kept: every change of a counter, and enough between to see that it stood still.

Read at 100 Hz, a counter that ticks every 100 ms says the same thing ten times. Kept are each
change, the last look that still showed the old value (together they bracket the moment of the
tick), and one sample at least every half second. `attribution.integrate.curve_of` makes the same
curve of what is kept as of everything.
"""

from __future__ import annotations

from perwatt.core.records import Domain, PowerSample

__all__ = ["ChangePoints"]

KEEP_ALIVE_NS = 500_000_000
"""The plateau of `attribution.integrate`: what stands still for longer is idle."""


class ChangePoints:
    """Thins the samples of one domain, in order of time. Gauges and flagged samples all stay."""

    def __init__(self, domain: Domain) -> None:
        self._counter = domain.kind == "counter"
        self._kept: PowerSample | None = None
        self._waiting: PowerSample | None = None
        """The newest look that showed nothing new."""
        self.dropped = 0

    def take(self, sample: PowerSample, edge: bool) -> list[PowerSample]:
        """What to keep now that `sample` has come. `edge`: keep it whatever it shows."""
        kept = self._kept
        if sample.flag is None and kept is not None and sample.t_ns <= kept.t_ns:
            self.dropped += 1  # a source that dates its own values was asked twice for one
            return []
        if not self._counter:
            self._kept = sample
            return [sample]
        same = (
            kept is not None
            and sample.flag is None
            and sample.counter_j == kept.counter_j
            and sample.throttle == kept.throttle
        )
        if same and not edge and kept is not None and sample.t_ns - kept.t_ns < KEEP_ALIVE_NS:
            self.dropped += self._waiting is not None
            self._waiting = sample
            return []
        result = [sample]
        if self._waiting is not None:
            if same:
                self.dropped += 1  # the newer look says as much
            else:
                result.insert(0, self._waiting)
        self._waiting = None
        if sample.counter_j is not None:
            self._kept = sample
        return result
