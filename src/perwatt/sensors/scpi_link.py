"""Lines of SCPI over a raw TCP socket, or through VISA (IEEE 488.2, VXI-11, USB-TMC)."""

from __future__ import annotations

import contextlib
import importlib
import socket
from typing import Any, Protocol

from perwatt.core.clock import now_ns
from perwatt.core.errors import SensorUnavailableError

__all__ = ["Link", "TcpLink", "VisaLink"]

MOST_BYTES = 65_536
MEND = "See that it is on, that its remote interface is enabled, and that the address is right."


class Link(Protocol):
    """One instrument. Every failure is a SensorUnavailableError."""

    def write(self, command: str) -> None: ...

    def query(self, command: str) -> str:
        """The line that comes back, without its end."""
        ...

    def abandon(self) -> None: ...

    def close(self) -> None: ...


class TcpLink:
    """A socket that is opened when first used, and anew after a failure."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._socket: socket.socket | None = None
        self._abandoned = False

    @property
    def named(self) -> str:
        return f"The analyser at {self._host}:{self._port}"

    def write(self, command: str) -> None:
        self._speak(command, answer=False)

    def query(self, command: str) -> str:
        return self._speak(command, answer=True)

    def abandon(self) -> None:
        self._abandoned = True
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):  # it may be closed already
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _speak(self, command: str, answer: bool) -> str:
        deadline_ns = now_ns() + round(self._timeout_s * 1e9)
        try:
            if self._abandoned:
                raise ConnectionAbortedError
            if self._socket is None:
                self._socket = socket.create_connection((self._host, self._port), self._timeout_s)
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(command.encode("ascii") + b"\n")
            return self._line(self._socket, deadline_ns) if answer else ""
        except (OSError, UnicodeError) as error:
            # A late answer would be taken for the next question's: begin anew.
            self.close()
            why = getattr(error, "strerror", None) or type(error).__name__
            if isinstance(error, TimeoutError):
                why = f"no answer to {command} within {self._timeout_s:g} s"
            raise SensorUnavailableError(f"{self.named} failed: {why}.", MEND) from None

    def _line(self, sock: socket.socket, deadline_ns: int) -> str:
        got = b""
        while b"\n" not in got:
            left_s = (deadline_ns - now_ns()) / 1e9
            if left_s <= 0:
                raise TimeoutError
            sock.settimeout(left_s)
            more = sock.recv(4096)
            if not more or len(got) > MOST_BYTES:
                raise ConnectionResetError("it hung up" if not more else "it does not stop")
            got += more
        return got.partition(b"\n")[0].decode("ascii", "replace").strip()


class VisaLink:
    """Any VISA resource, such as `TCPIP0::10.0.0.5::INSTR` or `USB0::0x0B21::…::INSTR`."""

    def __init__(self, resource: str, timeout_s: float) -> None:
        try:
            pyvisa: Any = importlib.import_module("pyvisa")
        except ImportError:
            msg = "VISA instruments cannot be read: the package pyvisa is not installed."
            mend = "Run: pip install 'perwatt[scpi]', or give scpi:tcp://HOST:PORT."
            raise SensorUnavailableError(msg, mend) from None
        self._resource = resource
        # A back end may raise anything (VisaIOError, OSError, ValueError), and each is a sentence.
        try:
            self._manager: Any = pyvisa.ResourceManager()
        except Exception as error:
            raise self._failed(error) from None
        try:
            self._instrument: Any = self._manager.open_resource(resource)
            self._instrument.timeout = round(timeout_s * 1e3)
            self._instrument.read_termination = self._instrument.write_termination = "\n"
        except Exception as error:
            self._manager.close()
            raise self._failed(error) from None

    def write(self, command: str) -> None:
        try:
            self._instrument.write(command)
        except Exception as error:
            raise self._failed(error) from None

    def query(self, command: str) -> str:
        try:
            return str(self._instrument.query(command)).strip()
        except Exception as error:
            with contextlib.suppress(Exception):
                self._instrument.clear()  # a late answer must not be the next one's
            raise self._failed(error) from None

    def abandon(self) -> None:
        """VISA has no way to end a question from outside; its own time-out does."""

    def close(self) -> None:
        with contextlib.suppress(Exception):  # it may be gone
            self._instrument.close()
            self._manager.close()

    def _failed(self, error: Exception) -> SensorUnavailableError:
        why = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        return SensorUnavailableError(f"The analyser {self._resource} failed: {why}.", MEND)
