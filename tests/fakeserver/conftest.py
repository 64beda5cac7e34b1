"""A client that knows bytes alone, so that the server is not judged by perwatt's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from perwatt.core.clock import now_ns


class Seen:
    """What came back over the socket."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.reads: list[tuple[int, bytes]] = []
        """(when, bytes), as they were read."""
        self.sent_ns = 0
        self.whole = False
        """The body ended as HTTP says it should."""
        self.reset = False

    @property
    def events(self) -> list[Any]:
        """Decoded `data:` lines but [DONE]; bytes where they are no JSON."""
        found: list[Any] = []
        for event in self.body.split(b"\n\n"):
            data = event.removeprefix(b"data: ")
            if data and data != b"[DONE]":
                try:
                    found.append(json.loads(data))
                except ValueError:
                    found.append(data)
        return found

    @property
    def deltas(self) -> list[dict[str, Any]]:
        choices = [e["choices"] for e in self.events if isinstance(e, dict) and "choices" in e]
        return [c[0].get("delta", c[0]) for c in choices if c]

    @property
    def text(self) -> str:
        return "".join(d.get("content") or d.get("text") or "" for d in self.deltas)

    @property
    def finish(self) -> str | None:
        last = [e["choices"][0]["finish_reason"] for e in self.events if e.get("choices")]
        return last[-1] if last else None

    @property
    def done(self) -> bool:
        return self.body.endswith(b"data: [DONE]\n\n")

    def json(self) -> Any:
        return json.loads(self.body)


Ask = Callable[..., Awaitable[Seen]]


async def _raw(
    url: str, request: bytes, patience_s: float = 60.0, leave_after: int = 0, words: int = 0
) -> Seen:
    """Read until the response ends, for `patience_s` at the most.

    `leave_after`: close once so many reads have come. `words`: the patience begins when so many
    have come, however long a busy machine takes over them.
    """
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    seen = Seen()
    raw = b""
    try:
        seen.sent_ns = begin_ns = now_ns()
        writer.write(request)
        while not seen.whole:
            try:
                left_s = patience_s - (now_ns() - begin_ns) / 1e9
                if words:
                    left_s = 60.0
                data = await asyncio.wait_for(reader.read(65536), max(0.0, left_s))
            except TimeoutError:
                break
            except ConnectionError:
                seen.reset = True
                break
            seen.reads.append((now_ns(), data))
            raw += data
            _parse(seen, raw)
            if words and len(seen.text.split()) >= words:
                words, begin_ns = 0, now_ns()
            if not data or len(seen.reads) == leave_after:
                break
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            seen.reset = True
    return seen


def _parse(seen: Seen, raw: bytes) -> None:
    head, found, rest = raw.partition(b"\r\n\r\n")
    if not found:
        return
    lines = head.decode().split("\r\n")
    seen.status = int(lines[0].split()[1])
    seen.headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    if "content-length" in seen.headers:
        seen.body = rest
        seen.whole = len(rest) >= int(seen.headers["content-length"])
        return
    seen.body = b""
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            return
        if length == 0:
            seen.whole = True
            return
        seen.body += rest[:length]
        rest = rest[length + 2 :]


async def _ask(
    url: str,
    prompt: str = "hello there",
    *,
    path: str = "/v1/chat/completions",
    headers: dict[str, str] | None = None,
    patience_s: float = 60.0,
    leave_after: int = 0,
    words: int = 0,
    **body: Any,
) -> Seen:
    asked: dict[str, Any] = {"model": "fake", "stream": True}
    if path.endswith("chat/completions"):
        asked["messages"] = [{"role": "user", "content": prompt}]
    else:
        asked["prompt"] = prompt
    request = as_request("POST", path, {**asked, **body}, headers)
    return await _raw(url, request, patience_s, leave_after, words)


def as_request(
    method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: test", f"content-length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


async def _get(url: str, path: str, method: str = "GET", body: Any = None) -> Seen:
    return await _raw(url, as_request(method, path, body))


@pytest.fixture
def ask() -> Ask:
    """`await ask(url, prompt, headers=…, leave_after=…, **body)`."""
    return _ask


@pytest.fixture
def get() -> Ask:
    """`await get(url, path, method, body)`."""
    return _get


@pytest.fixture
def raw() -> Ask:
    """`await raw(url, bytes)`."""
    return _raw


@pytest.fixture
def request_bytes() -> Callable[..., bytes]:
    return as_request
