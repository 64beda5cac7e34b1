"""What a Reply says besides its text, and what a server is asked besides the question."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from perwatt.core.errors import SpecError
from perwatt.core.protocols import CountsTokens, EndpointConfig, Timeouts
from perwatt.core.records import Message, Prompt, Reply, Sampling
from perwatt.endpoints.address import parse_address
from perwatt.endpoints.openai import OpenAIEndpoint
from perwatt.endpoints.quirks import by_host

Peer = Any  # of conftest.py
Run = Callable[..., Any]
Config = Callable[..., EndpointConfig]

MODELS = json.dumps({"data": [{"id": "m", "aliases": ["em"], "root": "/w/real"}]}).encode()
SAYS = b'data: {"model": "m", "choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
FINISH = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def page(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def stream(*events: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{more}"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)
    return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


class Told:
    """A server that says the same to each question, and keeps what it was asked."""

    def __init__(self, answer: bytes, models: bytes = page(MODELS), **pages: bytes) -> None:
        self.answer, self.models, self.pages = answer, models, pages
        self.asked: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        while request := await peer.request():
            self.asked.append(request)
            path = request.split(b" ")[1].decode()
            name = path.partition("?")[0].rsplit("/", 1)[1].replace("-", "_")
            if name == "models":
                await peer.say(self.models)
            elif name in self.pages:
                await peer.say(self.pages[name])
            elif name == "completions":
                await peer.say(self.answer)
            else:
                await peer.say(page(b"{}", "404 Not Found"))

    def head(self, number: int = -1) -> str:
        return self.asked[number].partition(b"\r\n\r\n")[0].decode()

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.asked[-1].partition(b"\r\n\r\n")[2])
        return body


PROMPT = Prompt(
    request_id="item-1/0",
    messages=(Message(role="user", content="q"),),
    sampling=Sampling(max_tokens=4, logprobs=True),
)


@pytest.fixture
def ask(run_bytes: Run, make_config: Config) -> Callable[..., Any]:
    """Ask `told` `times` times; `path` behind the server's address, `more` for the config."""

    def go(told: Told, times: int = 1, path: str = "", **more: Any) -> list[Reply]:
        async def test(_: Any, server: Any) -> list[Reply]:
            endpoint = OpenAIEndpoint(make_config(url=server.url + path, **more))
            try:
                await endpoint.open()
                return [await endpoint.ask(PROMPT) for _ in range(times)]
            finally:
                await endpoint.close()

        replies: list[Reply] = run_bytes(told, test)
        return replies

    return go


def test_marks_from_dispatch_to_the_last_chunk(ask: Callable[..., list[Reply]]) -> None:
    first, second = ask(Told(stream(SAYS, SAYS, FINISH, DONE)), times=2)
    for reply in (first, second):
        assert reply.status == "ok"
        assert reply.sent_ns is not None
        assert reply.first_byte_ns is not None
        assert reply.first_chunk_ns is not None
        assert reply.dispatched_ns <= reply.sent_ns <= reply.first_byte_ns
        assert reply.first_byte_ns <= reply.first_chunk_ns <= reply.last_chunk_ns
    # the first connection was opened by the handshake
    assert (first.connection, second.connection) == ("reused", "reused")
    assert (first.http_status, first.retry_after_s, first.answer_cached) == (200, None, None)


def test_the_request_carries_its_id_and_what_was_added(ask: Callable[..., list[Reply]]) -> None:
    told = Told(stream(SAYS, FINISH, DONE))
    ask(told, extra_body={"user": "me", "stream": False})
    assert "\r\nX-Request-Id: item-1/0" in told.head()
    assert "\r\nUser-Agent: perwatt\r\n" in told.head()
    assert told.head().startswith("POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:")
    body = told.body()
    assert (body["user"], body["stream"], body["logprobs"]) == ("me", True, True)
    assert list(body)[-1] == "user"


@pytest.mark.parametrize(
    ("told", "kind", "wait_s"),
    [
        (Told(page(b'{"error": {"message": "slow down"}}', "429 Too Many Requests",
                   "Retry-After: 12\r\n")), "http-429", 12.0),
        (Told(page(b"", "503 Service Unavailable", "retry-after-ms: 1500\r\n")), "http-503", 1.5),
        (Told(page(b"", "307 Temporary Redirect", "Location: http://x\r\n")), "http-307", None),
        (Told(stream(FINISH, DONE)), "empty", None),
        (Told(stream(SAYS.replace(b'"m"', b'"other"'), FINISH, DONE)), "wrong-model", None),
        (Told(stream(SAYS, SAYS.replace(b'"a"', b'"\xff"'), FINISH, DONE)), "bad-utf8", None),
        (Told(stream(SAYS, b"data: <html>\n\n")), "malformed", None),
        (Told(stream(SAYS, b'data: {"error": {"code": 503, "message": "x"}}\n\n')),
         "http-503", None),
        (Told(stream(SAYS, more="Content-Encoding: gzip\r\n")), "malformed", None),
        (Told(page(b'{"choices": [{"message": {"content": "a"}}]}')), "not-streamed", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_failures_have_names(
    ask: Callable[..., list[Reply]], told: Told, kind: str, wait_s: float | None
) -> None:
    (reply,) = ask(told)
    assert (reply.status, reply.error_kind, reply.retry_after_s) == ("error", kind, wait_s)
    assert reply.error
    if (
        SAYS[:30] in told.answer and b"gzip" not in told.answer
    ):  # what had come is kept, with its marks
        assert (reply.text, len(reply.chunk_offsets_ns)) == ("a", 1)


@pytest.mark.parametrize("name", ["em", "/w/real", "real", "m-2024-01-01", "v/m"])
def test_other_names_of_the_same_model_are_no_failure(
    ask: Callable[..., list[Reply]], name: str
) -> None:
    says = SAYS.replace(b'"m"', json.dumps(name).encode())
    assert ask(Told(stream(says, FINISH, DONE)))[0].status == "ok"


def test_an_answer_out_of_a_proxy_s_cache_is_said_to_be(ask: Callable[..., list[Reply]]) -> None:
    (reply,) = ask(Told(stream(SAYS, FINISH, DONE, more="X-Cache: HIT\r\n")))
    assert reply.answer_cached is True


def test_a_stream_lost_after_its_end_was_said_is_whole(run_bytes: Run, make_config: Config) -> None:
    async def script(peer: Peer) -> None:
        while (request := await peer.request()).startswith(b"GET"):
            found = b"/models" in request
            await peer.say(page(MODELS) if found else page(b"{}", "404 Not Found"))
        await peer.say(stream(SAYS, FINISH).removesuffix(b"0\r\n\r\n"), 0.05)
        peer.reset()

    async def test(_: Any, server: Any) -> Reply:
        endpoint = OpenAIEndpoint(make_config(url=server.url))
        await endpoint.open()
        reply = await endpoint.ask(PROMPT)
        await endpoint.close()
        return reply

    reply = run_bytes(script, test)
    assert (reply.status, reply.text, reply.finish_reason) == ("ok", "a", "stop")


def test_each_wait_is_the_config_s(run_bytes: Run, make_config: Config) -> None:
    async def script(peer: Peer) -> None:
        while (request := await peer.request()).startswith(b"GET"):
            found = b"/models" in request
            await peer.say(page(MODELS) if found else page(b"{}", "404 Not Found"))
        await peer.say(stream(SAYS).removesuffix(b"0\r\n\r\n"), 5.0)

    async def test(_: Any, server: Any) -> Reply:
        waits = Timeouts(first_s=5.0, chunk_s=0.1)
        endpoint = OpenAIEndpoint(make_config(url=server.url, timeouts=waits))
        await endpoint.open()
        reply = await endpoint.ask(PROMPT)
        await endpoint.close()
        return reply

    reply = run_bytes(script, test)
    assert (reply.error_kind, reply.text) == ("timeout-chunk", "a")


@pytest.mark.parametrize(
    ("owner", "sent"),
    [
        ("llamacpp", {"content": "some words", "add_special": False}),
        ("vllm", {"model": "m", "prompt": "some words", "add_special_tokens": False}),
        ("nobody", None),
    ],
)
def test_tokens_are_counted_where_the_server_can(
    run_bytes: Run, make_config: Config, owner: str, sent: dict[str, Any] | None
) -> None:
    models = page(json.dumps({"data": [{"id": "m", "owned_by": owner}]}).encode())
    told = Told(b"", models, tokenize=page(b'{"tokens": [5, 6, 7], "count": 3}'))

    async def test(_: Any, server: Any) -> int | None:
        endpoint = OpenAIEndpoint(make_config(url=server.url))
        assert isinstance(endpoint, CountsTokens)
        await endpoint.open()
        count = await endpoint.count_tokens("some words")
        await endpoint.close()
        return count

    assert run_bytes(told, test) == (3 if sent else None)
    if sent:
        assert told.body() == sent


@pytest.mark.parametrize(
    ("route", "told", "engine", "version"),
    [
        ("info", b'{"max_concurrent_requests": 128, "version": "3.3.4"}', "TGI", "3.3.4"),
        ("version", b'{"version": "0.12.0"}', "Ollama", "0.12.0"),
        ("readiness", b'{"status": "healthy", "db": "Not connected"}', "LiteLLM", None),
    ],
)
def test_a_server_known_by_a_route_of_its_own(
    run_bytes: Run,
    make_config: Config,
    route: str,
    told: bytes,
    engine: str,
    version: str | None,
) -> None:
    server = Told(b"", **{route: page(told)})

    async def test(_: Any, listening: Any) -> Any:
        endpoint = OpenAIEndpoint(make_config(url=listening.url))
        served = await endpoint.open()
        await endpoint.close()
        return served.identity

    identity = run_bytes(server, test)
    assert (identity.engine, identity.engine_version) == (engine, version)


def test_a_deployment_of_azure(
    run_bytes: Run, make_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is found by the host name, so a stand-in is told by hand which it is."""
    azure = by_host("x.openai.azure.com")
    assert azure is not None
    monkeypatch.setenv("AZURE_KEY", "secret")
    monkeypatch.setattr("perwatt.endpoints.openai.by_host", lambda host: azure)
    monkeypatch.setattr("perwatt.endpoints.handshake.by_host", lambda host: azure)
    told = Told(stream(SAYS.replace(b'"m"', b'"gpt-4o-2024-08-06"'), FINISH, DONE))
    path = "/openai/deployments/mine/chat/completions?api-version=2024-10-21"

    async def test(_: Any, server: Any) -> tuple[Any, Reply]:
        config = make_config(url=server.url + path, model="mine", api_key_env="AZURE_KEY")
        endpoint = OpenAIEndpoint(config)
        served = await endpoint.open()
        reply = await endpoint.ask(PROMPT)
        await endpoint.close()
        return served, reply

    served, reply = run_bytes(told, test)
    assert (reply.status, served.identity.engine) == ("ok", "Azure OpenAI")
    assert "taken on trust" in served.warnings[0]
    (head,) = [told.head(n) for n in range(len(told.asked))]  # nothing but the question
    assert head.startswith(f"POST {path} HTTP/1.1\r\n")
    assert "\r\napi-key: secret" in head
    assert "Authorization" not in head
    assert told.body()["max_completion_tokens"] == 4


def test_a_key_is_one_plain_line(make_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "two\r\nX-Lines: 1")
    endpoint = OpenAIEndpoint(make_config(url="http://localhost:1", api_key_env="MY_KEY"))
    with pytest.raises(SpecError, match="MY_KEY") as caught:
        asyncio.run(endpoint.open())
    assert "X-Lines" not in str(caught.value)


def test_routes_of_both_modes() -> None:
    for path, route in (("", "/v1/chat/completions"), ("/v1/completions", "/v1/completions")):
        address = parse_address(f"http://h{path}")
        chosen = "/chat/completions" if address.mode != "completion" else "/completions"
        assert address.route(chosen) == route
