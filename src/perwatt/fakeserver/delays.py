"""Lengths of time in words: `5ms`, `exp:5ms`, `uniform:2ms..9ms`."""

from __future__ import annotations

import random
import re
from typing import Literal

import msgspec

from perwatt.core.errors import SpecError

__all__ = ["Delay", "parse_delay"]

_TIME = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m)")
_NS = {"us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9}


class Delay(msgspec.Struct, frozen=True):
    """A length of time, in nanoseconds: fixed at `low_ns`, exponential with that mean, or even."""

    kind: Literal["fixed", "exp", "uniform"]
    low_ns: int
    high_ns: int

    def draw(self, rng: random.Random) -> int:
        """One length, ns."""
        if self.kind == "fixed":
            return self.low_ns
        if self.kind == "exp":
            return round(rng.expovariate(1.0) * self.low_ns)
        return rng.randint(self.low_ns, self.high_ns)


def parse_delay(option: str, text: str) -> Delay:
    """`text` as above; a bare 0 is no delay. Raises SpecError naming `option`."""
    kind, _, rest = text.rpartition(":")
    low, dots, high = rest.partition("..")
    first = _length_ns(low)
    last = _length_ns(high) if dots else first
    shaped = dots if kind == "uniform" else not dots
    if kind in {"", "exp", "uniform"} and shaped and first is not None and last is not None:
        if kind == "uniform" and last < first:
            msg = f"--{option} {text!r}: the second time is below the first."
            raise SpecError(msg, f"Write uniform:{high}..{low}.")
        return Delay("exp" if kind == "exp" else "uniform" if dots else "fixed", first, last)
    msg = f"--{option} {text!r} is not a length of time."
    raise SpecError(msg, "Write such as 5ms, exp:5ms or uniform:2ms..9ms.")


def _length_ns(text: str) -> int | None:
    if text == "0":
        return 0
    found = _TIME.fullmatch(text)
    return round(float(found[1]) * _NS[found[2]]) if found else None
