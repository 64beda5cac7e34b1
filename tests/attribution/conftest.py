"""A small closed loop on an emulated device, as a client and a counter see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from emulated.device import Device, counter
from emulated.load import Load, mixed, serve
from perwatt.attribution.asked import asked_of, prefill_begins
from perwatt.attribution.idle import Idle, idle_power
from perwatt.attribution.integrate import Curve, counter_curve
from perwatt.core.protocols import Asked


class Measured(NamedTuple):
    """A load and what was seen of it."""

    load: Load
    curve: Curve
    idle: Idle
    asked: Asked


Measure = Callable[..., Measured]


@pytest.fixture
def measure() -> Measure:
    """Serve requests on a device and read its counter at 100 Hz."""

    def run(
        device: Device | None = None,
        *,
        seed: int = 0,
        n: int = 40,
        in_flight: int = 8,
        tick_s: float = 0.02,
        lag_s: float = 0.0,
        duty: float = 1.0,
        gain: float = 1.0,
    ) -> Measured:
        rng = np.random.default_rng(seed)
        device = device or Device()
        load = serve(rng, device, mixed(rng, device, n, in_flight), in_flight, idle_s=5.0)
        reads = np.arange(load.truth.t_ns[0], load.truth.t_ns[-1], 10_000_000)
        shown = counter(load.truth, reads, tick_s=tick_s, lag_s=lag_s, duty=duty, gain=gain)
        curve = counter_curve(Curve(reads, shown, np.ones(len(reads) - 1, dtype=np.bool_)))
        idle = idle_power(curve, [(int(reads[0]), load.load_ns[0] - 1)])
        assert idle is not None
        wanted = load.wanted
        new = (wanted.prompt - wanted.cached).astype(np.float64)
        asked = asked_of(
            load.start_ns,
            load.first_chunk_ns,
            load.end_ns,
            prefill_ns=prefill_begins(load.start_ns, load.first_chunk_ns, new),
            prompt_tokens=wanted.prompt,
            cached_tokens=wanted.cached,
            completion_tokens=wanted.output,
            chunk_ns=load.chunk_ns,
            chunk_at=load.chunk_at,
        )
        return Measured(load, curve, idle, asked)

    return run
