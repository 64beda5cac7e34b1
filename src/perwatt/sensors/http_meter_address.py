"""`HOST`, `HOST:PORT` or a URL with options, as it stands behind the colon of `--sensors`."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from perwatt.core.errors import AddressNeededError, SensorUnavailableError

__all__ = ["MeterAddress", "parse_address"]

COMMON = frozenset({"domain", "period", "timeout", "verify"})
"""Of every meter: the domain's name, seconds between questions, seconds to wait, and `verify=0` for
a certificate that nobody vouches for."""


class MeterAddress(NamedTuple):
    """Where a meter is and what was asked of it. Never holds a password."""

    sensor: str
    scheme: str
    host: str
    port: int
    path: str
    """Without a trailing slash; empty for none."""
    options: Mapping[str, str]

    @property
    def shown(self) -> str:
        """For a person: scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Does it never leave this machine?"""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """An option that is a number. Raises SensorUnavailableError outside [low, high]."""
        text = self.options.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            msg = f"{self.sensor}: {name}={text} is not usable."
            raise SensorUnavailableError(msg, f"Give a number from {low:g} to {high:g}.")
        return value

    def choice(self, name: str, known: Collection[str]) -> str | None:
        """An option that is one of a few words; None where it was not given."""
        text = self.options.get(name)
        if text is not None and text not in known:
            msg = f"{self.sensor}: {name}={text} is not usable."
            raise SensorUnavailableError(msg, f"Known: {', '.join(sorted(known))}.")
        return text


def parse_address(
    sensor: str,
    text: str | None,
    *,
    scheme: str = "http",
    port: int | None = None,
    options: Collection[str] = (),
    example: str = "HOST",
) -> MeterAddress:
    """`port` None: that of the scheme. Raises AddressNeededError, SensorUnavailableError."""
    mend = f"Write --sensors {sensor}:{example}."
    if not text:
        raise AddressNeededError(sensor, example)
    try:
        url = urlsplit(text if "://" in text else f"{scheme}://{text}", allow_fragments=False)
        host, given_port = url.hostname, url.port
    except ValueError:
        host = given_port = None
        url = urlsplit("")
    if "@" in url.netloc:
        # The text itself is not repeated: it may hold the password.
        msg = f"The address of {sensor} has a user or password in it."
        name = f"PERWATT_{sensor.upper()}_PASSWORD"
        raise SensorUnavailableError(msg, f"Take it out, and set the variable {name} instead.")
    if (
        not host
        or host[0] == "-"
        or url.scheme not in ("http", "https")
        or any(c.isspace() for c in url.netloc)
    ):
        msg = f"{sensor}:{text} is no address of a meter."
        raise SensorUnavailableError(msg, mend)
    known = COMMON | set(options)
    given: dict[str, str] = {}
    for part in filter(None, url.query.split("&")):
        name, _, value = part.partition("=")
        if name not in known:
            msg = f"{sensor} has no option {name!r}."
            raise SensorUnavailableError(msg, f"Known: {', '.join(sorted(known))}.")
        given[name] = unquote(value)
    path = quote(url.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
    usual = 443 if url.scheme == "https" else (port or 80)
    return MeterAddress(sensor, url.scheme, host, given_port or usual, path, given)
