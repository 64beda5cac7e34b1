"""Any server that speaks the OpenAI protocol, asked by streaming HTTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from perwatt.core.clock import now_ns, seconds
from perwatt.core.errors import EngineError, SpecError
from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import PairIdentity, Prompt, Reply, Served
from perwatt.endpoints.address import Mode, parse_address
from perwatt.endpoints.failures import bounded, server_message, transport_failure
from perwatt.endpoints.fewshot import STOP, few_shot_text
from perwatt.endpoints.handshake import Greeting, greet
from perwatt.endpoints.quirks import PLAIN
from perwatt.endpoints.sse import SSEParser
from perwatt.endpoints.stream import StreamError, StreamReader

if TYPE_CHECKING:
    import aiohttp

__all__ = ["OpenAIEndpoint"]

READ_BUFFER = 4 * 1024 * 1024
"""aiohttp pauses reading at its 64 KiB default and the server's speed becomes the client's."""
CONNECT_S = 10.0
KEEP_ALIVE_S = 3.0
"""llama.cpp's server drops an idle connection after 5 s: never send on one about to be dropped."""
STALE_S = 0.1
"""A kept connection that breaks this soon was closed before the request: it is sent again, on
another. Later than that the server had it, and it counts as a failure."""
DRAIN_S = 1.0
"""After the last event, so long for the server to end the response so that the connection lives."""


class OpenAIEndpoint:
    """`/v1/chat/completions`, or `/v1/completions` for a base model, of one server.

    The mode is `mode`, else what the URL names, else chat. The API key is read from the environment
    at each request and kept nowhere.
    """

    def __init__(self, config: EndpointConfig, mode: Mode | None = None) -> None:
        if config.url is None:
            msg = "The endpoint `openai` needs the address of a server."
            raise SpecError(msg, "Give it as --endpoint http://localhost:8000/v1.")
        self.config = config
        self.address = parse_address(config.url)
        self.mode: Mode = mode or self.address.mode or "chat"
        self.quirk = PLAIN
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> Served:
        """Check that the server answers and knows the model.

        Raises EngineError (unreachable, refused, not such a server), UnknownNameError, SpecError.
        """
        import aiohttp

        self._key()
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                read_bufsize=READ_BUFFER,
                trace_configs=[_mark_reuse()],
            )
        try:
            greeting = await greet(
                self._session, self.address, self.config.model, self._headers(), self._key()
            )
        except BaseException:
            await self.close()
            raise
        self.quirk = greeting.quirk
        return Served(
            identity=self._identity(greeting),
            url=self.address.root,
            pids=(),
            uses_accelerator=False,
            warnings=greeting.warnings,
        )

    async def render(self, prompt: Prompt) -> str | None:
        """The text the model will see; None where the server has no route that tells."""
        if self.mode == "completion":
            return few_shot_text(prompt)
        if self.quirk.template_path is None:
            return None
        body = msgspec.json.encode({"messages": prompt.messages})
        url = self.address.url(self.quirk.template_path)
        try:
            async with (
                asyncio.timeout(self.config.timeouts.chunk_s),
                self._opened().post(url, data=body, headers=self._headers()) as response,
            ):
                answer = msgspec.json.decode(await response.read())
        except Exception as error:
            if not (_is_transport(error) or isinstance(error, msgspec.DecodeError)):
                raise
            return None
        text = answer.get("prompt") if isinstance(answer, dict) else None
        return text if isinstance(text, str) else None

    async def ask(self, prompt: Prompt) -> Reply:
        """Stream one answer. Failures are Replies; only a missing key or a bug raises."""
        key = self._key()
        session = self._opened()
        headers = self._headers() | self.quirk.headers
        route = "/v1/chat/completions" if self.mode == "chat" else "/v1/completions"
        url = self.address.url(route)
        body = msgspec.json.encode(self._body(prompt))
        reader = StreamReader(now_ns())
        try:
            while True:
                try:
                    return await self._stream(session, url, body, headers, reader, key)
                except _StaleConnectionError:
                    continue  # bounded: each of them is out of the pool now
        except StreamError as error:
            return reader.failed(error.kind, bounded(str(error), key), now_ns(), 200)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if not _is_transport(error):
                raise
            kind, sentence = transport_failure(error)
            if kind == "timeout":
                sentence = f"the server sent nothing for {self.config.timeouts.chunk_s:g} s"
            return reader.failed(kind, bounded(sentence, key), now_ns())

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _stream(
        self,
        session: aiohttp.ClientSession,
        url: str,
        body: bytes,
        headers: dict[str, str],
        reader: StreamReader,
        key: str | None,
    ) -> Reply:
        loop = asyncio.get_running_loop()
        patience = self.config.timeouts.chunk_s
        parser = SSEParser()
        async with asyncio.timeout(patience) as deadline:
            async with self._post(session, url, body, headers, reader) as response:
                try:
                    if response.status != 200:
                        message = server_message(await response.read())
                        return reader.failed(
                            f"http-{response.status}",
                            bounded(message or str(response.reason), key),
                            now_ns(),
                            response.status,
                        )
                    if response.content_type == "application/json":
                        body_text = server_message(await response.read())
                        msg = f"the server did not stream its answer: {body_text}"
                        raise StreamError("malformed", msg)
                    while not reader.done:
                        data = await response.content.readany()
                        t_ns = now_ns()
                        if not data:
                            _take_end(parser, reader, t_ns)
                            break
                        content = [reader.take(event, t_ns) for event in parser.feed(data)]
                        if any(content):  # a comment or a ping is no sign of progress
                            deadline.reschedule(loop.time() + patience)
                    if not reader.complete:
                        msg = "the stream ended without a finish reason or [DONE]"
                        raise StreamError("truncated", msg)
                    await _drain(response)
                except BaseException:
                    # Closing the socket at once is what makes a server stop generating.
                    response.close()
                    raise
        return msgspec.structs.replace(reader.ok(), http_status=200)

    @asynccontextmanager
    async def _post(
        self,
        session: aiohttp.ClientSession,
        url: str,
        body: bytes,
        headers: dict[str, str],
        reader: StreamReader,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        connection = {"reused": False}
        reader.dispatched_ns = now_ns()
        try:
            response = await session.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,  # it would be asked twice, and carry the key elsewhere
                trace_request_ctx=connection,
            )
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if connection["reused"] and seconds(reader.dispatched_ns, now_ns()) < STALE_S:
                raise _StaleConnectionError from None
            raise
        async with response:
            yield response

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        sampling = prompt.sampling
        stop = list(sampling.stop)
        body: dict[str, Any] = {"model": self.config.model}
        if self.mode == "chat":
            body["messages"] = prompt.messages
        else:
            body["prompt"] = few_shot_text(prompt)
            stop += [s for s in STOP if s not in stop]
        body |= {
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
        }
        optional = {
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "stop": stop or None,
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        return body | self.quirk.extra_body

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, */*"}
        key = self._key()
        return headers | {"Authorization": f"Bearer {key}"} if key else headers

    def _key(self) -> str | None:
        name = self.config.api_key_env
        if name is None:
            return None
        key = os.environ.get(name, "").strip()
        if not key:
            msg = f"The environment variable {name}, named by --api-key-env, is not set."
            raise SpecError(msg, f"Set it to the server's key: export {name}=…")
        return key

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            msg = f"The endpoint {self.config.pair_id} is not open."
            raise EngineError(msg, "Call open() first.")
        return self._session

    def _identity(self, greeting: Greeting) -> PairIdentity:
        return PairIdentity(
            pair_id=self.config.pair_id,
            label=f"{_shown(self.config.model)} on {greeting.quirk.engine}",
            model=self.config.model,
            engine=greeting.quirk.engine,
            engine_version=greeting.engine_version,
            precision=greeting.precision,
            parameters=greeting.parameters,
            model_bytes=greeting.model_bytes,
            settings={"parallel": self.config.parallel, "mode": self.mode} | self.quirk.extra_body,
        )


class _StaleConnectionError(Exception):
    """The server had closed a kept connection before the request was sent on it."""


def _mark_reuse() -> aiohttp.TraceConfig:
    import aiohttp

    async def reused(_: Any, context: Any, __: Any) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx["reused"] = True

    traces = aiohttp.TraceConfig()
    traces.on_connection_reuseconn.append(reused)
    return traces


def _take_end(parser: SSEParser, reader: StreamReader, t_ns: int) -> None:
    """An event cut by the end of the stream is a truncated stream, not a malformed event."""
    for event in parser.end():
        try:
            reader.take(event, t_ns)
        except StreamError as error:
            if error.kind != "malformed":
                raise
            msg = "the stream ended in the middle of an event"
            raise StreamError("truncated", msg) from None


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read to the end so that the connection is used again; a server that dawdles loses it."""
    try:
        async with asyncio.timeout(DRAIN_S):
            while await response.content.readany():
                pass
    except (TimeoutError, OSError):
        response.close()
    except Exception as error:
        if not _is_transport(error):
            raise
        response.close()


def _is_transport(error: Exception) -> bool:
    import aiohttp

    return isinstance(error, (aiohttp.ClientError, TimeoutError, OSError))


def _shown(model: str) -> str:
    """llama.cpp's server calls its model by the whole path of its file: the name is enough."""
    if model.endswith(".gguf"):
        return model.replace("\\", "/").rpartition("/")[2].removesuffix(".gguf")
    return model
