"""How requests arrive: `--load` in words, parsed once. What it means in time is `runner`'s.

closed:N               N in flight, the next asked the moment one ends
constant:R             R requests a second, evenly spaced
poisson:R              R a second on average, gaps exponential
gamma:R:CV             the same with another coefficient of variation of the gaps (Poisson is 1)
burst                  all at once
trace, trace:FILE      when the workload, or a trace file, says; `trace:FILE:x2` twice as fast
sweep:A..B             closed loops of A, 2A, 4A … B in flight, until more gives nothing more
sweep:A/s..B/s         Poisson rates, doubled in the same way

`@30s` after any of them: go on for so long, over the items again and again; without it each item
is asked once. Stages follow each other after commas: `poisson:2@30s,poisson:8@30s`.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from perwatt.core.errors import SpecError

__all__ = ["Load", "Stage", "parse_load"]

MEND = (
    "Give closed:N, constant:R, poisson:R, gamma:R:CV, burst, trace[:FILE][:xSPEED] or sweep:A..B,"
    " with @30s after it for a time limit, and commas between stages."
)
_NUMBER = r"\d+(?:\.\d+)?"
_TIME = re.compile(rf"({_NUMBER})(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of steady load."""

    kind: Literal["closed", "rate", "burst", "trace"]
    text: str
    """As a person would write it alone, such as `poisson:4@30s`: its label everywhere."""
    in_flight: int | None = None
    """`closed` alone."""
    per_s: float | None = None
    """`rate` alone: requests a second."""
    cv: float = 0.0
    """`rate`: standard deviation of the gaps over their mean. 0 even, 1 Poisson."""
    trace: str | None = None
    """`trace`: the file; None: the workload's own arrivals."""
    speed: float = 1.0
    for_s: float | None = None
    """Stop starting requests after so long; None: when each item has been asked."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The stages in order."""

    stages: tuple[Stage, ...]
    sweep: bool = False
    """Leave out the rest once a stage shows that the server is saturated."""

    @property
    def most_in_flight(self) -> int | None:
        """The most that can be in flight; None where the load does not bound it."""
        places = [stage.in_flight for stage in self.stages]
        known = [n for n in places if n is not None]
        return max(known) if len(known) == len(places) else None


def parse_load(text: str) -> Load:
    """`text` as above. Raises SpecError naming the part that cannot be read."""
    parts = [part.strip() for part in text.split(",")]
    if any(part.startswith("sweep:") for part in parts):
        if len(parts) > 1:
            msg = f"--load {text!r}: a sweep is made of stages, and stands alone."
            raise SpecError(msg, MEND)
        return Load(stages=_sweep(parts[0]), sweep=True)
    stages = tuple(_stage(part) for part in parts)
    endless = [stage.text for stage in stages if stage.for_s is None]
    if len(stages) > 1 and endless and len(endless) < len(stages):
        msg = f"--load {text!r}: stages have a time limit all or none, and {endless[0]} has none."
        raise SpecError(msg, f"Write {endless[0]}@30s.")
    return Load(stages=stages)


def _stage(part: str) -> Stage:
    body, at, limit = part.partition("@")
    for_s = _seconds(part, limit) if at else None
    kind, _, rest = body.partition(":")
    if kind == "closed" and re.fullmatch(r"[1-9]\d{0,5}", rest):
        return Stage(kind="closed", text=part, in_flight=int(rest), for_s=for_s)
    if kind in {"constant", "poisson"} and (rate := _positive(rest.removesuffix("/s"))):
        return Stage(
            kind="rate", text=part, per_s=rate, cv=1.0 if kind == "poisson" else 0.0, for_s=for_s
        )
    if kind == "gamma":
        first, _, second = rest.partition(":")
        rate, cv = _positive(first.removesuffix("/s")), _positive(second)
        if rate and cv:
            return Stage(kind="rate", text=part, per_s=rate, cv=cv, for_s=for_s)
    if body == "burst" and not at:
        return Stage(kind="burst", text=part)
    if kind == "trace":
        file, speed = _trace(rest)
        return Stage(kind="trace", text=part, trace=file, speed=speed, for_s=for_s)
    msg = f"--load {part!r} cannot be read."
    raise SpecError(msg, MEND)


def _sweep(part: str) -> tuple[Stage, ...]:
    body, at, limit = part.removeprefix("sweep:").partition("@")
    for_s = _seconds(part, limit) if at else None
    low, dots, high = body.partition("..")
    rates = low.endswith("/s") or high.endswith("/s")
    first, last = _positive(low.removesuffix("/s")), _positive(high.removesuffix("/s"))
    whole = rates or (low.isdigit() and high.isdigit())
    if not dots or not first or not last or last < first or not whole:
        msg = f"--load {part!r} cannot be read: it is sweep:LOW..HIGH, or sweep:LOW/s..HIGH/s."
        raise SpecError(msg, MEND)
    steps = [first]
    while steps[-1] * 2 < last * (1 + 1e-9):
        steps.append(steps[-1] * 2)
    if steps[-1] < last:
        steps.append(last)
    shape = "poisson:{:g}/s" if rates else "closed:{:g}"
    ending = f"@{limit}" if for_s is not None else ""
    return tuple(_stage(shape.format(step) + ending) for step in steps)


def _trace(rest: str) -> tuple[str | None, float]:
    """(file, speed) of `FILE`, `FILE:x2`, `x2` or nothing."""
    file, colon, last = rest.rpartition(":")
    name, speed = (file, last) if colon else ("", rest)
    if speed.startswith("x") and (factor := _positive(speed[1:])):
        return name or None, factor
    return rest or None, 1.0


def _positive(text: str) -> float | None:
    value = float(text) if re.fullmatch(_NUMBER, text) else 0.0
    return value if value > 0 else None


def _seconds(part: str, text: str) -> float:
    found = _TIME.fullmatch(text)
    value = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not value:
        msg = f"--load {part!r}: {text!r} is not a length of time."
        raise SpecError(msg, "Write such as 30s, 500ms, 5m or 1h.")
    return value
