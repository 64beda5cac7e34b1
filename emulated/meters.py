"""Meters on loopback that speak their vendors' protocols, with a true power trace behind each.

Answers have the fields of the vendors' documented examples, so that a parser meets all of them.
"""

from __future__ import annotations

import hashlib
import json
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.request import parse_http_list, parse_keqv_list

from emulated.meter_server import Asked, MeterServer, PowerTrace, Sent

__all__ = ["ShellyGen1", "ShellyGen2", "TasmotaPlug"]


class ShellyGen2(MeterServer):
    """Plus, Pro, Gen3 and Gen4: RPC over HTTP, Digest with SHA-256 where a password is set.

    shelly-api-docs.shelly.cloud/gen2: ComponentsAndServices/Switch, General/Authentication.
    """

    def __init__(
        self,
        trace: PowerTrace,
        *,
        password: str | None = None,
        components: tuple[str, ...] = ("switch:0",),
        counter_period_s: float = 0.0,
    ) -> None:
        """`counter_period_s`: how rarely `aenergy.total` is brought up to date."""
        super().__init__(self._route)
        self._trace, self._password, self._components = trace, password, components
        self._period_ns = round(counter_period_s * 1e9)
        self.nonce = "60dc2c69"

    def _route(self, asked: Asked) -> Sent:
        if asked.path == "/shelly":
            return _json(
                {
                    "name": None, "id": "shellyplusplugs-c049ef8b8ccc", "mac": "C049EF8B8CCC",
                    "slot": 1, "model": "SNPL-00112EU", "gen": 2,
                    "fw_id": "20240430-105751/1.3.0-gf3a4ad8", "ver": "1.3.0", "app": "PlusPlugS",
                    "auth_en": self._password is not None, "auth_domain": None,
                }
            )  # fmt: skip
        if self._password is not None and not self._login(asked):
            realm = "shellyplusplugs-c049ef8b8ccc"
            challenge = (
                f'Digest qop="auth", realm="{realm}", nonce="{self.nonce}", algorithm=SHA-256'
            )
            return Sent("", 401, (("WWW-Authenticate", challenge),))
        if asked.path == "/rpc/Shelly.GetStatus":
            status: dict[str, Any] = {"ble": {}, "cloud": {"connected": False}}
            status |= {name: self._component(int(name[-1])) for name in self._components}
            return _json({**status, "sys": {"mac": "C049EF8B8CCC", "uptime": 4711}})
        method, name = asked.path.rpartition("/")[2].partition(".")[0], asked.query.get("id")
        if f"{method.lower()}:{name}" in self._components:
            return _json(self._component(int(name or "0")))
        return _json({"code": -105, "message": f"Argument 'id', value {name} not found!"}, 500)

    def _component(self, channel: int) -> dict[str, Any]:
        now = time.monotonic_ns()
        told_ns = now
        if self._period_ns:
            since_ns = now - self._trace.start_ns
            told_ns = self._trace.start_ns + since_ns // self._period_ns * self._period_ns
        return {
            "id": channel, "source": "init", "output": True,
            "apower": round(self._trace.power_w(now), 1), "voltage": 230.4, "freq": 50.0,
            "current": 0.43,
            "aenergy": {
                "total": round(self._trace.energy_j(told_ns) / 3600, 3),
                "by_minute": [0.0, 0.0, 0.0], "minute_ts": 1654511972,
            },
            "temperature": {"tC": 35.6, "tF": 96.1},
        }  # fmt: skip

    def _login(self, asked: Asked) -> bool:
        """RFC 7616 with SHA-256, as the device checks it."""
        kind, _, rest = (asked.headers.get("Authorization") or "").partition(" ")
        if kind != "Digest":
            return False
        given = parse_keqv_list(parse_http_list(rest))
        secret = _sha256("admin", given["realm"], self._password or "")
        uri = asked.path + ("?id=" + asked.query["id"] if "id" in asked.query else "")
        asked_for = _sha256("GET", uri)
        wanted = _sha256(secret, self.nonce, given["nc"], given["cnonce"], given["qop"], asked_for)
        return given["response"] == wanted and given["nonce"] == self.nonce


class ShellyGen1(MeterServer):
    """Shelly Plug S and its time: `/status`, W·min, HTTP Basic (shelly-api-docs…/gen1)."""

    def __init__(self, trace: PowerTrace, *, password: str | None = None, meters: int = 1) -> None:
        super().__init__(self._route)
        self._trace, self._password, self._meters = trace, password, meters
        self.valid = True

    def _route(self, asked: Asked) -> Sent:
        if asked.path == "/shelly":
            return _json(
                {
                    "type": "SHPLG-S", "mac": "5ECF7F1632E8", "auth": self._password is not None,
                    "fw": "20230913-113421/v1.14.0-gcb84623", "num_outputs": 1,
                    "num_meters": self._meters,
                }
            )  # fmt: skip
        pair = b64encode(f"admin:{self._password}".encode()).decode()
        if self._password is not None and asked.headers.get("Authorization") != f"Basic {pair}":
            return Sent("401 Unauthorized", 401, (("WWW-Authenticate", 'Basic realm="shelly"'),))
        if asked.path != "/status":
            return Sent("Not Found", 404)
        now = time.monotonic_ns()
        meter = {
            "power": round(self._trace.power_w(now), 2), "overpower": 0.0, "is_valid": self.valid,
            "timestamp": 1663863464, "counters": [0.0, 0.0, 0.0],
            "total": int(self._trace.energy_j(now) // 60),
        }  # fmt: skip
        return _json(
            {
                "wifi_sta": {"connected": True, "ssid": "lab", "rssi": -73}, "time": "18:17",
                "relays": [{"ison": True, "overpower": False, "source": "http"}],
                "meters": [meter] * self._meters, "temperature": 25.1, "uptime": 1234,
            }
        )  # fmt: skip


class TasmotaPlug(MeterServer):
    """`/cm?cmnd=Status%208` (tasmota.github.io/docs: Commands, JSON-Status-Responses)."""

    def __init__(
        self, trace: PowerTrace, *, password: str | None = None, decimals: int = 3
    ) -> None:
        """`decimals`: its `EnergyRes`."""
        super().__init__(self._route)
        self._trace, self._password, self._decimals = trace, password, decimals

    def _route(self, asked: Asked) -> Sent:
        if asked.path != "/cm":
            return Sent("Not Found", 404)
        if self._password is not None and asked.query.get("password") != self._password:
            return _json({"WARNING": "Need user=<username>&password=<password>"})
        if asked.query.get("cmnd") != "Status 8":
            return _json({"Command": "Unknown"})
        now = time.monotonic_ns()
        total = f"{self._trace.energy_j(now) / 3.6e6:.{self._decimals}f}"
        return Sent(
            '{"StatusSNS":{"Time":"2018-11-15T08:54:18","ENERGY":{"TotalStartTime":'
            f'"2018-11-14T18:39:40","Total":{total},"Yesterday":5.340,"Today":1.064,'
            f'"Power":{self._trace.power_w(now):.0f},"ApparentPower":2645,"ReactivePower":288,'
            '"Factor":0.99,"Voltage":226,"Current":11.677}}}'
        )


def _json(fields: Mapping[str, Any], status: int = 200) -> Sent:
    return Sent(json.dumps(fields), status)


def _sha256(*parts: str) -> str:
    return hashlib.sha256(":".join(parts).encode()).hexdigest()
