"""A meter behind HTTP: one question at a time, and one clear sentence for whatever goes wrong."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.http_meter_address import MeterAddress
from perwatt.sensors.http_meter_auth import Credentials
from perwatt.sensors.http_meter_connection import (
    MOST_BYTES,
    Answer,
    Connection,
    CutAnswerError,
    LongAnswerError,
)

__all__ = ["Answer", "HttpMeter"]

T = TypeVar("T")

REDIRECTS = 3
WRONG = "See that the address is the meter's."


class HttpMeter:
    """Asks one host and no other. Every failure is a SensorUnavailableError.

    Not thread-safe but for `abandon`, which ends a `get` that is under way in another thread.
    """

    def __init__(
        self,
        address: MeterAddress,
        *,
        credentials: Credentials | None = None,
        bearer: str | None = None,
        password_in: str | None = None,
    ) -> None:
        """`bearer`: a token sent with each question.

        `password_in` is the environment variable that a person is told to set.
        """
        self.address = address
        self.timeout_s = address.number("timeout", 2.0, 0.05, 60.0)
        self._credentials, self._bearer = credentials, bearer
        self._password_in = password_in or f"PERWATT_{address.sensor.upper()}_PASSWORD"
        self._challenge: list[str] = []
        tls = None
        if address.scheme == "https":
            tls = ssl.create_default_context()
            if address.choice("verify", ("0", "1")) == "0":
                tls.check_hostname = False
                tls.verify_mode = ssl.CERT_NONE
        self._connection = Connection(address.host, address.port, tls)

    @property
    def named(self) -> str:
        """For a sentence: `The shelly at http://plug:80`."""
        return f"The {self.address.sensor} at {self.address.shown}"

    def get(self, target: str, also: tuple[int, ...] = ()) -> Answer:
        """The body of a 200 for `target` (path and query). Same-host redirects are followed.

        `also`: other statuses whose body is an answer.
        """
        asked = target
        for _ in range(REDIRECTS + 1):
            status, headers, answer = self._once(asked)
            if status == 401 and self._credentials is not None:
                self._challenge = headers.get_all("WWW-Authenticate") or []
                status, headers, answer = self._once(asked)
            if status not in (301, 302, 303, 307, 308):
                break
            asked = self._redirected(asked, headers.get("Location", ""))
        if status != 200 and status not in also:
            raise self._refused(status, target)
        return answer

    def json(self, answer: Answer, kind: type[T]) -> T:
        """The answer as `kind`. Raises SensorUnavailableError where it is something else."""
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            msg = f"{self.named} sent something else than was asked for: {error}."
            raise SensorUnavailableError(msg, WRONG) from None

    def abandon(self) -> None:
        """From any thread: what is under way fails at once, and nothing more is asked."""
        self._connection.abandon()

    def close(self) -> None:
        """Safe to call twice."""
        self._connection.close()

    def _once(self, target: str) -> tuple[int, http.client.HTTPMessage, Answer]:
        headers = {"Accept": "application/json, text/plain, */*", "User-Agent": "perwatt"}
        if self._bearer is not None:
            headers["Authorization"] = f"Bearer {self._bearer}"
        elif self._credentials is not None and self._challenge:
            header = self._credentials.answer(self._challenge, "GET", target)
            if header is not None:
                headers["Authorization"] = header
        try:
            return self._connection.get(target, headers, self.timeout_s)
        except (http.client.HTTPException, OSError) as error:
            raise self._failed(error) from None

    def _redirected(self, target: str, location: str) -> str:
        there = urlsplit(urljoin(f"{self.address.shown}{target}", location))
        usual = 443 if there.scheme == "https" else 80
        place = (there.scheme, there.hostname, there.port or usual)
        if not location or place != (self.address.scheme, self.address.host, self.address.port):
            msg = f"{self.named} points to another address, which is not asked."
            raise SensorUnavailableError(msg, "Name the address that you mean.")
        return f"{there.path}?{there.query}" if there.query else there.path

    def _failed(self, error: Exception) -> SensorUnavailableError:
        mend = (
            "See that it is switched on, that this machine reaches it, and that its name is right."
        )
        if isinstance(error, TimeoutError):
            why = f"did not answer within {self.timeout_s:g} s"
            longer = f"?timeout={2 * self.timeout_s:g}"
            mend = f"See that it is switched on and near, or wait longer: {longer}."
        elif isinstance(error, ssl.SSLCertVerificationError):
            why = f"has a certificate that cannot be checked ({error.verify_message})"
            mend = (
                "Set SSL_CERT_FILE to its issuer's file, or add ?verify=0 where you trust the wire."
            )
        elif isinstance(error, ConnectionRefusedError):
            why = "refuses connections"
        elif isinstance(error, socket.gaierror):
            why = "cannot be found: no such host"
        elif isinstance(error, LongAnswerError):
            why, mend = f"sent more than {MOST_BYTES >> 20} MiB", WRONG
        elif isinstance(error, (CutAnswerError, http.client.IncompleteRead)):
            why = "was cut off in the middle of its answer"
        elif isinstance(error, (http.client.RemoteDisconnected, ConnectionError)):
            why = "closed the connection without an answer"
        elif isinstance(error, http.client.HTTPException):
            why, mend = "does not speak HTTP", WRONG
        else:
            named = getattr(error, "strerror", None) or type(error).__name__
            why = f"cannot be reached: {named}"
        return SensorUnavailableError(f"{self.named} {why}.", mend)

    def _refused(self, status: int, target: str) -> SensorUnavailableError:
        if status in (401, 403):
            tried = self._credentials is not None or self._bearer is not None
            what = "refuses the password given" if tried else "asks for a password"
            mend = f"Set the environment variable {self._password_in}."
            return SensorUnavailableError(f"{self.named} {what} ({status}).", mend)
        path = target.partition("?")[0]  # the query may hold a password
        reason = http.client.responses.get(status, "")
        msg = f"{self.named} answered {path} with {status} {reason}".rstrip()
        return SensorUnavailableError(f"{msg}.", WRONG)
