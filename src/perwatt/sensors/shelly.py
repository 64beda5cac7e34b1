"""Shelly plugs and relays with a meter, over HTTP: wall power and energy, grade A.

Gen1: `GET /status`, `meters[]` with `power` (W) and `total` (W·min), shelly-api-docs.shelly.cloud/
gen1. Gen2 and later: `GET /rpc/Switch.GetStatus?id=N` (or `PM1.GetStatus`) with `apower` (W) and
`aenergy.total` (Wh, three decimals), …/gen2/ComponentsAndServices/Switch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.http_meter import Answer, HttpMeter
from perwatt.sensors.http_meter_address import parse_address
from perwatt.sensors.http_meter_auth import credentials_from
from perwatt.sensors.poller import Opened, PolledSensor

__all__ = ["ShellySensor"]

OUTLET_W = 4_000.0
"""A plug of 16 A at 250 V."""
GAIN_GEN1 = (0.95, 1.05)
GAIN_GEN2 = (0.97, 1.03)
"""No figure from the vendor. Tuya's metering guide gives 5% for the pulse-counting chips of the
first generation (HLW8012, BL0937) and 3% for serial ones (BL0942): developer.tuya.com, Energy
Metering, "Sampling accuracy"."""
WH_STEP_J = 3.6
W_MIN_STEP_J = 60.0
LOAD_W = 5.0
"""From this power on, a live counter moves more than once a second."""


class _Info(msgspec.Struct):
    gen: int = 1
    model: str | None = None
    type: str | None = None


class _Gen1Meter(msgspec.Struct):
    power: float | None = None
    is_valid: bool = True
    total: float | None = None


class _Gen1Status(msgspec.Struct):
    meters: list[_Gen1Meter] = []


class _Energy(msgspec.Struct):
    total: float | None = None


class _Component(msgspec.Struct):
    apower: float | None = None
    aenergy: _Energy | None = None


class _Seen(NamedTuple):
    power_w: float
    counter_j: float | None
    answer: Answer


class ShellySensor(PolledSensor):
    """`shelly:HOST`, with `?channel=N` on one of several meters.

    The energy counter is read where it is fine (0.001 Wh) and seen to move during the probe, else
    the power gauge: some firmware sums up only once a minute. `?kind=` forces one of the two. The
    password comes from PERWATT_SHELLY_PASSWORD, the user is `admin`.
    """

    def __init__(self, address: str | None = None, watch_s: float = 3.0) -> None:
        """`watch_s`: longest look at the counter, once for each sensor object."""
        super().__init__(address)
        self._watch_s = watch_s
        self._live: bool | None = None
        self._target = ""
        self._gen = 1
        self._channel = 0

    def open(self) -> Opened:
        address = parse_address("shelly", self.address, options=("channel", "kind"), example="HOST")
        forced = address.choice("kind", ("counter", "gauge"))
        wanted = address.options.get("channel")
        # Basic over plain HTTP is all that the first generation has.
        credentials = credentials_from("shelly", "admin", basic=True)
        meter = self.device = HttpMeter(address, credentials=credentials)
        info = meter.json(meter.get("/shelly"), _Info)
        self._gen = info.gen
        self._find(meter, wanted)
        seen = self._ask(meter)
        if forced is None and self._live is None:
            self._live = info.gen >= 2 and self._moves(meter, seen)
        counter = forced == "counter" or (forced is None and bool(self._live))
        kind: Literal["counter", "gauge"] = "counter" if counter else "gauge"
        name = address.options.get("domain", "wall")
        gain = GAIN_GEN1 if info.gen == 1 else GAIN_GEN2
        device = info.model or info.type or "Shelly"
        domain = Domain(
            name=name,
            kind=kind,
            boundary="system",
            source="shelly",
            grade="A",
            device=f"Shelly {device} at {address.host}",
            max_power_w=OUTLET_W,
            gain_low=gain[0],
            gain_high=gain[1],
            note=self._note(kind),
        )

        def ask() -> Sequence[Reading]:
            return (_reading(name, kind, self._ask(meter)),)

        period_s = address.number("period", 0.5, 0.05, 60.0)
        return Opened((domain,), ask, period_s, (_reading(name, kind, seen),))

    def _find(self, meter: HttpMeter, wanted: str | None) -> None:
        """Which meter of the device, and where it is asked."""
        if self._gen == 1:
            status = meter.json(meter.get("/status"), _Gen1Status)
            found = {str(index): "/status" for index in range(len(status.meters))}
        else:
            parts = meter.json(meter.get("/rpc/Shelly.GetStatus"), dict[str, msgspec.Raw])
            found = {}
            for key, raw in parts.items():
                name, _, channel = key.partition(":")
                method = {"switch": "Switch", "pm1": "PM1"}.get(name)
                if method and b'"apower"' in bytes(raw):
                    found.setdefault(channel, f"/rpc/{method}.GetStatus?id={channel}")
        if not found:
            msg = f"{meter.named} has no power meter."
            raise SensorUnavailableError(msg, "A Shelly Plug S or one of the PM devices has.")
        if wanted is None and len(found) > 1:
            msg = f"{meter.named} has {len(found)} meters."
            raise SensorUnavailableError(msg, f"Name one: ?channel={' or '.join(found)}.")
        channel = next(iter(found)) if wanted is None else wanted
        if channel not in found:
            msg = f"{meter.named} has no meter {channel!r}."
            raise SensorUnavailableError(msg, f"It has: {', '.join(found)}.")
        self._target, self._channel = found[channel], int(channel)

    def _ask(self, meter: HttpMeter) -> _Seen:
        answer = meter.get(self._target)
        if self._gen >= 2:
            now = meter.json(answer, _Component)
            power_w, total = now.apower, now.aenergy.total if now.aenergy else None
            counter_j = None if total is None else total * 3600
        else:
            meters = meter.json(answer, _Gen1Status).meters
            mine = meters[self._channel] if self._channel < len(meters) else _Gen1Meter()
            power_w = mine.power if mine.is_valid else None
            counter_j = mine.total * 60 if mine.is_valid and mine.total is not None else None
        if power_w is None:
            msg = f"{meter.named} gives no valid power now."
            raise SensorUnavailableError(msg, "See that the plug itself shows watts.")
        return _Seen(power_w, counter_j, answer)

    def _moves(self, meter: HttpMeter, seen: _Seen) -> bool:
        """Does the counter change twice within the watch, while power flows?"""
        changes, last = 0, seen.counter_j
        until = time.monotonic() + self._watch_s
        while seen.power_w >= LOAD_W and time.monotonic() < until:
            time.sleep(min(0.2, self._watch_s / 10))
            seen = self._ask(meter)
            changes += seen.counter_j != last
            last = seen.counter_j
            if changes == 2:
                return last is not None
        return False

    def _note(self, kind: str) -> str:
        step_j = W_MIN_STEP_J if self._gen == 1 else WH_STEP_J
        if kind == "counter":
            return f"counter in steps of {step_j:g} J; the plug refreshes about once a second"
        why = "too coarse" if self._gen == 1 else "not seen to move within the probe"
        return f"power, about once a second; its counter (steps of {step_j:g} J) is {why}"


def _reading(name: str, kind: str, seen: _Seen) -> Reading:
    return Reading(
        domain=name,
        t_ns=seen.answer.t_ns,
        counter_j=seen.counter_j if kind == "counter" else None,
        power_w=seen.power_w,
        clock_error_ns=seen.answer.clock_error_ns,
    )
