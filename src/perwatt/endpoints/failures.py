"""What went wrong with a request, in one word and one sentence, without any secret in it."""

from __future__ import annotations

import msgspec

__all__ = ["bounded", "server_message", "transport_failure"]

LONGEST = 500
"""Characters of a server's own words that are kept."""


def transport_failure(error: BaseException) -> tuple[str, str]:
    """`(error_kind, sentence)` of what aiohttp raised. Kinds: `connect`, `timeout`, `reset` …"""
    import aiohttp

    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        return "connect", f"the server cannot be reached: {error}"
    if isinstance(error, TimeoutError):
        return "timeout", "the server sent nothing for too long"
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientOSError, OSError)):
        return "reset", "the server closed the connection in the middle of its answer"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "reset", "the server closed the connection before it answered"
    return "malformed", f"the server's answer is not HTTP that can be read: {error}"


def server_message(body: bytes) -> str:
    """The message in an error body of the OpenAI shape, or the body itself."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode("utf-8", errors="replace").strip()
    if isinstance(decoded, dict):
        error = decoded.get("error", decoded)
        if isinstance(error, dict):
            error = error.get("message") or error.get("detail") or error
        return str(error)
    return str(decoded)


def bounded(message: str, key: str | None) -> str:
    """`message` on one line, at most 500 characters, the API key blotted out."""
    if key:
        message = message.replace(key, "[key]")
    message = " ".join(message.split())
    return message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
