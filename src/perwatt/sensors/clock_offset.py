"""Another machine's clock on ours, with a bound: exchanges in, dates out. Pure.

As NTP's on-wire protocol and clock filter do it (RFC 5905, sections 8 and 10): the remote clock was
read somewhere between our question and its answer, so each exchange bounds the offset by its round
trip, and short round trips bound it best. Two crystals drift apart by at most `MAX_DRIFT`, so a
bound holds for later moments too, only wider. What all exchanges allow is where the truth lies,
however unequal the two ways of a round trip are; a straight line through the tightest of them is
the best guess within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["MAX_DRIFT", "ClockFit", "Exchange", "fit_clock", "tightest"]

MAX_DRIFT = 200e-6
"""Greatest rate at which two clocks part: crystals are within ±100 ppm each."""
FIT_RTT = 2.0
"""Exchanges with a round trip up to this many times the shortest make the line."""


class Exchange(NamedTuple):
    """A question and its answer: two readings of our clock round one of the other."""

    sent_ns: int
    remote_ns: int
    received_ns: int

    @property
    def low_ns(self) -> int:
        """Least that our clock was ahead of the other at `remote_ns`."""
        return self.sent_ns - self.remote_ns

    @property
    def high_ns(self) -> int:
        """Most that it was ahead."""
        return self.received_ns - self.remote_ns

    @property
    def rtt_ns(self) -> int:
        return self.received_ns - self.sent_ns


class ClockFit(NamedTuple):
    """Offset (ours minus the other's) as offset_ns + drift · (remote − reference_ns)."""

    reference_ns: int
    offset_ns: float
    drift: float
    """Parts: 2e-5 is 20 ppm."""
    kept: tuple[Exchange, ...]
    """The exchanges that agree, oldest first."""
    stepped: bool
    """One clock was set, or one machine slept: older exchanges contradict newer ones."""

    def date(self, remote_ns: int) -> tuple[int, int]:
        """A moment of the other clock on ours, and how far that may be off (both ns)."""
        low, high = _allowed(self.kept, remote_ns)
        line = self.offset_ns + self.drift * (remote_ns - self.reference_ns)
        offset = min(max(line, low), high)
        return remote_ns + round(offset), round(max(high - offset, offset - low)) + 1


def tightest(exchanges: Sequence[Exchange]) -> Exchange:
    """The one with the shortest round trip, which bounds the offset best."""
    return min(exchanges, key=lambda exchange: exchange.rtt_ns)


def fit_clock(exchanges: Sequence[Exchange]) -> ClockFit:
    """Needs one exchange or more, by time; an empty sequence is a ValueError.

    Where older exchanges contradict the newest ones by more than drift explains, a clock was set:
    only those since then are used, and `stepped` says so.
    """
    if not exchanges:
        msg = "a clock cannot be fitted to no exchange"
        raise ValueError(msg)
    kept = [exchanges[-1]]
    for exchange in reversed(exchanges[:-1]):
        if not _agree([exchange, *kept]):
            break
        kept.insert(0, exchange)
    reference = kept[-1].remote_ns
    shortest = min(exchange.rtt_ns for exchange in kept)
    good = [e for e in kept if e.rtt_ns <= FIT_RTT * shortest]
    x = [float(e.remote_ns - reference) for e in good]
    # Measured from one of them, since a float holds no nanoseconds of the whole offset.
    origin = good[-1].low_ns
    y = [(e.low_ns - origin + e.high_ns - origin) / 2 for e in good]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    slope = 0.0
    if spread:
        slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    drift = min(max(slope, -MAX_DRIFT), MAX_DRIFT)
    return ClockFit(
        reference_ns=reference,
        offset_ns=origin + mean_y - drift * mean_x,
        drift=drift,
        kept=tuple(kept),
        stepped=len(kept) < len(exchanges),
    )


def _allowed(exchanges: Sequence[Exchange], remote_ns: int) -> tuple[float, float]:
    """What every exchange allows the offset to be at one moment of the other clock."""
    spans = [(e, MAX_DRIFT * abs(remote_ns - e.remote_ns)) for e in exchanges]
    return max(e.low_ns - more for e, more in spans), min(e.high_ns + more for e, more in spans)


def _agree(exchanges: Sequence[Exchange]) -> bool:
    """Can the first be true together with each of the others?"""
    first = exchanges[0]
    for other in exchanges[1:]:
        more = MAX_DRIFT * abs(other.remote_ns - first.remote_ns)
        if first.low_ns - more > other.high_ns or first.high_ns + more < other.low_ns:
            return False
    return True
