"""The floor: a protocol client that does next to nothing with what it reads.

    python bare_client.py URL IN_FLIGHT REQUESTS OUT.json

It sends one prepared request after another on each of its connections, marks the first bytes of
each response, and looks for the end of the body. No parsing, no text, no check: no client that says
what was answered can be cheaper.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

END = b"0\r\n\r\n"


class Bare(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self.load = load
        self.sent_ns = 0
        self.first_ns = 0
        self.request_id = ""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        asked = self.load.next_request()
        if asked is None:
            self.transport.close()
            return
        self.request_id, request = asked
        self.first_ns = 0
        self.sent_ns = time.monotonic_ns()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        if not self.first_ns:
            self.first_ns = now_ns
        if data.endswith(END):
            self.load.ttft_s[self.request_id] = (self.first_ns - self.sent_ns) / 1e9
            self.ask()

    def connection_lost(self, _: Exception | None) -> None:
        self.load.closed()


class Load:
    def __init__(self, host: str, requests: int, in_flight: int) -> None:
        body = json.dumps(
            {
                "model": "fake",
                "messages": [{"role": "user", "content": "What is the capital of France?"}],
                "stream": True,
                "stream_options": {"include_usage": True},
                "max_tokens": 32,
            }
        )
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.parts = (head, body)
        self.left = requests
        self.asked = 0
        self.open = in_flight
        self.ttft_s: dict[str, float] = {}
        self.done = asyncio.get_running_loop().create_future()

    def next_request(self) -> tuple[str, bytes] | None:
        if self.asked == self.left:
            return None
        self.asked += 1
        head, body = self.parts
        request_id = f"bare-{self.asked}"
        return request_id, f"{head}x-request-id: {request_id}\r\n\r\n{body}".encode()

    def closed(self) -> None:
        self.open -= 1
        if not self.open:
            self.done.set_result(None)


async def main(url: str, in_flight: int, requests: int, out: str) -> None:
    host, _, port = urlsplit(url).netloc.rpartition(":")
    load = Load(f"{host}:{port}", requests, in_flight)
    loop = asyncio.get_running_loop()
    for _ in range(in_flight):
        await loop.create_connection(lambda: Bare(load), host, int(port))
    await load.done
    Path(out).write_text(json.dumps({"ttft_s": load.ttft_s}))


if __name__ == "__main__":
    factory = None
    if find_spec("uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
