"""The little that must be known of a request's body. The body itself goes on as it came."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec

__all__ = ["Asked", "read_body"]

BYTES_PER_TOKEN = 4.0
"""A guess, used for the live share alone, until the server has counted."""


class Asked(NamedTuple):
    """By what it is known in the record, and how much there is to read."""

    model: str | None
    prompt_sha256: str
    """Of messages, prompt or input as they stand in the body; of the body where it has none."""
    prompt_tokens: float


class _Body(msgspec.Struct):
    model: Any = None
    messages: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()


_DECODER = msgspec.json.Decoder(_Body)


def read_body(body: bytes) -> Asked:
    """What can be told of any body; one that is no JSON goes through all the same."""
    try:
        found = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _Body()
    text = bytes(found.messages) or bytes(found.prompt) or bytes(found.input) or body
    return Asked(
        found.model if isinstance(found.model, str) else None,
        hashlib.sha256(text).hexdigest(),
        len(text) / BYTES_PER_TOKEN,
    )
