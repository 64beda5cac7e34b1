"""Every trap: stepped into once on arrays, and never raised on a clean run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.attribution.traps import (
    TRAPS,
    Attempt,
    Found,
    Look,
    Mark,
    find_traps,
    verdicts_of,
)
from perwatt.core.records import Domain, Phase, PowerSample, Reading, SensorTiming
from perwatt.sensors.sampler_changes import ChangePoints
from perwatt.sensors.unwrap import Unwrapper

S = 1_000_000_000
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A run on one device: idle, load, idle, and what is done to its readings before we see them.

    `watts` are drawn while requests run, which follow one another with `gap_s` between.
    """

    kind: str = "counter"
    hz: float = 20.0
    tick_s: float = 0.1
    idle_s: float = 5.0
    load_s: float = 30.0
    request_s: float = 1.7
    gap_s: float = 0.013
    in_flight: int = 1
    idle_w: float = 70.0
    watts: Callable[[Floats], Floats] = lambda t: np.full(len(t), 300.0)
    quantum_j: float = 0.001
    temperature_c: Callable[[float], float] = lambda t_s: 40.0
    beside_w: float | None = 1.0
    """Power readings of a counter as a multiple of the truth; None: it has none."""
    domain: dict[str, Any] = field(default_factory=dict)
    spoil: Callable[[list[Reading]], list[Reading]] = list
    throttle: tuple[str, ...] = ()

    def truth(self) -> tuple[Floats, Floats, Floats]:
        """(seconds, watts, joules so far) every half millisecond."""
        end_s = 2 * self.idle_s + self.load_s
        t = np.arange(0.0, end_s + 0.0005, 0.0005)
        busy = (t >= self.idle_s) & (t < self.idle_s + self.load_s)
        watts = np.where(busy, self.watts(t), self.idle_w)
        return t, watts, np.concatenate(([0.0], np.cumsum(watts[:-1] * 0.0005)))

    def readings(self) -> list[Reading]:
        t, watts, joules = self.truth()
        at_s = np.arange(0.001, t[-1], 1 / self.hz)
        seen_s = np.floor(at_s / self.tick_s) * self.tick_s
        counts = np.floor(np.interp(seen_s, t, joules) / self.quantum_j) * self.quantum_j
        power = watts[np.minimum(np.round(at_s / 0.0005).astype(int), len(t) - 1)]
        counter = self.kind == "counter"
        readings = []
        for k, second in enumerate(at_s):
            busy = self.idle_s <= second < self.idle_s + self.load_s
            beside = None if self.beside_w is None else float(power[k]) * self.beside_w
            readings.append(
                Reading(
                    domain="gpu0",
                    t_ns=round(second * S),
                    counter_j=float(counts[k]) if counter else None,
                    power_w=beside if counter else float(power[k]),
                    temperature_c=self.temperature_c(float(second)),
                    throttle=self.throttle if busy else (),
                )
            )
        return self.spoil(readings)

    def look(self, **more: Any) -> Look:
        base: dict[str, Any] = {
            "name": "gpu0",
            "kind": self.kind,
            "boundary": "accelerator",
            "source": "nvml",
            "grade": "B",
            "device": "a GPU",
            "max_power_w": 700.0,
        }
        domain = Domain(**{**base, **self.domain})
        start, end = round(self.idle_s * S), round((self.idle_s + self.load_s) * S)
        last = round((2 * self.idle_s + self.load_s) * S)
        fields: dict[str, Any] = {
            "domains": (domain,),
            "counted": ("gpu0",),
            "samples": sampled(domain, self.readings()),
            "phases": (
                phase("bare_idle", 0, start, None),
                phase("load", start, end, "m"),
                phase("after_idle", end, last, "m"),
            ),
            "marks": self.marks(),
        }
        return Look(**{**fields, **more})

    def marks(self) -> tuple[Mark, ...]:
        step = self.request_s + self.gap_s
        result = []
        for slot in range(self.in_flight):
            begin = self.idle_s + slot * step / self.in_flight
            while begin + self.request_s <= self.idle_s + self.load_s:
                span = round(begin * S), round((begin + self.request_s) * S)
                result.append(Mark("m", *span))
                begin += step
        return tuple(result)


def sampled(domain: Domain, readings: Sequence[Reading], stalled: int | None = None) -> list[Any]:
    """What the sampler makes of readings. `stalled`: the one for which it was late."""
    unwrapper, changes = Unwrapper(domain), ChangePoints(domain)
    samples: list[PowerSample] = []
    for k, reading in enumerate(readings):
        samples += changes.take(unwrapper.take(reading, k == stalled), edge=False)
    return samples


def phase(kind: str, start: int, end: int, pair: str | None, share: float = 0.01) -> Phase:
    return Phase(
        phase_id=kind,
        kind=kind,  # type: ignore[arg-type]
        session=1,
        pair_id=pair,
        start_ns=start,
        end_ns=end,
        neighbour_share=share,
    )


def spoil(change: Callable[[int, Reading], Reading | None]) -> Callable[[list[Reading]], Any]:
    """Change single readings, numbered from 0; None takes one out."""

    def whole(readings: list[Reading]) -> list[Reading]:
        changed = [change(k, reading) for k, reading in enumerate(readings)]
        return [reading for reading in changed if reading is not None]

    return whole


def at(numbers: range | set[int], **fields: Any) -> Callable[[list[Reading]], list[Reading]]:
    return spoil(lambda k, r: msgspec.structs.replace(r, **fields) if k in numbers else r)


def wrapping(range_j: float) -> Callable[[list[Reading]], list[Reading]]:
    return spoil(lambda _, r: msgspec.structs.replace(r, counter_j=(r.counter_j or 0) % range_j))


def restarted(k: int, reading: Reading) -> Reading:
    joules = reading.counter_j or 0.0
    return msgspec.structs.replace(reading, counter_j=joules - 3000.0 if k > 300 else joules)


def frozen(readings: list[Reading]) -> list[Reading]:
    stuck = readings[300].counter_j
    return at(range(300, 400), counter_j=stuck)(readings)


def shifted(t_ns: int) -> Callable[[list[Reading]], list[Reading]]:
    return spoil(lambda k, r: msgspec.structs.replace(r, t_ns=r.t_ns - t_ns) if k >= 300 else r)


def beside(name: str, scene: Scene, **domain: Any) -> Callable[..., Look]:
    """Two GPUs: `gpu0` of the default scene, and another."""

    def make(**more: Any) -> Look:
        first = Scene().look()
        other = replace(scene, domain={"name": name, **domain})
        own = replace(
            other,
            spoil=spoil(lambda _, r: msgspec.structs.replace(r, domain=name)),
        ).look()
        both = {"domains": first.domains + own.domains, "samples": [*first.samples, *own.samples]}
        return msgspec.structs.replace(first, **both, **more)

    return make


def quiet(t: Floats) -> Floats:
    return np.full(len(t), 70.0)


def swinging(t: Floats) -> Floats:
    """A device that is read a quarter of the time: equal requests by chance dear or cheap."""
    hit = np.random.default_rng(3).random(int(t[-1] / 1.713) + 2) < 0.5
    return np.where(hit[(np.maximum(t - 5.0, 0) / 1.713).astype(int)], 450.0, 150.0)


def equal_work() -> Look:
    look = Scene(watts=swinging).look()
    marks = tuple(mark._replace(work="same") for mark in look.marks)
    return msgspec.structs.replace(look, marks=marks)


def hot(t_s: float) -> float:
    return 40.0 if t_s < 17 else 62.0


def tried(reason: str) -> Look:
    domain = Domain(
        name="package-0", kind="counter", boundary="package", source="estimated", grade="D",
        device="CPU",
    )  # fmt: skip
    attempt = Attempt("rapl", False, reason, "Do this.")
    return Look(domains=(domain,), counted=(), samples=[], phases=(), tried=(attempt,))


def overlapping() -> Look:
    make = beside("psys", Scene(), covers=("gpu0",), boundary="package")
    return make(counted=("gpu0", "psys"))


def stale() -> Look:
    look = Scene().look()
    early = phase("bare_idle", -2000 * S, -1990 * S, None)
    return msgspec.structs.replace(look, phases=(early, look.phases[1]))


def hotter_idle() -> Look:
    scene = Scene(idle_w=100.0)
    look = scene.look()
    before = phase("loaded_idle", 0, 5 * S, "m")
    cold = spoil(
        lambda k, r: msgspec.structs.replace(
            r, counter_j=(r.counter_j or 0.0) - min(r.t_ns / S, 5.0) * 40.0
        )
    )
    other = replace(scene, spoil=cold).look()
    return msgspec.structs.replace(other, phases=(before, *look.phases[1:]))


def stalled() -> Look:
    scene = Scene(spoil=spoil(lambda k, r: None if 300 <= k < 320 else r))
    look = scene.look()
    samples = sampled(look.domains[0], scene.readings(), stalled=300)
    return msgspec.structs.replace(look, samples=samples)


def failing_to_the_end() -> Look:
    look = Scene(spoil=at(range(500, 10_000), error="gone")).look()
    last = PowerSample(40 * S, "gpu0", None, None, flag="sensor-died")
    return msgspec.structs.replace(look, samples=[*look.samples, last])


STEPPED_INTO: dict[str, Sequence[Callable[[], Look]]] = {
    "wrap": [lambda: Scene(spoil=wrapping(5000.0), domain={"wrap_j": 5000.0}).look()],
    "wrap-unseen": [
        lambda: Scene(
            spoil=lambda r: wrapping(5000.0)([x for x in r if not 10 < x.t_ns / S < 28]),
            domain={"wrap_j": 5000.0},
        ).look()
    ],
    "reset": [lambda: Scene(spoil=spoil(restarted)).look()],
    "frozen-counter": [
        lambda: Scene(spoil=frozen).look(),
        lambda: Scene(spoil=at(range(10_000), counter_j=123.0)).look(),
    ],
    "backwards": [lambda: Scene(spoil=at({300, 340}, counter_j=100.0)).look()],
    "zero-reads": [
        lambda: Scene(spoil=at({300}, counter_j=0.0)).look(),
        lambda: Scene(kind="gauge", spoil=at({300}, power_w=0.0)).look(),
    ],
    "absurd-value": [
        lambda: Scene(spoil=at({300}, counter_j=float("nan"))).look(),
        lambda: Scene(spoil=at({300}, counter_j=9e12)).look(),
        lambda: Scene(kind="gauge", spoil=at({300}, power_w=-4.0)).look(),
    ],
    "read-failures": [lambda: Scene(spoil=at({300, 301}, error="gone")).look()],
    "averaged-power": [
        lambda: Scene(kind="gauge", domain={"power_window_s": 1.0}).look(),
        lambda: Scene(kind="gauge").look(
            timings=(SensorTiming(domain="gpu0", lag_s=0.5, lag_error_s=0.05),)
        ),
    ],
    "duty-aliasing": [
        equal_work,
        lambda: Scene(hz=100, request_s=0.9, gap_s=0.1, load_s=60.0).look(),
    ],
    "tick-longer-than-request": [
        lambda: Scene(request_s=0.06).look(),
        lambda: Scene(kind="gauge", hz=1.0, request_s=0.5).look(),
    ],
    "too-few-ticks": [
        lambda: Scene(load_s=1.5, request_s=0.3).look(),
        lambda: Scene(kind="gauge", hz=1.0, load_s=12.0).look(),
    ],
    "counter-power-mismatch": [
        lambda: Scene(beside_w=1.1).look(),
        lambda: Scene(beside_w=0.57, idle_s=15.0).look(),
    ],
    "sibling-gpu": [
        lambda: Scene().look(hosting=("gpu7",)),
        lambda: beside("gpu1", Scene(watts=quiet))(counted=("gpu0", "gpu1")),
        lambda: beside("gpu1", Scene())(counted=("gpu0",)),
    ],
    "overlapping-zones": [overlapping],
    "rapl-unreadable": [
        lambda: tried("RAPL is here, but /x/energy_uj is readable by root alone (CVE-2020-8694)."),
        lambda: tried("RAPL zones are listed in /x, but hidden from this process."),
    ],
    "rapl-absent": [lambda: tried("No RAPL: /x is absent, as in most virtual machines.")],
    "stale-baseline": [stale],
    "idle-above-load": [lambda: Scene(idle_w=320.0).look()],
    "throttling": [
        lambda: Scene(throttle=("hw-thermal",)).look(),
        lambda: Scene(throttle=("sw-power-cap", "sync-boost")).look(),
    ],
    "hot-start": [lambda: Scene(temperature_c=hot, idle_s=20.0).look(), hotter_idle],
    "neighbour-load": [
        lambda: Scene().look(phases=(phase("load", 5 * S, 35 * S, "m", share=0.3),)),
    ],
    "clock-step": [lambda: Scene(spoil=shifted(3 * S)).look()],
    "clock-unsynced": [lambda: Scene(spoil=at(range(10_000), clock_error_ns=S)).look()],
    "sampler-stalled": [stalled],
    "sensor-died": [
        failing_to_the_end,
        lambda: Scene(spoil=spoil(lambda k, r: r if k < 400 else None)).look(),
    ],
    "scope-module": [
        lambda: Scene(domain={"device": "NVIDIA GH200 480GB"}).look(),
        lambda: Scene(domain={"note": "the whole module: CPU, GPU and memory"}).look(),
    ],
    "mig-shared": [lambda: Scene(domain={"note": "MIG is on, and every slice is in it"}).look()],
    "vm-estimate": [
        lambda: Scene(domain={"grade": "D", "note": "this guest's vCPUs as threads"}).look(),
    ],
}

CASES = [(code, k) for code, makes in STEPPED_INTO.items() for k in range(len(makes))]


def codes(look: Look) -> set[str]:
    return {each.code for each in find_traps(look)}


@pytest.mark.parametrize(("code", "k"), CASES)
def test_each_trap_is_found_and_says_so_in_one_sentence(code: str, k: int) -> None:
    look = STEPPED_INTO[code][k]()
    every = find_traps(look)
    mine = [each for each in every if each.code == code]
    assert mine, f"found only {[each.code for each in every]}"
    for each in mine:
        assert each.severity == TRAPS[code].severity
        assert "{" not in each.sentence + each.mend
        assert "nan" not in each.sentence
        assert each.sentence[-1] in ".:"
        assert each.mend.endswith(".")
        assert all(np.isfinite(value) for value in each.numbers.values())
    assert find_traps(look) == every


def test_there_are_twenty_traps_and_each_is_tried() -> None:
    assert set(STEPPED_INTO) == set(TRAPS)
    assert len(TRAPS) >= 20


def test_a_single_fault_raises_little_else() -> None:
    """What is found beside must follow from the fault itself."""
    also = {
        "frozen-counter": {"too-few-ticks"},
        "wrap-unseen": {"wrap", "counter-power-mismatch"},
        "sensor-died": {"read-failures"},
    }
    alone = ["wrap", "reset", "backwards", "zero-reads", "absurd-value", "read-failures",
             "averaged-power", "counter-power-mismatch", "throttling", "clock-unsynced",
             "scope-module", "mig-shared", "neighbour-load", "overlapping-zones"]  # fmt: skip
    for code in [*alone, *also]:
        for make in STEPPED_INTO[code]:
            assert codes(make()) <= {code} | also.get(code, set()), code


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["counter", "gauge"]),
    tick_s=st.sampled_from([0.001, 0.0077, 0.02, 0.1]),
    hz=st.sampled_from([10.0, 20.0, 50.0]),
    quantum_j=st.sampled_from([0.001, 15.3e-6]),
    load_s=st.sampled_from([5.5, 11.3, 20.0]),
    request_s=st.floats(0.5, 5.0),
    in_flight=st.sampled_from([1, 3, 8]),
    idle_w=st.sampled_from([0.0, 4.0, 70.0]),
    over_w=st.sampled_from([1.0, 20.0, 400.0]),
    seed=st.integers(0, 99),
)
def test_a_clean_run_raises_none(
    kind: str, tick_s: float, hz: float, quantum_j: float, load_s: float, request_s: float,
    in_flight: int, idle_w: float, over_w: float, seed: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.05 * over_w, 200_000)
    scene = Scene(
        kind=kind,
        tick_s=tick_s,
        hz=hz,
        quantum_j=quantum_j,
        load_s=load_s,
        request_s=request_s,
        gap_s=float(rng.uniform(0.003, 0.05)),
        in_flight=in_flight,
        idle_w=idle_w,
        watts=lambda t: idle_w + over_w + noise[: len(t)],
    )
    look = scene.look()
    ragged = [m._replace(end_ns=m.end_ns + int(rng.integers(0, S // 5))) for m in look.marks]
    drift = np.cumsum(rng.integers(0, S // 10, len(ragged)))
    if in_flight == 1:  # answers differ in length, as they do
        ragged = [
            m._replace(start_ns=m.start_ns + int(d), end_ns=m.end_ns + int(d))
            for m, d in zip(look.marks, drift, strict=True)
        ]
        ragged = [m for m in ragged if m.end_ns <= look.phases[1].end_ns]  # type: ignore[operator]
    found = find_traps(msgspec.structs.replace(look, marks=tuple(ragged)))
    assert found == ()


def test_traps_come_gravest_first_and_as_one_verdict_each() -> None:
    look = Scene(
        spoil=lambda readings: at({300}, counter_j=0.0)(frozen(readings)),
        domain={"device": "NVIDIA GH200"},
    ).look()
    every = find_traps(look)
    order = ["invalid", "warning", "note"]
    assert [order.index(each.severity) for each in every] == sorted(
        order.index(each.severity) for each in every
    )
    twice = [*every, msgspec.structs.replace(every[0], domain="gpu1")]
    verdicts = verdicts_of(twice)
    assert len(verdicts) == len({(each.code, each.pair_id) for each in twice})
    assert verdicts[0].code == every[0].code
    assert verdicts[0].sentence == f"{every[0].sentence} The same holds for gpu1."


def test_nothing_to_look_at_is_no_trap() -> None:
    assert find_traps(Look(domains=(), counted=(), samples=[], phases=())) == ()
    bare = Scene().look()
    assert find_traps(msgspec.structs.replace(bare, samples=[], marks=())) == ()
    assert find_traps(msgspec.structs.replace(bare, phases=())) == ()


def test_a_found_trap_survives_json() -> None:
    for each in find_traps(Scene(spoil=spoil(restarted)).look()):
        assert msgspec.json.decode(msgspec.json.encode(each), type=Found) == each
