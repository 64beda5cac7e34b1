"""The machines behind both places over a demand: how many, how busy, and what they draw idle.

Cloud: machines sized for the peak at `full_at` requests in flight each, unless their number is
given. In each bin the load of one machine follows from the rate, and its joules per query from the
batch curve. A machine that is asked less than its smallest measured load keeps it up is idle for
the rest of the time, and draws `standby_w`.

Local: devices that take one query at a time, pooled; sized so that at the peak they are `busiest`
busy, unless their number is given. What they cannot take goes to the cloud.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import numpy as np

from perwatt.core.errors import SpecError
from perwatt.routing.savings_curve import BatchCurve
from perwatt.routing.savings_mix import Floats
from perwatt.routing.trace_demand import Demand

__all__ = ["CloudPlant", "CloudUse", "LocalPlant", "LocalUse", "Plant", "erlang_c"]

_MOST_SERVERS = 100_000
"""Erlang's recursion is one step a server; above this, waiting is not worked out."""


class CloudPlant(msgspec.Struct, frozen=True, kw_only=True):
    """Raises SpecError."""

    curve: BatchCurve
    measured_at: float
    """In flight when the queries' own joules were measured: the curve scales them from there."""
    full_at: float
    """In flight on each machine at the peak."""
    standby_w: float = 0.0
    """Of one machine with nothing in flight."""
    machines: int | None = None

    def __post_init__(self) -> None:
        for name in ("measured_at", "full_at"):
            if not 0 < getattr(self, name) < math.inf:
                msg = (
                    f"A cloud's {name} is a number of requests above 0, got {getattr(self, name)}."
                )
                raise SpecError(msg)
        _require_plant("cloud", self.standby_w, "machines", self.machines, least=1)


class LocalPlant(msgspec.Struct, frozen=True, kw_only=True):
    """Raises SpecError."""

    standby_w: float = 0.0
    """Of one device while it waits: what keeping the model ready draws."""
    busiest: float = 0.8
    devices: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.busiest <= 1:
            msg = f"A local plant's busiest is a share above 0 and up to 1, got {self.busiest}."
            raise SpecError(msg)
        _require_plant("local plant", self.standby_w, "devices", self.devices, least=0)


def _require_plant(place: str, watts: float, name: str, many: int | None, *, least: int) -> None:
    """Raises SpecError."""
    if not 0 <= watts < math.inf:
        msg = f"A {place}'s standby_w is a number that is not negative, got {watts}."
        raise SpecError(msg)
    if many is not None and many < least:
        msg = f"A {place}'s {name} are {least} or more, got {many}."
        raise SpecError(msg, "Leave it out to have as many as the peak needs.")


class Plant(msgspec.Struct, frozen=True, kw_only=True):
    """A side that is None costs what its queries cost, whatever the load."""

    cloud: CloudPlant | None = None
    local: LocalPlant | None = None


class CloudUse(NamedTuple):
    """Per query of the whole demand, local ones included."""

    scale: float
    """Joules of a cloud query over those it was measured with, averaged over the day."""
    seconds_scale: float
    standby_j: float
    machines: int
    in_flight_peak: float
    beyond: bool
    """Some bin's load is outside the measured points."""


class LocalUse(NamedTuple):
    taken: float
    """Share of the queries sent to local devices that they can take."""
    standby_j: float
    """Per query of the whole demand."""
    devices: int
    busy: float
    """Mean over the day."""
    wait_s: float | None
    """Mean wait for a device in the busiest bin (Erlang C). None: too many devices to matter."""
    spilled_per_s: Floats
    """By bin: what goes to the cloud instead."""


def use_cloud(plant: CloudPlant, demand: Demand, rates: Floats) -> CloudUse:
    """`rates`: queries per second that reach the cloud, by bin of `demand`."""
    curve = plant.curve
    total = float(rates.sum())
    full = curve.per_s(plant.full_at)
    peak = float(rates.max())
    machines = plant.machines if plant.machines is not None else math.ceil(peak / full - 1e-9)
    if total <= 0.0 or machines == 0:
        return CloudUse(1.0, 1.0, _standby(machines, plant, demand), machines, 0.0, False)
    each = rates / machines
    loads = curve.in_flight_at(each)
    lowest = curve.points[0].per_s
    idle = float(np.maximum(0.0, 1.0 - each / lowest).sum()) * machines * plant.standby_w
    joules = curve.energy_j(loads) / curve.energy_j(plant.measured_at)
    longer = curve.seconds(loads) / curve.seconds(plant.measured_at)
    top = curve.rising[-1].per_s
    return CloudUse(
        scale=float(rates @ joules) / total,
        seconds_scale=float(rates @ longer) / total,
        standby_j=idle * demand.bin_s / demand.queries,
        machines=machines,
        in_flight_peak=float(loads.max()),
        beyond=curve.beyond(plant.full_at)
        or curve.beyond(plant.measured_at)
        or float(each.max()) > top * (1 + 1e-9),
    )


def _standby(machines: int, plant: CloudPlant, demand: Demand) -> float:
    seconds = len(demand.per_s) * demand.bin_s
    return machines * plant.standby_w * seconds / demand.queries


def use_local(plant: LocalPlant, demand: Demand, rates: Floats, seconds: float) -> LocalUse:
    """`rates`: queries per second sent to local devices, each busy for `seconds`."""
    offered = rates * seconds
    peak = float(offered.max())
    devices = plant.devices if plant.devices is not None else math.ceil(peak / plant.busiest - 1e-9)
    taken = np.minimum(offered, devices)
    total = float(offered.sum())
    idle = float((devices - taken).sum()) * plant.standby_w
    return LocalUse(
        taken=float(taken.sum()) / total if total > 0 else 1.0,
        standby_j=idle * demand.bin_s / demand.queries,
        devices=devices,
        busy=float(taken.mean()) / devices if devices else 0.0,
        wait_s=_wait(devices, peak, seconds),
        spilled_per_s=(offered - taken) / seconds if seconds > 0 else np.zeros_like(rates),
    )


def _wait(devices: int, offered: float, seconds: float) -> float | None:
    if devices > _MOST_SERVERS or offered >= devices:
        return None
    return erlang_c(devices, offered) * seconds / (devices - offered) if devices else 0.0


def erlang_c(servers: int, offered: float) -> float:
    """Probability that a query waits: Poisson arrivals, exponential service, one queue (M/M/c).

    `offered`: arrivals per second × seconds of service, less than `servers`. Erlang (1917), by the
    recursion of his loss formula, which does not overflow.
    """
    if not 0 <= offered < servers:
        msg = f"a queue is steady only where 0 ≤ offered < servers, got {offered} and {servers}"
        raise ValueError(msg)
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))
