"""Passwords of meters: from the environment, into one header, and nowhere else.

HTTP Basic (RFC 7617) and Digest with MD5 or SHA-256 (RFC 7616), as Shelly and BMCs ask for them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from base64 import b64encode
from urllib.request import parse_http_list, parse_keqv_list

from perwatt.core.errors import SensorUnavailableError

__all__ = ["Credentials", "credentials_from"]

HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


class Credentials:
    """A user and a password that no repr shows."""

    def __init__(self, user: str, password: str, variable: str, basic: bool) -> None:
        """`variable` is where the password came from. `basic`: may it travel readable?"""
        self._user, self._password = user, password
        self.variable = variable
        self._basic = basic
        self._count = 0

    def __repr__(self) -> str:
        return f"Credentials(from {self.variable})"

    def answer(self, challenges: list[str], method: str, target: str) -> str | None:
        """The Authorization header for a 401's WWW-Authenticate lines; None: none can be met."""
        for challenge in challenges:
            kind, _, rest = challenge.partition(" ")
            if kind.lower() == "digest":
                try:
                    fields = parse_keqv_list(parse_http_list(rest))
                except ValueError:  # a field without a value: no challenge that can be met
                    continue
                if fields.get("algorithm", "MD5").upper() in HASHES and "nonce" in fields:
                    return self._digest(fields, method, target)
        offered = {challenge.partition(" ")[0].lower() for challenge in challenges}
        if "basic" in offered and self._basic:
            pair = f"{self._user}:{self._password}".encode()
            return f"Basic {b64encode(pair).decode()}"
        return None

    def _digest(self, fields: dict[str, str], method: str, target: str) -> str:
        algorithm = fields.get("algorithm", "MD5")
        hashed = HASHES[algorithm.upper()]

        def digest(*parts: str) -> str:
            return hashed(":".join(parts).encode()).hexdigest()

        realm, nonce = fields.get("realm", ""), fields["nonce"]
        secret = digest(self._user, realm, self._password)
        asked = digest(method, target)
        parts = {"username": self._user, "realm": realm, "nonce": nonce, "uri": target}
        plain = {"algorithm": algorithm}
        if "auth" in fields.get("qop", "").replace(" ", "").split(","):
            self._count += 1
            count, mine = f"{self._count:08x}", secrets.token_hex(8)
            parts |= {
                "cnonce": mine,
                "response": digest(secret, nonce, count, mine, "auth", asked),
            }
            plain |= {"qop": "auth", "nc": count}
        else:
            parts["response"] = digest(secret, nonce, asked)
        if "opaque" in fields:
            parts["opaque"] = fields["opaque"]
        quoted = [f'{name}="{value}"' for name, value in parts.items()]
        return "Digest " + ", ".join([*quoted, *(f"{k}={v}" for k, v in plain.items())])


def credentials_from(sensor: str, user: str, *, basic: bool) -> Credentials | None:
    """PERWATT_<SENSOR>_USER (or `user`) and _PASSWORD; None where no password is set.

    `basic`: may it travel readable? Raises SensorUnavailableError for a user no header can hold.
    """
    variable = f"PERWATT_{sensor.upper()}_PASSWORD"
    password = os.environ.get(variable)
    if not password:
        return None
    named = os.environ.get(f"PERWATT_{sensor.upper()}_USER") or user
    if not (named.isascii() and named.isprintable()):
        msg = f"The user in PERWATT_{sensor.upper()}_USER cannot be sent in a header."
        raise SensorUnavailableError(msg, "Use one of plain letters.")
    return Credentials(named, password, variable, basic)
