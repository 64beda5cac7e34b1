"""A server's BMC through `ipmitool dcmi power reading`, local or over the network: grade C.

DCMI 1.5, section 6.6.1, Get Power Reading: whole watts, at a rate and with an averaging that are
the vendor's. A BMC is no certified wall meter.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from perwatt.core.clock import now_ns
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.http_meter_address import parse_address
from perwatt.sensors.poller import Opened, PolledSensor

__all__ = ["IpmiSensor"]

GAIN = (0.9, 1.1)
"""A judgement: DCMI states no accuracy, and power supplies' own meters are 1% to 5%."""
WATTS = re.compile(r"^\s*Instantaneous power reading\s*:\s*(\d+)\s*Watts", re.MULTILINE)
STATE = re.compile(r"^\s*Power reading state is\s*:\s*(\w+)", re.MULTILINE)
MENDS = {
    "/dev/ipmi": "Load the driver (modprobe ipmi_devintf ipmi_si), or name a BMC: ipmi:HOST.",
    "Permission denied": "Run as root, or let your user read /dev/ipmi0.",
    "RAKP": "Set PERWATT_IPMI_USER and IPMI_PASSWORD to an account of the BMC.",
    "session": "Set PERWATT_IPMI_USER and IPMI_PASSWORD, and allow IPMI over LAN on the BMC.",
    "DCMI": "This BMC does not offer DCMI power; try redfish:HOST.",
}


class _Seen(NamedTuple):
    power_w: float
    sent_ns: int
    received_ns: int


class IpmiSensor(PolledSensor):
    """`ipmi` for this machine's BMC, `ipmi:HOST` for another's over lanplus.

    The user comes from PERWATT_IPMI_USER, the password from IPMI_PASSWORD, which ipmitool reads
    from the environment itself (`-E`), so that it is in no command line.
    """

    def open(self) -> Opened:
        host, timeout_s, period_s, name = None, 5.0, 1.0, "bmc"
        if self.address:
            address = parse_address("ipmi", self.address, port=623, example="HOST")
            host = address.host
            timeout_s = address.number("timeout", 5.0, 0.1, 60.0)
            period_s = address.number("period", 1.0, 0.05, 60.0)
            name = address.options.get("domain", name)
        tool = shutil.which("ipmitool")
        if tool is None:
            msg = "The BMC cannot be read: ipmitool is not installed."
            raise SensorUnavailableError(msg, "Install the package ipmitool.")
        command = [tool]
        if host is not None:
            command += ["-I", "lanplus", "-H", host, "-p", str(address.port)]
            user = os.environ.get("PERWATT_IPMI_USER")
            command += ["-U", user, "-E"] if user else ["-E"]
        child = self.device = _Child([*command, "dcmi", "power", "reading"], timeout_s)
        seen = child.ask()
        where = "this machine" if host is None else host
        domain = Domain(
            name=name,
            kind="gauge",
            boundary="system",
            source="ipmi",
            grade="C",
            device=f"BMC of {where}",
            gain_low=GAIN[0],
            gain_high=GAIN[1],
            note="read by the BMC: slow, whole watts, averaged over a time that it does not tell",
        )

        def reading(now: _Seen) -> Reading:
            return Reading(
                domain=name,
                t_ns=(now.sent_ns + now.received_ns) // 2,
                power_w=now.power_w,
                clock_error_ns=(now.received_ns - now.sent_ns + 1) // 2,
            )

        def ask() -> Sequence[Reading]:
            return (reading(child.ask()),)

        return Opened((domain,), ask, period_s, (reading(seen),))


class _Child:
    """One ipmitool at a time."""

    def __init__(self, command: list[str], timeout_s: float) -> None:
        self._command, self._timeout_s = command, timeout_s
        self._process: subprocess.Popen[str] | None = None
        self._abandoned = False

    def ask(self) -> _Seen:
        """Run it once. Raises SensorUnavailableError with ipmitool's own words and a mend."""
        if self._abandoned:
            raise SensorUnavailableError("ipmitool was stopped.")
        sent_ns = now_ns()
        try:
            out, err, status = self._run()
        except OSError as error:
            msg = f"ipmitool cannot be run: {error.strerror or error}."
            raise SensorUnavailableError(msg, "See that it works by hand.") from None
        received_ns = now_ns()
        watts, state = WATTS.search(out), STATE.search(out)
        if status != 0 or watts is None:
            raise _refused(err or out)
        if state is not None and state[1] != "activated":
            msg = f"The BMC's power reading is {state[1]}."
            raise SensorUnavailableError(msg, "Activate it: ipmitool dcmi power activate.")
        return _Seen(float(watts[1]), sent_ns, received_ns)

    def _run(self) -> tuple[str, str, int]:
        """stdout, stderr and exit status."""
        with subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
        ) as process:
            self._process = process
            try:
                out, err = process.communicate(timeout=self._timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                msg = f"ipmitool did not finish within {self._timeout_s:g} s."
                mend = "See that the BMC answers, or wait longer: ipmi:HOST?timeout=20."
                raise SensorUnavailableError(msg, mend) from None
            finally:
                self._process = None
        return out, err, process.returncode

    def abandon(self) -> None:
        self._abandoned = True
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def close(self) -> None:
        """Nothing is left behind: a child ends within its own `ask`."""


def _refused(text: str) -> SensorUnavailableError:
    words = " ".join(text.split())[:200] or "nothing"
    mend = next((mend for sign, mend in MENDS.items() if sign in text), None)
    mend = mend or "Try it by hand: ipmitool dcmi power reading."
    return SensorUnavailableError(f"ipmitool gives no power: {words.rstrip('.')}.", mend)
