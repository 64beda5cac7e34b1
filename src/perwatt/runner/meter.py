"""Joules of any stretch of time: sensors kept sampled, windows asked for afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock
from types import TracebackType
from typing import Self

import msgspec

from perwatt.attribution.idle import idle_power
from perwatt.attribution.integrate import Curve, curve_of
from perwatt.attribution.window import Baseline, Window, sum_windows, window_energy
from perwatt.core.clock import now_ns, seconds
from perwatt.core.errors import SpecError
from perwatt.core.estimate import Estimate, Grade
from perwatt.core.records import Boundary, Domain, PowerSample, SensorTiming
from perwatt.sensors.pick import Picked, pick
from perwatt.sensors.sampler import Sampler

__all__ = ["Measured", "Meter"]

SETTLE_S = 0.05
"""Beyond a tick and the lag, what the last reading of a window is waited for."""
LONGEST_WAIT_S = 2.0
FEW_TICKS = 5


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The joules of one stretch of time, as every part of perwatt publishes them."""

    seconds: float
    gross: Estimate
    """All that was drawn, in joules."""
    net: Estimate
    """Less what the idle machine would have drawn; without a baseline it has a reason."""
    power: Estimate
    """Mean watts, gross."""
    domains: dict[str, Estimate]
    """Gross joules of each domain, those that stand beside the boundary included."""
    boundary: Boundary
    grade: Grade
    ticks: int
    """Changes of the slowest summed counter within the window."""
    flags: tuple[str, ...] = ()
    """`few-ticks`, `untrusted`, `no-reading`: why to think twice."""
    energy_line: str
    """Which sensors, which grade, which boundary."""


class Meter:
    """Picks sensors, samples them from `start` to `close`, and tells joules between two marks.

    Thread-safe. Raises what `pick` raises, from `start`.
    """

    def __init__(
        self,
        sensors: Sequence[str] = ("auto",),
        *,
        hz: float = 50.0,
        boundary: Boundary | None = None,
        uses_accelerator: bool = False,
        require_grade: Grade | None = None,
    ) -> None:
        self._ask = (tuple(sensors), uses_accelerator, boundary, require_grade)
        self._hz = hz
        self._picked: Picked | None = None
        self._sampler: Sampler | None = None
        self._samples: list[PowerSample] = []
        self._idle: list[tuple[int, int]] = []
        self._drain = Lock()

    @property
    def picked(self) -> Picked:
        if self._picked is None:
            msg = "a meter is started before it is asked"
            raise RuntimeError(msg)
        return self._picked

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the sampling itself so far."""
        return self._sampler.cpu_seconds if self._sampler else 0.0

    @property
    def timings(self) -> tuple[SensorTiming, ...]:
        return self._sampler.timings if self._sampler else ()

    def start(self) -> Self:
        sensors, uses_accelerator, boundary, grade = self._ask
        self._picked = pick(
            sensors, uses_accelerator=uses_accelerator, boundary=boundary, require_grade=grade
        )
        self._sampler = Sampler(self._picked.sensors, self._hz)
        self._sampler.start()
        # A window begins after a reading, and a meter elsewhere gives its first at its own pace.
        begun_ns = now_ns()
        while not self._read_since(0) and seconds(begun_ns, now_ns()) < LONGEST_WAIT_S:
            time.sleep(SETTLE_S)
        return self

    def close(self) -> None:
        if self._sampler:
            self._sampler.stop()
        if self._picked:
            self._picked.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def mark(self) -> int:
        """Read now; the moment, in nanoseconds of `core.clock`."""
        if self._sampler:
            self._sampler.read_now()
        return now_ns()

    def rest(self, idle_s: float) -> None:
        """Measure idle for so many seconds: nothing of the caller's may run meanwhile."""
        if idle_s <= 0:
            return
        begin = self.mark()
        time.sleep(idle_s)
        self._idle.append((begin, self.mark()))

    def settle(self) -> None:
        """Wait for the slowest source to show all that was drawn so far, two seconds at most."""
        drawn_ns = now_ns()
        slowest = max((self._late_s(domain) for domain in self.picked.domains), default=0.0)
        time.sleep(min(slowest + SETTLE_S, LONGEST_WAIT_S))
        self.mark()
        while not self._read_since(drawn_ns) and seconds(drawn_ns, now_ns()) < LONGEST_WAIT_S:
            time.sleep(SETTLE_S)  # a meter elsewhere answers at its own pace
            self.mark()

    def energy(self, start_ns: int, end_ns: int, *, padded: bool = False) -> Measured:
        """Joules between two marks of the past. `padded`: nothing else ran just before and after.

        Raises SpecError for a stretch that ends before it starts.
        """
        if end_ns < start_ns:
            late = seconds(end_ns, start_ns)
            msg = f"The stretch to be measured ends {late:g} s before it starts."
            raise SpecError(msg, "Give its marks in order.")
        return self.energy_over([(start_ns, end_ns)], lambda windows: windows[0], padded=padded)

    def energy_over(
        self,
        spans: Sequence[tuple[int, int]],
        combine: Callable[[list[Window | None]], Window | None],
        *,
        padded: bool = False,
    ) -> Measured:
        """Joules over several stretches, each (start, end), combined: their mean, say."""
        combined: dict[str, Window | None] = {}
        for domain in self.picked.domains:
            curve = self._curve(domain)
            own = [self._window(domain, curve, *span, padded) for span in spans]
            combined[domain.name] = combine(own)
        counted = [combined[domain.name] for domain in self.picked.counted]
        whole = [window for window in counted if window is not None]
        total = sum_windows(whole) if whole and len(whole) == len(counted) else None
        length_s = sum(seconds(*span) for span in spans) / len(spans)
        return self._measured(length_s, total, combined)

    def tick_s(self) -> float:
        """The slowest tick among the summed domains; the sampling period where none was seen."""
        names = {domain.name for domain in self.picked.counted}
        return max(
            (t.tick_s for t in self.timings if t.domain in names and t.tick_s),
            default=1.0 / self._hz,
        )

    def _read_since(self, t_ns: int) -> bool:
        """Has each summed domain been read, or failed to be, at or after that moment?"""
        with self._drain:
            if self._sampler:
                self._samples.extend(self._sampler.drain())
            seen = {sample.domain for sample in self._samples if sample.t_ns >= t_ns}
        return all(domain.name in seen for domain in self.picked.counted)

    def _curve(self, domain: Domain) -> Curve | None:
        with self._drain:
            if self._sampler:
                self._samples.extend(self._sampler.drain())
            own = [sample for sample in self._samples if sample.domain == domain.name]
        return curve_of(own, domain)

    def _window(
        self, domain: Domain, curve: Curve | None, start_ns: int, end_ns: int, padded: bool
    ) -> Window | None:
        if curve is None:
            return None
        baseline = self._baseline(curve)
        timing = self._timing(domain)
        tick_s = timing.tick_s if timing and timing.tick_s else 0.0
        return window_energy(
            curve,
            start_ns,
            end_ns,
            baseline=baseline,
            padded=padded and baseline is not None,
            lag_ns=round(_lag_s(timing, tick_s, 1.0 / self._hz) * 1e9),
            knot_error_s=min(tick_s, 1.0 / self._hz),
            duty=domain.duty,
            clock_error_ns=self._clock_error_ns(domain),
            gain=(domain.gain_low, domain.gain_high),
        )

    def _baseline(self, curve: Curve) -> Baseline | None:
        """None too where it rests on too few ticks to say how far off it may be."""
        idle = idle_power(curve, self._idle)
        if idle is None or idle.error_w is None:
            return None
        return Baseline(idle.power_w, idle.error_w, idle.seconds)

    def _timing(self, domain: Domain) -> SensorTiming | None:
        return next((t for t in self.timings if t.domain == domain.name), None)

    def _late_s(self, domain: Domain) -> float:
        timing = self._timing(domain)
        if timing is None:
            return 0.0
        return 2 * (timing.tick_high_s or timing.tick_s or 0.0) + (timing.lag_s or 0.0)

    def _clock_error_ns(self, domain: Domain) -> int:
        errors = (s.clock_error_ns or 0 for s in self._samples if s.domain == domain.name)
        return max(errors, default=0)

    def _measured(
        self, length_s: float, total: Window | None, windows: dict[str, Window | None]
    ) -> Measured:
        picked = self.picked
        flags = []
        if total is None:
            flags.append("no-reading")
        else:
            if total.ticks < FEW_TICKS and picked.grade != "D":
                flags.append("few-ticks")
            if not total.trusted:
                flags.append("untrusted")
        gross = _estimate(total, "gross", picked.boundary, picked.grade)
        return Measured(
            seconds=length_s,
            gross=gross,
            net=_estimate(total, "net", picked.boundary, picked.grade),
            power=per_second(gross, length_s),
            domains={
                domain.name: _estimate(windows[domain.name], "gross", domain.boundary, domain.grade)
                for domain in picked.domains
            },
            boundary=picked.boundary,
            grade=picked.grade,
            ticks=total.ticks if total else 0,
            flags=tuple(flags),
            energy_line=picked.energy_line,
        )


def _lag_s(timing: SensorTiming | None, tick_s: float, period_s: float) -> float:
    """As measured; else half a tick of a counter that ticks faster than it is read, since its value
    is that old on average. A slower one is dated by when it was seen to change.
    """
    if timing is not None and timing.lag_s is not None:
        return timing.lag_s
    return tick_s / 2 if tick_s <= period_s else 0.0


def per_second(joules: Estimate, length_s: float) -> Estimate:
    """Mean watts of joules drawn over a known time."""
    if joules.value is None or joules.low is None or joules.high is None or length_s <= 0:
        reason = joules.reason or "the window has no length"
        return Estimate(value=None, unit="W", reason=reason, grade=joules.grade)
    return msgspec.structs.replace(
        joules,
        value=joules.value / length_s,
        low=joules.low / length_s,
        high=joules.high / length_s,
        unit="W",
    )


def _estimate(window: Window | None, which: str, boundary: Boundary, grade: Grade) -> Estimate:
    if window is None:
        reason = "the sensor gave no reading on both sides of the window"
        return Estimate(value=None, unit="J", reason=reason, grade=grade, boundary=boundary)
    if which == "net" and window.net_j is None:
        reason = "no idle was measured, or too little to tell how far off it may be"
        return Estimate(value=None, unit="J", reason=reason, grade=grade, boundary=boundary)
    gross = which == "gross"
    way = "idle-padded" if window.padded else "interpolated"
    return Estimate(
        value=window.gross_j if gross else window.net_j,
        low=window.gross_low_j if gross else window.net_low_j,
        high=window.gross_high_j if gross else window.net_high_j,
        unit="J",
        method=f"{way} window: gain, tick edges and baseline",
        n=1,
        grade=grade,
        boundary=boundary,
    )
