"""What sensors say, as records: offered from `core.records` with the others.

Missing is None, never 0 or −1. Times are monotonic nanoseconds of the run (see `clock`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from perwatt.core.estimate import Grade

__all__ = ["Boundary", "Domain", "PowerSample", "Reading", "SensorTiming"]

Boundary = Literal["accelerator", "package", "system"]
"""Which domains a joule figure covers."""


class Domain(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a sensor measures, and how far it can be trusted."""

    name: str
    """`gpu0`, `package-0`, `dram-0`, `soc`, `wall`."""
    kind: Literal["counter", "gauge"]
    boundary: Boundary
    source: str
    """The sensor's name, such as `rapl`."""
    grade: Grade
    device: str
    """For a person: `AMD EPYC 9354 (2 of its threads)`."""
    wrap_j: float | None = None
    """Counter range: it starts again from 0 here. None: it never wraps."""
    max_power_w: float | None = None
    """More than this is implausible. None: unknown."""
    gain_low: float = 1.0
    gain_high: float = 1.0
    """The true joules lie in [gain_low, gain_high] × the reading, 95%."""
    covers: tuple[str, ...] = ()
    """Names of other domains whose joules are inside this one's: never summed with it."""
    duty: float | None = None
    """Share of the time in which its device truly looks at its power; None: always, or not known.
    A quarter on A100 and H100 (arXiv 2312.02741)."""
    power_window_s: float | None = None
    """Its `power_w` is a mean over so many seconds; None: of the moment, or not known."""
    note: str | None = None
    """Scope in words: what is in it, what is not."""


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """One look at one domain, as the device gave it. A failed read is `error`, never a 0."""

    domain: str
    t_ns: int
    """The middle of the read; for a source that dates its own values, their date on our clock."""
    counter_j: float | None = None
    """Raw, wraps included."""
    power_w: float | None = None
    utilization: float | None = None
    """Share, 0 to 1."""
    memory_bytes: int | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    power_average_w: float | None = None
    """The device's own running mean, where it offers one beside `power_w`."""
    power_limit_w: float | None = None
    throttle: tuple[str, ...] = ()
    """Why clocks are held down now: `sw-power-cap`, `hw-thermal`, `hw-power-brake` …"""
    clock_error_ns: int | None = None
    """How far `t_ns` may be off, where another machine's clock dated it. None: our own clock."""
    error: str | None = None


class SensorTiming(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one domain behaves in time, measured when sampling starts."""

    domain: str
    tick_s: float | None = None
    """Median seconds between changes of its value; None: it did not change while looked at."""
    tick_high_s: float | None = None
    """95th percentile of the same."""
    changes: int = 0
    read_s: float | None = None
    """Median seconds that one read takes."""
    lag_s: float | None = None
    """How long after a step of power the value follows; None: no step was seen."""
    lag_error_s: float | None = None
    """95% half-width of `lag_s`."""


class PowerSample(msgspec.Struct, frozen=True, array_like=True):
    """A reading after the sampler: unwrapped, checked. A row of power.parquet."""

    t_ns: int
    domain: str
    counter_j: float | None
    """Joules since the sampler started; None for a gauge or a failed read."""
    power_w: float | None
    utilization: float | None = None
    memory_bytes: int | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    flag: str | None = None
    """Why the sample is not to be trusted: `read-failed`, `reset`, `implausible` …"""
    power_average_w: float | None = None
    power_limit_w: float | None = None
    throttle: str | None = None
    """Reasons joined by commas; None: none."""
    clock_error_ns: int | None = None
