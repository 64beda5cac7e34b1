"""Plugs that run Tasmota, over HTTP: wall power and energy, grade A.

`GET /cm?cmnd=Status%208` gives `StatusSNS.ENERGY` with `Power` (W) and `Total` (kWh, in the
decimals of `EnergyRes`): tasmota.github.io/docs/Commands, JSON-Status-Responses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal, NamedTuple
from urllib.parse import quote

import msgspec

from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.http_meter import Answer, HttpMeter
from perwatt.sensors.http_meter_address import MeterAddress, parse_address
from perwatt.sensors.meter_resolution import FINE_J, read_figure
from perwatt.sensors.poller import Opened, PolledSensor

__all__ = ["TasmotaSensor"]

OUTLET_W = 4_000.0
"""A plug of 16 A at 250 V."""
GAIN = (0.95, 1.05)
"""5% for the pulse-counting chips of such plugs (HLW8012, BL0937): developer.tuya.com, Energy
Metering, "Sampling accuracy". One that was never calibrated (`PowerCal`) may be worse."""
PASSWORD = "PERWATT_TASMOTA_PASSWORD"


class _Energy(msgspec.Struct, rename="pascal"):
    power: float | list[float] | None = None
    total: msgspec.Raw = msgspec.Raw(b"")


class _Sensors(msgspec.Struct):
    ENERGY: _Energy | None = None  # its own spelling


class _Status(msgspec.Struct):
    StatusSNS: _Sensors | None = None
    WARNING: str | None = None


class _Seen(NamedTuple):
    power_w: float
    counter_j: float | None
    step_j: float | None
    """What one unit of the counter's last decimal is worth."""
    answer: Answer


class TasmotaSensor(PolledSensor):
    """`tasmota:HOST`. The password, where the device wants one, from PERWATT_TASMOTA_PASSWORD.

    With the usual three decimals its counter has steps of 3.6 kJ, so the gauge is read; `?kind=`
    forces one of the two.
    """

    def open(self) -> Opened:
        address = parse_address("tasmota", self.address, options=("kind",), example="HOST")
        forced = address.choice("kind", ("counter", "gauge"))
        meter = self.device = HttpMeter(address, password_in=PASSWORD)
        target = _target(address)
        seen = _ask(meter, target)
        fine = seen.step_j is not None and seen.step_j <= FINE_J
        counter = forced == "counter" or (forced is None and fine)
        if counter and seen.counter_j is None:
            msg = f"{meter.named} has no energy counter."
            raise SensorUnavailableError(msg, "Leave out ?kind=counter.")
        kind: Literal["counter", "gauge"] = "counter" if counter else "gauge"
        name = address.options.get("domain", "wall")
        step = "no counter" if seen.step_j is None else f"counter in steps of {seen.step_j:g} J"
        domain = Domain(
            name=name,
            kind=kind,
            boundary="system",
            source="tasmota",
            grade="A",
            device=f"Tasmota plug at {address.host}",
            max_power_w=OUTLET_W,
            gain_low=GAIN[0],
            gain_high=GAIN[1],
            note=f"{step}; power about once a second, slower below 12 W, whole watts by default",
        )

        def reading(now: _Seen) -> Reading:
            return Reading(
                domain=name,
                t_ns=now.answer.t_ns,
                counter_j=now.counter_j if counter else None,
                power_w=now.power_w,
                clock_error_ns=now.answer.clock_error_ns,
            )

        def ask() -> Sequence[Reading]:
            return (reading(_ask(meter, target)),)

        period_s = address.number("period", 0.5, 0.05, 60.0)
        return Opened((domain,), ask, period_s, (reading(seen),))


def _target(address: MeterAddress) -> str:
    """The question. Tasmota takes its password in the query, and errors never show a query."""
    password = os.environ.get(PASSWORD)
    if not password:
        return f"{address.path}/cm?cmnd=Status%208"
    user = os.environ.get("PERWATT_TASMOTA_USER") or "admin"
    login = f"user={quote(user, safe='')}&password={quote(password, safe='')}"
    return f"{address.path}/cm?{login}&cmnd=Status%208"


def _ask(meter: HttpMeter, target: str) -> _Seen:
    answer = meter.get(target)
    status = meter.json(answer, _Status)
    if status.WARNING is not None:
        msg = f"{meter.named} asks for a password, or refuses the one given."
        raise SensorUnavailableError(msg, f"Set the environment variable {PASSWORD}.")
    energy = status.StatusSNS.ENERGY if status.StatusSNS else None
    if energy is None or energy.power is None:
        msg = f"{meter.named} has no power meter."
        raise SensorUnavailableError(msg, "Its console's `Status 8` should show ENERGY.")
    if isinstance(energy.power, list):
        msg = f"{meter.named} meters {len(energy.power)} phases or channels."
        raise SensorUnavailableError(msg, "Use a plug with one.")
    total = read_figure(bytes(energy.total))
    if total is None:
        return _Seen(energy.power, None, None, answer)
    return _Seen(energy.power, total.value * 3.6e6, total.step * 3.6e6, answer)
