"""A power analyser that speaks SCPI over a raw TCP socket, with a true power trace behind it."""

from __future__ import annotations

import socketserver
import threading
import time
from types import TracebackType
from typing import Self

from emulated.meter_server import PowerTrace

__all__ = ["PowerAnalyser"]


class PowerAnalyser:
    """`with PowerAnalyser(trace) as analyser:` listens on an ephemeral loopback port.

    `make`: `wt310e` (Yokogawa IM WT310E-17EN: the NUMeric group gives the items that were set),
    `hmc8015` (Rohde & Schwarz: CHANnel:MEASurement), or `other`, which knows MEAS:POW? alone. An
    integrator that does not run, and a range that is exceeded, give what the real one gives.
    `fault`: `hang`, `cut` (hangs up), `endless` (no line end), or None.
    """

    IDENTITIES = {  # noqa: RUF012 - read only
        "wt310e": "YOKOGAWA,WT310E,C2QK12345E,F1.04",
        "hmc8015": "Rohde&Schwarz,HMC8015,102345,(HW:11000000,SW:01.403)",
        "other": "ACME,PA-1,7,0.1",
    }

    def __init__(self, trace: PowerTrace, make: str = "wt310e", integrating: bool = False) -> None:
        self._trace, self._make, self._integrating = trace, make, integrating
        self.fault: str | None = None
        self.overload = False
        self.said: list[str] = []
        """Every command that came."""
        self.items: list[str] = []
        self._gone = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Talk)
        self._server.analyser = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.003}, daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """`tcp://127.0.0.1:PORT`."""
        return f"tcp://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gone.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def talk(self, handler: socketserver.StreamRequestHandler) -> None:
        while line := handler.rfile.readline():
            command = line.decode("ascii").strip()
            self.said.append(command)
            if self.fault == "hang":
                self._gone.wait(30)
                return
            if self.fault == "cut":
                return
            if self.fault == "endless":
                while not self._gone.is_set():
                    handler.wfile.write(b"1" * 4096)
                return
            answer = self._answer(command)
            if answer is not None:
                handler.wfile.write(answer.encode("ascii") + b"\n")

    def _answer(self, command: str) -> str | None:
        if command == "*IDN?":
            return self.IDENTITIES[self._make]
        if self._make == "wt310e":
            head, _, item = command.partition(" ")
            if head.startswith(":NUMERIC:NORMAL:ITEM"):
                self.items.append(item)
            if command == ":NUMERIC:NORMAL:VALUE?":
                return ",".join(self._value(item.partition(",")[0]) for item in self.items[-2:])
        if self._make == "hmc8015":
            if command.startswith("CHAN:MEAS:FUNC "):
                self.items = command.removeprefix("CHAN:MEAS:FUNC ").split(",")
            if command == "CHAN:MEAS:DATA?":
                return ",".join(self._value(item) for item in self.items)
        if self._make == "other" and command == "MEAS:POW?":
            return self._value("P")
        return None

    def _value(self, item: str) -> str:
        now = time.monotonic_ns()
        absent = {"wt310e": "NAN", "hmc8015": "9.91E+37", "other": "9.91E37"}[self._make]
        if item == "P":
            infinite = {"wt310e": "INF", "hmc8015": "9.9E+37", "other": "9.9E37"}[self._make]
            return infinite if self.overload else f"{self._trace.power_w(now):.5E}"
        if item == "WH" and self._integrating:
            return f"{self._trace.energy_j(now) / 3600:.7E}"
        return absent


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    analyser: PowerAnalyser

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is no news."""


class _Talk(socketserver.StreamRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.server.analyser.talk(self)
