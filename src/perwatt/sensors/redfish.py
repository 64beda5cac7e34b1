"""A server's BMC over Redfish: power of the whole chassis, grade C.

`EnvironmentMetrics` with `PowerWatts` and `EnergykWh`, or the older `Power` with `PowerControl[]`'s
`PowerConsumedWatts`: DMTF DSP0268, Redfish Data Model. A BMC is no certified wall meter: slow, in
whole watts, averaged as its vendor likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.http_meter import Answer, HttpMeter
from perwatt.sensors.http_meter_address import parse_address
from perwatt.sensors.http_meter_auth import credentials_from
from perwatt.sensors.meter_resolution import FINE_J, read_figure
from perwatt.sensors.poller import Opened, PolledSensor

__all__ = ["RedfishSensor"]

GAIN = (0.9, 1.1)
"""A judgement: the data model states no accuracy, and power supplies' own meters are 1% to 5%."""
PARTS = frozenset({"Component", "Module", "Zone", "Card", "Drawer", "Cartridge", "Expansion"})
"""Chassis types that lie inside another chassis."""
MOST_CHASSIS = 64


class _Link(msgspec.Struct):
    id: str = msgspec.field(name="@odata.id")


class _Collection(msgspec.Struct, rename="pascal"):
    members: list[_Link] = []


class _Chassis(msgspec.Struct, rename="pascal"):
    id: str
    chassis_type: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    power: _Link | None = None
    environment_metrics: _Link | None = None


class _Excerpt(msgspec.Struct, rename="pascal"):
    reading: msgspec.Raw = msgspec.Raw(b"")


class _Control(msgspec.Struct, rename="pascal"):
    power_consumed_watts: float | None = None


class _Metrics(msgspec.Struct, rename="pascal"):
    """Either of the two resources: what the other has is absent."""

    power_watts: _Excerpt | None = None
    energy: _Excerpt | None = msgspec.field(default=None, name="EnergykWh")
    power_control: list[_Control] = []


class _Seen(NamedTuple):
    power_w: float | None
    counter_j: float | None
    step_j: float | None
    answer: Answer


class RedfishSensor(PolledSensor):
    """`redfish:HOST`, with `?chassis=ID` where several have power of their own.

    User and password from PERWATT_REDFISH_USER and PERWATT_REDFISH_PASSWORD, sent over https alone.
    """

    def open(self) -> Opened:
        address = parse_address(
            "redfish", self.address, scheme="https", options=("chassis", "kind"), example="HOST"
        )
        safe = address.scheme == "https" or address.loopback
        credentials = credentials_from("redfish", "root", basic=safe)
        if credentials is not None and not safe:
            msg = f"The password of {address.shown} would travel readable over http."
            raise SensorUnavailableError(msg, f"Write redfish:https://{address.host}.")
        forced = address.choice("kind", ("counter", "gauge"))
        meter = self.device = HttpMeter(address, credentials=credentials)
        chassis, target = _find(meter, address.options.get("chassis"))
        seen = _ask(meter, target)
        fine = seen.step_j is not None and seen.step_j <= FINE_J
        counter = seen.counter_j is not None and (
            forced == "counter" or (forced is None and fine) or seen.power_w is None
        )
        kind: Literal["counter", "gauge"] = "counter" if counter else "gauge"
        maker = " ".join(filter(None, (chassis.manufacturer, chassis.model))) or "server"
        note = "read by its BMC: slow, whole watts, averaged over a time that it does not tell"
        if address.options.get("verify") == "0":
            note += "; its certificate was not checked"
        domain = Domain(
            name=address.options.get("domain", "bmc"),
            kind=kind,
            boundary="system",
            source="redfish",
            grade="B" if counter else "C",
            device=f"{maker}, chassis {chassis.id} at {address.host}",
            gain_low=GAIN[0],
            gain_high=GAIN[1],
            note=note,
        )

        def reading(now: _Seen) -> Reading:
            counter_j = now.counter_j if counter else None
            missing = counter_j is None if counter else now.power_w is None
            return Reading(
                domain=domain.name,
                t_ns=now.answer.t_ns,
                counter_j=counter_j,
                power_w=now.power_w,
                clock_error_ns=now.answer.clock_error_ns,
                error=f"{meter.named} gives no power now: see its health." if missing else None,
            )

        def ask() -> Sequence[Reading]:
            return (reading(_ask(meter, target)),)

        period_s = address.number("period", 1.0, 0.05, 60.0)
        return Opened((domain,), ask, period_s, (reading(seen),))


def _find(meter: HttpMeter, wanted: str | None) -> tuple[_Chassis, str]:
    """The chassis that is meant, and the resource that has its power."""
    root = f"{meter.address.path}/redfish/v1/Chassis"
    members = meter.json(meter.get(root), _Collection).members[:MOST_CHASSIS]
    known = [meter.json(meter.get(_path(link)), _Chassis) for link in members]
    if wanted is not None:
        known = [chassis for chassis in known if chassis.id == wanted]
    else:
        whole = [chassis for chassis in known if chassis.chassis_type not in PARTS]
        known = whole or known
    found: dict[str, tuple[_Chassis, str]] = {}
    for chassis in known:
        for link in (chassis.environment_metrics, chassis.power):
            if link is None or chassis.id in found:
                continue
            seen = _ask(meter, _path(link))
            if seen.power_w is not None or seen.counter_j is not None:
                found[chassis.id] = chassis, _path(link)
    if not found:
        which = "no chassis" if wanted is None else f"no chassis {wanted!r}"
        msg = f"{meter.named} has {which} with a power reading."
        raise SensorUnavailableError(msg, "See its own web page; some BMCs need a licence for it.")
    if len(found) > 1:
        msg = f"{meter.named} has {len(found)} chassis with power of their own."
        raise SensorUnavailableError(msg, f"Name one: ?chassis={' or '.join(found)}.")
    return next(iter(found.values()))


def _path(link: _Link) -> str:
    """Only a path is followed, so that an answer cannot send the password elsewhere."""
    if not link.id.startswith("/") or link.id.startswith("//"):
        msg = f"The redfish service links to {link.id!r}, which is no path of its own."
        raise SensorUnavailableError(msg, "See that the address is the BMC's.")
    return link.id


def _ask(meter: HttpMeter, target: str) -> _Seen:
    answer = meter.get(target)
    metrics = meter.json(answer, _Metrics)
    power_w = next((control.power_consumed_watts for control in metrics.power_control), None)
    if metrics.power_watts is not None:
        figure = read_figure(bytes(metrics.power_watts.reading))
        power_w = power_w if figure is None else figure.value
    energy = read_figure(bytes(metrics.energy.reading)) if metrics.energy else None
    if energy is None:
        return _Seen(power_w, None, None, answer)
    return _Seen(power_w, energy.value * 3.6e6, energy.step * 3.6e6, answer)
