"""Steps the load and samples meter and sensors side by side: the stretches that `fit` is given."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from perwatt.core.clock import now_ns
from perwatt.core.errors import PerwattError
from perwatt.core.records import Domain, PowerSample
from perwatt.sensors.calibrate import Stretch
from perwatt.sensors.calibrate_load import Load
from perwatt.sensors.sampler import Sampler

__all__ = ["LOADS", "Look", "Side", "Step", "mean_power_w", "measure", "plan", "stretches_of"]

LOADS = (0.0, 0.25, 0.5, 1.0)
"""Idle first: no kind of work needs telling apart there."""


class Step(NamedTuple):
    """One load to hold."""

    load: float
    kind: str


class Side(NamedTuple):
    """A sampler, and which of its domains are summed."""

    sampler: Sampler
    domains: tuple[Domain, ...]


class Look(NamedTuple):
    """A step as it was seen: mean watts by side, None where a side's could not be told."""

    step: Step
    seconds: float
    power_w: dict[str, float | None]


def plan(rounds: int, kinds: Sequence[str], rng: random.Random) -> list[Step]:
    """Every load once a round, in shuffled order, so that neither heat nor drift favours one."""
    steps: list[Step] = []
    for number in range(rounds):
        loads = list(LOADS)
        rng.shuffle(loads)
        steps += [Step(each, kinds[number % len(kinds)]) for each in loads]
    return steps


def measure(
    sides: Mapping[str, Side],
    load: Load,
    steps: Sequence[Step],
    *,
    seconds: float,
    settle_s: float,
    told: Callable[[int, Step], None],
) -> list[Look]:
    """Hold each step for `settle_s`, then for the `seconds` that count. Samplers are run here.

    `told` is called with each step's place before it begins. The load is idle in the end. Raises
    PerwattError after the first step where a side has given no value at all: why wait for more.
    """
    windows: list[tuple[int, int]] = []
    samples: dict[str, list[PowerSample]] = {name: [] for name in sides}
    started: list[Sampler] = []
    try:
        for side in sides.values():
            side.sampler.start()
            started.append(side.sampler)
        for number, step in enumerate(steps):
            told(number, step)
            load.set(step.load, step.kind)
            time.sleep(settle_s)
            begin = now_ns()
            time.sleep(seconds)
            windows.append((begin, now_ns()))
            for name, side in sides.items():
                samples[name] += side.sampler.drain()
                if number == 0:
                    _answers(name, samples[name])
        load.set(0.0, steps[-1].kind)
    finally:
        for sampler in started:
            sampler.stop()
    for name, side in sides.items():
        samples[name] += side.sampler.drain()
    return [
        Look(
            step,
            (end - begin) / 1e9,
            {name: _sum_w(side, samples[name], begin, end) for name, side in sides.items()},
        )
        for step, (begin, end) in zip(steps, windows, strict=True)
    ]


def stretches_of(looks: Sequence[Look], sensors: str, meter: str) -> list[Stretch]:
    """The looks in which both sides could be told."""
    found = []
    for look in looks:
        x, y = look.power_w[sensors], look.power_w[meter]
        if x is not None and y is not None:
            found.append(
                Stretch(
                    load=look.step.load,
                    kind=look.step.kind,
                    seconds=look.seconds,
                    sensors_w=x,
                    meter_w=y,
                )
            )
    return found


def mean_power_w(
    samples: Sequence[PowerSample], domain: Domain, begin_ns: int, end_ns: int
) -> float | None:
    """Mean watts of a domain between two marks; None where nothing tells them.

    A counter's are taken from its first change within the marks to its last, so that its tick
    costs nothing. One that changes less than twice is left for the gauge beside it, if there is
    one; a reset or a step of its clock within the marks makes it None.
    """
    own = sorted((s for s in samples if s.domain == domain.name), key=lambda s: s.t_ns)
    inside = [s for s in own if begin_ns <= s.t_ns <= end_ns]
    if any(s.flag in {"reset", "clock-step"} for s in inside):
        return None
    if domain.kind == "counter":
        counted = [(s.t_ns, s.counter_j) for s in own if s.counter_j is not None]
        changes = [
            after
            for before, after in pairwise(counted)
            if after[1] != before[1] and begin_ns <= after[0] <= end_ns
        ]
        if len(changes) >= 2:
            (first_ns, first_j), (last_ns, last_j) = changes[0], changes[-1]
            return (last_j - first_j) / ((last_ns - first_ns) / 1e9)
    watts = [s.power_w for s in inside if s.power_w is not None]
    return sum(watts) / len(watts) if watts else None


def _answers(name: str, samples: Sequence[PowerSample]) -> None:
    if all(s.counter_j is None and s.power_w is None for s in samples):
        msg = f"The {name} gave no watts in the first of the stretches."
        raise PerwattError(msg, "See what `perwatt doctor` says of it, or make --seconds longer.")


def _sum_w(side: Side, samples: Sequence[PowerSample], begin: int, end: int) -> float | None:
    total = 0.0
    for domain in side.domains:
        watts = mean_power_w(samples, domain, begin, end)
        if watts is None:
            return None
        total += watts
    return total
