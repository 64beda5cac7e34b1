"""The gate of the hot path: who may ask, how much, and where it goes. Bare ASGI."""

from __future__ import annotations

from typing import Any

from perwatt.gateway.answer import Answer
from perwatt.gateway.failure import error_body
from perwatt.gateway.headers import Headers, authorised, has_body
from perwatt.gateway.outflow import Outflow, Send
from perwatt.gateway.passage import Passage, Receive, Wiring

__all__ = ["Proxy"]


class _CallerLeftError(Exception):
    """Before it had said all that it wanted to ask."""


class _TooLargeError(Exception):
    """More than a body may have."""


class Proxy:
    """An ASGI application for everything under `/v1`."""

    def __init__(
        self,
        wiring: Wiring,
        *,
        client_key: str | None = None,
        max_body_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        """`client_key`: what callers must present; None: nothing is asked for."""
        self._wiring = wiring
        self._client_key = client_key
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request, to its end."""
        headers: Headers = scope["headers"]
        wiring = self._wiring
        out = Outflow(send)
        target = wiring.target.of(scope["raw_path"], scope["query_string"])
        if self._client_key is not None and not authorised(headers, self._client_key):
            self._refuse(out, 401, "The key is missing or wrong.", "invalid_api_key")
        elif target is None:
            self._refuse(out, 400, "The path is not usable.", "invalid_path")
        else:
            try:
                body = await self._body(receive, headers)
            except _CallerLeftError:
                return
            except _TooLargeError:
                text = f"The body is larger than {self._max_body_bytes // 2**20} MiB."
                self._refuse(out, 413, text, "request_too_large")
            else:
                await Passage(wiring, scope, out, target, body).run(receive)
        await out.drained()

    def _refuse(self, out: Outflow, status: int, text: str, code: str) -> None:
        more = [(b"connection", b"close")] if status == 413 else []
        if status == 401:
            more = [(b"www-authenticate", b"Bearer")]
        body = error_body(text, "invalid_request_error", code)
        Answer(out, None, None).say(status, body, more)

    async def _body(self, receive: Receive, headers: Headers) -> bytes | None:
        """The whole body; None for a request without one."""
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _CallerLeftError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_body_bytes:
                raise _TooLargeError
            more = message.get("more_body", False)
        return b"".join(parts) if size or has_body(headers) else None
