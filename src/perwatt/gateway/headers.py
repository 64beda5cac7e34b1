"""Which headers go through, and which are only between two neighbours (RFC 9110 §7.6.1)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

__all__ = ["Headers", "answered", "authorised", "forwarded", "has_body", "only"]

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI gives them: names in lower case."""

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
OWN = frozenset({"host", "content-length", "expect", "accept-encoding"})
"""Written anew for the server. Compression is not asked for: a compressed stream has no chunks to
mark, and nothing can be put into its last one."""
KEYS = frozenset({"authorization", "api-key", "x-api-key"})


def only(headers: Headers, name: bytes) -> str | None:
    """The first value of that name."""
    return next((value.decode("latin-1") for key, value in headers if key == name), None)


def has_body(headers: Headers) -> bool:
    """Does the request say that it has one, be it empty?"""
    return any(key in (b"content-length", b"transfer-encoding") for key, _ in headers)


def authorised(headers: Headers, key: str) -> bool:
    """Does the caller present this key? Compared in constant time."""
    for name, value in headers:
        if name.decode("latin-1") in KEYS:
            given = value.decode("latin-1").removeprefix("Bearer ").strip()
            if hmac.compare_digest(given.encode(), key.encode()):
                return True
    return False


def forwarded(
    headers: Headers, request_id: str, *, upstream_key: str | None, own_key: bool
) -> dict[str, str]:
    """What the server is sent.

    The caller's key goes through unless we have one of our own for the server (`upstream_key`), or
    the key it presented is ours (`own_key`). Repeated headers are joined, as HTTP allows.
    """
    found: dict[str, str] = {}
    named = {
        token.strip().lower()
        for key, value in headers
        if key == b"connection"
        for token in value.decode("latin-1").split(",")
    }
    for raw, value in headers:
        name = raw.decode("latin-1")
        if name in HOP_BY_HOP or name in OWN or name in named:
            continue
        if name in KEYS and (upstream_key is not None or own_key):
            continue
        text = value.decode("latin-1")
        between = "; " if name == "cookie" else ", "
        found[name] = f"{found[name]}{between}{text}" if name in found else text
    if upstream_key is not None:
        found["authorization"] = f"Bearer {upstream_key}"
    found["x-request-id"] = request_id
    return found


def answered(headers: Mapping[str, str], *, keep_length: bool) -> list[tuple[bytes, bytes]]:
    """What the caller is sent of the server's headers. The length only where nothing is added."""
    named = {token.strip().lower() for token in headers.get("connection", "").split(",")}
    return [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.items()
        if name not in HOP_BY_HOP
        and name not in named
        and name != "date"  # uvicorn writes one
        and (keep_length or name != "content-length")
    ]
