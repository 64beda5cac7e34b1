"""A server's BMC: Redfish on loopback, and an `ipmitool` that prints what the real one prints."""

from __future__ import annotations

import json
import stat
import sys
import time
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulated.meter_server import Asked, MeterServer, PowerTrace, Sent

__all__ = ["RedfishBmc", "write_ipmitool"]


class RedfishBmc(MeterServer):
    """Chassis, Power and EnvironmentMetrics with the fields of DMTF's mockups (DSP2043)."""

    def __init__(
        self,
        trace: PowerTrace,
        *,
        password: str | None = None,
        chassis: Mapping[str, str] | None = None,
        environment: bool = False,
        energy_decimals: int | None = None,
    ) -> None:
        """`chassis`: types by id. `environment`: the newer resource rather than `Power`."""
        super().__init__(self._route)
        self._trace, self._password = trace, password
        self._chassis = dict(chassis or {"1U": "RackMount"})
        self._environment, self._decimals = environment, energy_decimals
        self.link: str | None = None
        """Where its chassis claim to be, to lead a client astray."""

    def _route(self, asked: Asked) -> Sent:
        pair = b64encode(f"root:{self._password}".encode()).decode()
        if self._password is not None and asked.headers.get("Authorization") != f"Basic {pair}":
            challenge = (("WWW-Authenticate", 'Basic realm="redfish"'),)
            return Sent('{"error": {"code": "Base.1.8.NoValidSession"}}', 401, challenge)
        path = asked.path.rstrip("/")
        if path == "/redfish/v1/Chassis":
            ids = [self.link or f"/redfish/v1/Chassis/{name}" for name in self._chassis]
            members = [{"@odata.id": link} for link in ids]
            return _json({"Name": "Chassis Collection", "Members": members})
        name, _, rest = path.removeprefix("/redfish/v1/Chassis/").partition("/")
        if name not in self._chassis:
            return Sent('{"error": {"code": "Base.1.8.ResourceMissingAtURI"}}', 404)
        base = f"/redfish/v1/Chassis/{name}"
        if rest == "":
            kind = "EnvironmentMetrics" if self._environment else "Power"
            return _json(
                {
                    "@odata.type": "#Chassis.v1_21_0.Chassis", "@odata.id": base, "Id": name,
                    "Name": "Computer System Chassis", "ChassisType": self._chassis[name],
                    "Manufacturer": "Contoso", "Model": "3500RX", "PowerState": "On",
                    kind: {"@odata.id": f"{base}/{kind}"},
                }
            )  # fmt: skip
        now = time.monotonic_ns()
        watts = round(self._trace.power_w(now))
        if rest == "Power" and not self._environment:
            control = {
                "@odata.id": f"{base}/Power#/PowerControl/0", "MemberId": "0",
                "Name": "System Input Power", "PowerConsumedWatts": watts,
                "PowerRequestedWatts": 800, "PowerAvailableWatts": 0, "PowerCapacityWatts": 800,
                "PowerMetrics": {"IntervalInMin": 30, "AverageConsumedWatts": 319},
            }  # fmt: skip
            return _json({"Id": "Power", "PowerControl": [control], "PowerSupplies": []})
        if rest == "EnvironmentMetrics" and self._environment:
            energy = ""
            if self._decimals is not None:
                kwh = self._trace.energy_j(now) / 3.6e6
                energy = f', "EnergykWh": {{"Reading": {kwh:.{self._decimals}f}}}'
            return Sent(
                '{"@odata.type": "#EnvironmentMetrics.v1_3_0.EnvironmentMetrics", '
                '"Name": "Chassis Environment Metrics", "TemperatureCelsius": {"Reading": 39}, '
                f'"PowerWatts": {{"DataSourceUri": "{base}/Sensors/P", "Reading": {watts}}}'
                f"{energy}}}"
            )
        return Sent('{"error": {"code": "Base.1.8.ResourceMissingAtURI"}}', 404)


IPMITOOL = """#!{python} -S
import os, sys, time
start_ns, steps = {start_ns}, {steps}
fault = open(__file__ + ".fault").read().strip()
words = sys.argv[1:]
if fault == "hang":
    time.sleep(30)
elif fault == "garbage":
    print("\\x00\\x01 not what was asked for")
    sys.exit(0)
if words[-3:] != ["dcmi", "power", "reading"]:
    sys.exit("Invalid command: " + " ".join(words))
if "-H" in words:
    if os.environ.get("IPMI_PASSWORD") != "hunter2" or "-E" not in words or "-U" not in words:
        sys.stderr.write("Error: RAKP 2 message indicates an error : unauthorized name\\n"
                         "Error: Unable to establish IPMI v2 / RMCP+ session\\n")
        sys.exit(1)
elif fault == "no-device":
    sys.stderr.write("Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: "
                     "No such file or directory\\n")
    sys.exit(1)
since_s = (time.monotonic_ns() - start_ns) / 1e9
watts = [w for at, w in steps if at <= since_s][-1]
state = "deactivated" if fault == "inactive" else "activated"
print()
print("    Instantaneous power reading:              %5d Watts" % watts)
print("    Minimum during sampling period:               2 Watts")
print("    Maximum during sampling period:            1023 Watts")
print("    Average power reading over sample period:   138 Watts")
print("    IPMI timestamp:                           Thu Aug  1 13:46:34 2024")
print("    Sampling period:                          00010824 Seconds.")
print("    Power reading state is:                   " + state)
print()
print()
"""
"""Prints as ipmitool 1.8.19 does (lib/ipmi_dcmi.c, ipmi_print_dcmi_power_reading)."""


def write_ipmitool(folder: Path, trace: PowerTrace) -> Path:
    """An executable `ipmitool` in `folder`. Its faults: what stands in `ipmitool.fault`.

    `hang`, `garbage`, `inactive`, `no-device`, or nothing. Over the network it wants a user, `-E`
    and the password `hunter2`.
    """
    path = folder / "ipmitool"
    script = IPMITOOL.format(python=sys.executable, start_ns=trace.start_ns, steps=trace.steps)
    path.write_text(script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (folder / "ipmitool.fault").write_text("")
    return path


def _json(fields: Mapping[str, Any]) -> Sent:
    return Sent(json.dumps(fields))
