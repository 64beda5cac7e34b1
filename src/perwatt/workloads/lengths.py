"""How many tokens: a number, or a distribution from which each item draws its own."""

from __future__ import annotations

import re
from math import exp, log, log1p, sqrt
from random import Random
from statistics import NormalDist
from typing import Literal, NamedTuple

from perwatt.core.errors import SpecError

__all__ = ["Lengths", "parse_lengths"]

_MEND = "Write such as 300, 300±50 (normal), uniform:100-500 or lognormal:300±200."
_SPREAD = re.compile(r"(\d{1,7})(?:±|\+-)(\d{1,7})")


class Lengths(NamedTuple):
    """`fixed`: a. `uniform`: whole numbers a to b. `normal`, `lognormal`: mean a and deviation b.

    Draws below 1 become 1, so a wide normal has a mean a little above the one given.
    """

    kind: Literal["fixed", "uniform", "normal", "lognormal"]
    a: int
    b: int = 0

    def draw(self, rng: Random) -> int:
        """One length of at least 1.

        By inversion of `rng.random()`, whose stream Python promises to keep: the same seed gives
        the same items, and hash, with every version.
        """
        if self.kind == "fixed":
            return self.a
        share = rng.random()
        if self.kind == "uniform":
            return self.a + int(share * (self.b - self.a + 1))
        z = NormalDist().inv_cdf(min(max(share, 1e-12), 1 - 1e-12))
        if self.kind == "normal":
            return max(1, round(self.a + self.b * z))
        variance = log1p((self.b / self.a) ** 2)
        return max(1, round(exp(log(self.a) - variance / 2 + sqrt(variance) * z)))


def parse_lengths(option: str, text: str) -> Lengths:
    """The words of `option`, such as `prompt=300±50`. Raises SpecError."""
    kind, colon, rest = text.partition(":")
    spread = _SPREAD.fullmatch(rest if colon else text)
    if text.isdigit() and 0 < int(text) < 10**7:
        return Lengths("fixed", int(text))
    if kind == "uniform" and (found := re.fullmatch(r"(\d{1,7})-(\d{1,7})", rest)):
        low, high = int(found[1]), int(found[2])
        if 0 < low <= high:
            return Lengths("uniform", low, high)
    if spread and int(spread[1]) > 0 and (not colon or kind in {"normal", "lognormal"}):
        mean, deviation = int(spread[1]), int(spread[2])
        return Lengths("lognormal" if kind == "lognormal" else "normal", mean, deviation)
    msg = f"{option}={text} is not a number of tokens."
    raise SpecError(msg, _MEND)
