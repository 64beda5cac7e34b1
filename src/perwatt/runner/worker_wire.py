"""What a session and its workers say to each other: MessagePack, each message after its length."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import ClientAudit, Request
from perwatt.runner.loadgen_stretch import Orders, Prepared

__all__ = ["Apply", "Ended", "FromWorker", "Ready", "Setup", "Stop", "ToWorker", "Told", "receive"]


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """The first message: what to ask, and whom."""

    parent: int
    endpoint: str
    config: EndpointConfig
    prepared: Prepared


class Apply(msgspec.Struct, frozen=True, tag="apply"):
    """Apply this load; `Ended` follows."""

    orders: Orders


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """End the load now: what is in flight is told as cancelled, then `Ended`."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The endpoint is open; or why it is not, in a sentence and its mend."""

    error: tuple[str, str | None] | None = None


class Told(msgspec.Struct, frozen=True, tag="told"):
    """Attempts that have ended."""

    requests: tuple[Request, ...]


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The load has ended: by itself, by `Stop`, or by an error."""

    audit: ClientAudit
    error: tuple[str, str | None] | None = None


ToWorker = Setup | Apply | Stop
FromWorker = Ready | Told | Ended


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    msg = f"{type(value).__name__} is not sent to workers"
    raise NotImplementedError(msg)


def _made(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    msg = f"{kind.__name__} is not sent to workers"
    raise NotImplementedError(msg)


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
LENGTH = 4


def frame(message: ToWorker | FromWorker) -> bytes:
    """One message as it goes over the pipe."""
    body = _encoder.encode(message)
    return len(body).to_bytes(LENGTH, "big") + body


def to_worker() -> msgspec.msgpack.Decoder[ToWorker]:
    """A decoder of what a worker is told."""
    return msgspec.msgpack.Decoder(ToWorker, dec_hook=_made)


def from_worker() -> msgspec.msgpack.Decoder[FromWorker]:
    """A decoder of what a worker says."""
    return msgspec.msgpack.Decoder(FromWorker, dec_hook=_made)


async def receive(stream: asyncio.StreamReader) -> bytes | None:
    """The next message's body; None when the other side has gone."""
    try:
        length = int.from_bytes(await stream.readexactly(LENGTH), "big")
        return await stream.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
