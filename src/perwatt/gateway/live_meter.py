"""The sensors while the address is open: samples journalled, joules given out, idle kept fresh."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from perwatt.attribution.ledger import combined_gain
from perwatt.core.clock import now_ns, seconds
from perwatt.core.records import PowerSample
from perwatt.gateway.live_curve import LiveCurve, Tick
from perwatt.gateway.live_shares import FORGET_NS, Figure, Ledger, LiveRequest
from perwatt.gateway.stretches import QUIET_NS, SETTLE_NS, Stretches
from perwatt.sensors.pick import Picked
from perwatt.sensors.sampler import Sampler
from perwatt.store.lines import JournalRecord, Power

__all__ = ["Baseline", "LiveMeter", "Metered", "Told", "thinned"]

EVERY_S = 0.1
"""How often samples are taken over while nobody asks; a request's end asks at once."""
JOURNAL_S = 0.2
"""And at each request's end: a kill costs the joules of those that end in the same tick."""
RESTING_NS = 10_000_000_000
"""At rest for so long, one sample a second of a counter is enough for the journal."""
FRESH_NS = 2_000_000_000
"""But for the last of it: the tick in which load begins must be short."""
IDLE_KEPT_S = 60.0
"""The rolling baseline is the mean of the last so many seconds at rest."""
IDLE_LEAST_S = 0.2
KEPT = 10_000
"""So many finished requests can still be asked about."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller is told of one request: the `perwatt` object, and the headers."""

    energy_j: float | None
    energy_net_j: float | None
    low_j: float | None
    high_j: float | None
    grade: str | None
    boundary: str | None
    attribution: str = "live"
    provisional: bool
    request_id: str
    reason: str | msgspec.UnsetType = msgspec.UNSET
    """Why there are no joules."""


class Baseline(NamedTuple):
    """The idle that net joules subtract."""

    power_w: float
    seconds: float
    age_s: float


class Metered(NamedTuple):
    """A request and its share."""

    request_id: str
    live: LiveRequest


class LiveMeter:
    """`picked` None: energy is unknown, and everybody is told why. Belongs to one event loop."""

    def __init__(
        self,
        picked: Picked | None,
        sampler: Sampler | None,
        put: Callable[[JournalRecord], None],
        stretches: Stretches,
        session: int,
        line: str,
        settled: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`line`: what is known of the sensors, in a sentence. `settled` hears each request's
        joules once the sensor has shown all of them."""
        counted = picked.counted if picked else ()
        self.picked = picked
        self.line = line
        self.curve = LiveCurve(counted, picked.domains if picked else ())
        gain = combined_gain([(1.0, (d.gain_low, d.gain_high)) for d in counted])
        self.ledger = Ledger(gain, self._settle)
        self.rests_from_ns = 0
        """What was drawn before, while an engine was loading say, is no idle."""
        self._sampler = sampler
        self._put = put
        self._stretches = stretches
        self._session = session
        self._told_settled = settled
        self._unwritten: list[PowerSample] = []
        self._written_ns = 0
        self._idle: deque[Tick] = deque()
        self._idle_s = 0.0
        self._last_end_ns = now_ns()
        self._last_busy_ns = -SETTLE_NS
        self._in_flight: dict[str, LiveRequest] = {}
        self._finished: OrderedDict[str, LiveRequest] = OrderedDict()
        self._lock = asyncio.Lock()

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def phase_id(self) -> str:
        """Of the present stretch of load."""
        return self._stretches.phase_id

    async def begin(self, request_id: str, start_ns: int, prompt_tokens: float) -> Metered:
        """A request is in flight: from now on it has a share."""
        if not self._stretches.loaded:
            async with self._lock:
                if not self._stretches.loaded:
                    await self._stretches.load(start_ns)
        live = self.ledger.begin(start_ns, prompt_tokens)
        self._in_flight[request_id] = live
        return Metered(request_id, live)

    def end(self, metered: Metered, end_ns: int) -> None:
        """It is not in flight any more. Safe to call twice."""
        if self._in_flight.pop(metered.request_id, None) is None:
            return
        self._last_end_ns = end_ns
        self.ledger.end(metered.live, end_ns)
        self.write()  # a kill must not cost more joules than it has to
        self._finished[metered.request_id] = metered.live
        if len(self._finished) > KEPT:
            self._finished.popitem(last=False)

    def told(self, metered: Metered, at_ns: int) -> Told:
        """Its joules by now, with everything that the sensor has shown so far."""
        self.take_over()
        return self._told(metered.request_id, self.ledger.figure(metered.live, at_ns))

    def asked(self, request_id: str) -> Told | None:
        """The same by id, in flight or finished not long ago; None: no such request."""
        live = self._in_flight.get(request_id) or self._finished.get(request_id)
        return None if live is None else self.told(Metered(request_id, live), now_ns())

    def baseline(self) -> Baseline | None:
        """The rolling idle; None until there was enough of it."""
        power_w = self.ledger.idle_power_w
        if power_w is None or not self._idle:
            return None
        return Baseline(power_w, self._idle_s, seconds(self._idle[-1].end_ns, now_ns()))

    def take_over(self) -> None:
        """Share out what the sensor has shown since the last time."""
        samples = self._sampler.drain() if self._sampler else []
        if samples:
            self._unwritten += samples
            for tick in self.curve.take(samples):
                if not self.ledger.take(tick):
                    self._last_busy_ns = tick.end_ns
                elif tick.trusted and tick.start_ns >= max(
                    self.rests_from_ns, self._last_busy_ns + SETTLE_NS
                ):
                    self._rest(tick)

    async def run(self) -> None:
        """Until cancelled: samples taken over and journalled, stretches of load ended."""
        while True:
            await asyncio.sleep(EVERY_S)
            self.take_over()
            t_ns = now_ns()
            # Without a sensor nothing is waited for.
            self.ledger.forget(t_ns if self.picked else t_ns + FORGET_NS)
            resting = not self._stretches.loaded and t_ns - self._since_ns() > RESTING_NS
            if seconds(self._written_ns, t_ns) >= (1.0 if resting else JOURNAL_S):
                self.write(resting=resting)
            quiet = not self._in_flight and t_ns - self._last_end_ns > QUIET_NS
            if quiet and self._stretches.loaded:
                async with self._lock:
                    await self._stretches.over(self._last_end_ns + SETTLE_NS)
                    self._stretches.idle(self._last_end_ns + SETTLE_NS)

    async def close(self) -> None:
        """The last of everything, once the sampler has stopped."""
        self.take_over()
        self.write()
        await self._stretches.over(now_ns())

    def write(self, *, resting: bool = False) -> None:
        """Journal the samples that have come; `resting`: old ones, and few of them."""
        self._written_ns = now_ns()
        old = self._unwritten
        self._unwritten = []
        if resting:
            fresh_ns = self._written_ns - FRESH_NS
            self._unwritten = [sample for sample in old if sample.t_ns >= fresh_ns]
            old = thinned([sample for sample in old if sample.t_ns < fresh_ns])
        if old:
            self._put(Power(session=self._session, samples=tuple(old)))

    def _since_ns(self) -> int:
        """When the last request ended; the start of the first idle where there was none."""
        return max(self._last_end_ns, self.rests_from_ns)

    def _rest(self, tick: Tick) -> None:
        self._idle.append(tick)
        self._idle_s += seconds(tick.start_ns, tick.end_ns)
        while len(self._idle) > 1 and self._idle_s > IDLE_KEPT_S:
            gone = self._idle.popleft()
            self._idle_s -= seconds(gone.start_ns, gone.end_ns)
        if self._idle_s >= IDLE_LEAST_S:
            self.ledger.idle_power_w = sum(t.energy_j for t in self._idle) / self._idle_s

    def _settle(self, live: LiveRequest) -> None:
        if self.picked is not None and live.trusted:
            self._told_settled(live.idle_j + live.work_j)

    def _told(self, request_id: str, figure: Figure) -> Told:
        if self.picked is None or not figure.trusted:
            reason = self.line if self.picked is None else "the sensor's readings cannot be trusted"
            return Told(
                energy_j=None,
                energy_net_j=None,
                low_j=None,
                high_j=None,
                grade=None,
                boundary=None,
                provisional=True,
                request_id=request_id,
                reason=reason,
            )
        net = figure.energy_net_j
        return Told(
            energy_j=_digits(figure.energy_j),
            energy_net_j=None if net is None else _digits(net),
            low_j=_digits(figure.low_j),
            high_j=_digits(figure.high_j),
            grade=self.picked.grade,
            boundary=self.picked.boundary,
            provisional=True,  # final is what the run's own attribution says when it is finished
            request_id=request_id,
        )


def thinned(samples: list[PowerSample]) -> list[PowerSample]:
    """The last of each counter, and all that is a gauge's or is flagged."""
    last = {s.domain: n for n, s in enumerate(samples) if s.counter_j is not None}
    return [
        sample
        for n, sample in enumerate(samples)
        if sample.flag is not None or sample.counter_j is None or last[sample.domain] == n
    ]


def _digits(value: float) -> float:
    """Six of them: more would claim what no sensor gives."""
    return float(f"{value:.6g}")
