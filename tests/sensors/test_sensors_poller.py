"""A slow meter's thread: never in the sampler's way, never dead, never unbounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Reading
from perwatt.sensors.poller import Poller
from tests.sensors.real_time import until


class Stuck:
    """A device whose questions wait until they are abandoned."""

    def __init__(self) -> None:
        self.gone = threading.Event()
        self.closed = 0

    def abandon(self) -> None:
        self.gone.set()

    def close(self) -> None:
        self.closed += 1


def taken_of(poller: Poller, count: int) -> list[Reading]:
    """What it gives until there are so many."""
    taken: list[Reading] = []

    def more() -> bool:
        taken.extend(poller.take())
        return len(taken) >= count

    until(more)
    return taken


def test_take_does_not_wait_for_a_slow_answer_and_close_ends_it() -> None:
    device = Stuck()

    def ask() -> Sequence[Reading]:
        device.gone.wait(60)
        return ()

    poller = Poller(ask, device, ("wall",), 0.01)
    begun = time.monotonic()
    assert poller.take() == []
    assert poller.take() == []
    poller.close()
    poller.close()
    assert time.monotonic() - begun < 30
    assert device.closed == 2
    assert poller.take() == []


def test_a_failed_question_is_an_error_of_each_domain_and_the_next_is_asked() -> None:
    count = 0

    def ask() -> Sequence[Reading]:
        nonlocal count
        count += 1
        if count == 1:
            raise SensorUnavailableError("The plug is away.", "Fetch it.")
        if count == 2:
            raise KeyError("odd")
        return (Reading(domain="a", t_ns=count, power_w=1.0),)

    poller = Poller(ask, Stuck(), ("a", "b"), 0.001)
    taken = taken_of(poller, 5)
    poller.close()
    assert [(r.domain, r.error) for r in taken[:4]] == [
        ("a", "The plug is away. Fetch it."),
        ("b", "The plug is away. Fetch it."),
        ("a", "KeyError: 'odd'"),
        ("b", "KeyError: 'odd'"),
    ]
    assert taken[4].power_w == 1.0
    assert all(reading.power_w is None for reading in taken[:4])


def test_the_period_is_kept() -> None:
    poller = Poller(lambda: (Reading(domain="a", t_ns=0, power_w=1.0),), Stuck(), ("a",), 0.05)
    begun = time.monotonic()
    taken = taken_of(poller, 5)
    most = (time.monotonic() - begun) / 0.05 + 1
    poller.close()
    assert len(taken) <= most


def test_what_nobody_takes_gives_way_and_that_is_said() -> None:
    asked = 0

    def ask() -> Sequence[Reading]:
        nonlocal asked
        asked += 1
        return (Reading(domain="a", t_ns=asked, power_w=1.0),)

    poller = Poller(ask, Stuck(), ("a", "b"), 0.001, kept=3)
    poller.take()
    until(lambda: asked >= 20)
    lost_a, lost_b, *newest = poller.take()
    poller.close()
    assert (lost_a.domain, lost_b.domain) == ("a", "b")
    assert "readings were lost: nobody took them in time" in (lost_a.error or "")
    assert [reading.power_w for reading in newest] == [1.0, 1.0, 1.0]
    assert newest[0].t_ns > 10
