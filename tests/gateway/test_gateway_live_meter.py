from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perwatt.core.clock import now_ns
from perwatt.core.records import Domain, PowerSample
from perwatt.gateway.live_meter import LiveMeter, thinned
from perwatt.gateway.stretches import Stretches
from perwatt.sensors.picked import Picked
from perwatt.store.lines import Power

S = 1_000_000_000


def test_at_rest_a_counter_is_kept_once_and_whatever_is_flagged_or_a_gauge_always() -> None:
    samples = [
        PowerSample(1, "a", 1.0, None),
        PowerSample(1, "g", None, 5.0),
        PowerSample(2, "a", 2.0, None, flag="reset"),
        PowerSample(3, "a", 3.0, None),
        PowerSample(3, "b", 1.0, None),
        PowerSample(4, "g", None, None, flag="read-failed"),
    ]
    assert [(s.t_ns, s.domain) for s in thinned(samples)] == [
        (1, "g"),
        (2, "a"),
        (3, "a"),
        (3, "b"),
        (4, "g"),
    ]


class Samples:
    """A sampler that gives what it is told to."""

    def __init__(self) -> None:
        self.waiting: list[PowerSample] = []

    def drain(self) -> list[PowerSample]:
        samples, self.waiting = self.waiting, []
        return samples


def metered(sampler: Any, journal: list[Any]) -> LiveMeter:
    domain = Domain(
        name="package-0", kind="counter", boundary="package", source="rapl", grade="B", device="d"
    )
    picked = Picked(probed=[(sampler, (domain,))], boundary="package", grade="B", tried=())
    stretches = Stretches(journal.append, 1, "pair")
    stretches.idle(0)
    return LiveMeter(picked, sampler, journal.append, stretches, 1, "RAPL")


def test_idle_is_what_was_drawn_while_nobody_was_in_flight_and_nothing_was_settling() -> None:
    async def scene() -> None:
        sampler, journal = Samples(), list[Any]()
        meter = metered(sampler, journal)
        start = now_ns()

        def draw(from_s: float, to_s: float, watts: float, so_far: float) -> float:
            steps = round((to_s - from_s) * 20)
            for n in range(steps + 1):
                t_s = from_s + n / 20
                joules = so_far + watts * (t_s - from_s)
                sampler.waiting.append(
                    PowerSample(start + round(t_s * S), "package-0", joules, None)
                )
            return so_far + watts * (to_s - from_s)

        joules = draw(0.0, 2.0, 20.0, 0.0)
        meter.take_over()
        assert meter.ledger.idle_power_w == pytest.approx(20.0)
        one = await meter.begin("one", start + 2 * S, 10.0)
        joules = draw(2.0, 3.0, 80.0, joules)
        meter.end(one, start + 3 * S)
        told = meter.told(one, start + 3 * S)
        assert told.energy_j == pytest.approx(80.0, rel=0.01)
        assert told.energy_net_j == pytest.approx(60.0, rel=0.01)
        # Half a second after it the device still draws more: that is no idle.
        joules = draw(3.0, 3.5, 60.0, joules)
        draw(3.5, 5.5, 30.0, joules)
        meter.take_over()
        assert meter.ledger.idle_power_w == pytest.approx(25.0, rel=0.05)
        assert meter.asked("one") is not None
        assert meter.asked("two") is None
        await meter.close()
        samples = [s for r in journal if isinstance(r, Power) for s in r.samples]
        assert samples[-1].counter_j == pytest.approx(joules + 60.0)

    asyncio.run(scene())


def test_without_a_sensor_there_are_no_joules_and_a_reason() -> None:
    async def scene() -> None:
        journal: list[Any] = []
        stretches = Stretches(journal.append, 1, "pair")
        meter = LiveMeter(None, None, journal.append, stretches, 1, "Energy is UNKNOWN: far away.")
        one = await meter.begin("one", now_ns(), 10.0)
        meter.end(one, now_ns())
        told = meter.told(one, now_ns())
        assert (told.energy_j, told.low_j, told.grade) == (None, None, None)
        assert told.reason == "Energy is UNKNOWN: far away."
        assert meter.baseline() is None
        await meter.close()

    asyncio.run(scene())
