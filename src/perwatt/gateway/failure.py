"""What we ourselves have to say when something fails, in the shape that OpenAI's clients read."""

from __future__ import annotations

import msgspec

__all__ = ["STATUS_OF", "error_body", "error_event"]

STATUS_OF = {
    "timeout-connect": 504,
    "timeout-first": 504,
    "timeout-chunk": 504,
    "timeout-total": 504,
    "closing": 503,
}
"""HTTP status by the kind of a transport's failure; 502 for the rest."""


def error_body(message: str, kind: str, code: str | None, param: str | None = None) -> bytes:
    """`{"error": {message, type, code, param}}`."""
    error = {"message": message, "type": kind, "code": code, "param": param}
    return msgspec.json.encode({"error": error})


def error_event(message: str, kind: str, code: str | None) -> bytes:
    """The same as an event of a stream that has begun."""
    return b"data: " + error_body(message, kind, code) + b"\n\n"
