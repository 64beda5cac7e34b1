"""The HTTP client against a scripted server on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from perwatt.core.errors import EngineError, PerwattError, SpecError, UnknownNameError
from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import Prompt, Reply
from perwatt.endpoints.address import parse_address
from perwatt.endpoints.openai import OpenAIEndpoint

Fake = Callable[[], AbstractAsyncContextManager[Any]]
Config = Callable[..., EndpointConfig]
MakePrompt = Callable[..., Prompt]


def event(**chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def says(text: str) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}}])


FINISH = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
USAGE = event(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2})
DONE = b"data: [DONE]\n\n"


def ask_once(
    fake_server: Fake, config: Config, prompt: Prompt, setup: Callable[[Any], None], **more: Any
) -> tuple[Reply, Any]:
    async def go() -> tuple[Reply, Any]:
        async with fake_server() as fake:
            setup(fake)
            endpoint = OpenAIEndpoint(config(url=fake.url, **more))
            try:
                await endpoint.open()
                return await endpoint.ask(prompt), fake
            finally:
                await endpoint.close()

    return asyncio.run(go())


@pytest.fixture
def ask(fake_server: Fake, make_config: Config, make_prompt: MakePrompt) -> Callable[..., Any]:
    def go(*script: Any, prompt: Prompt | None = None, **more: Any) -> tuple[Reply, Any]:
        server = more.pop("server", {})

        def setup(fake: Any) -> None:
            fake.script = list(script)
            for name, value in server.items():
                setattr(fake, name, value)

        return ask_once(fake_server, make_config, prompt or make_prompt(), setup, **more)

    return go


def test_marks_lie_in_order_and_gaps_are_those_of_the_server(ask: Callable[..., Any]) -> None:
    reply, _ = ask(0.05, says("a"), 0.1, says("b"), FINISH, USAGE, DONE)
    assert reply.status == "ok"
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("ab", 3, 2)
    assert reply.http_status == 200
    first, second = reply.chunk_offsets_ns
    assert first >= 45e6
    assert 80e6 <= second - first <= 300e6
    assert reply.first_chunk_ns == reply.dispatched_ns + first
    assert reply.last_chunk_ns == reply.dispatched_ns + second


def test_a_stream_cut_anywhere_is_read_whole(ask: Callable[..., Any]) -> None:
    stream = says("é東") + says("😀") + FINISH + USAGE + DONE
    pieces = [p for at in range(0, len(stream), 37) for p in (stream[at : at + 37], 0.001)]
    reply, _ = ask(*pieces)
    assert (reply.text, reply.status, len(reply.chunk_offsets_ns)) == ("é東😀", "ok", 2)


def test_what_is_sent(ask: Callable[..., Any], make_prompt: MakePrompt) -> None:
    prompt = make_prompt(
        temperature=0.7, top_p=0.9, top_k=40, min_p=0.1, max_tokens=9, seed=3, stop=("X",)
    )
    _, fake = ask(says("a"), FINISH, DONE, prompt=prompt)
    assert fake.requests == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.7,
            "max_tokens": 9,
            "seed": 3,
            "top_p": 0.9,
            "top_k": 40,
            "min_p": 0.1,
            "stop": ["X"],
        }
    ]


def test_only_llamacpp_is_told_to_leave_its_cache(ask: Callable[..., Any]) -> None:
    _, plain = ask(says("a"), FINISH, DONE)
    _, llama = ask(says("a"), FINISH, DONE, server={"headers": {"Server": "llama.cpp"}})
    assert "cache_prompt" not in plain.requests[0]
    assert "top_k" not in plain.requests[0]
    assert llama.requests[0]["cache_prompt"] is False


def test_a_base_model_is_asked_by_examples(
    fake_server: Fake, make_config: Config, make_prompt: MakePrompt
) -> None:
    async def go() -> None:
        async with fake_server() as fake:
            text = event(choices=[{"text": " Paris", "finish_reason": None}])
            fake.script = [text, event(choices=[{"text": "", "finish_reason": "stop"}]), DONE]
            endpoint = OpenAIEndpoint(make_config(url=f"{fake.url}/v1/completions"))
            await endpoint.open()
            reply = await endpoint.ask(make_prompt(stop=("\n\n", "END")))
            rendered = await endpoint.render(make_prompt())
            await endpoint.close()
            assert fake.paths == ["/v1/completions"]
            assert reply.text == " Paris"
            sent = fake.requests[0]
            assert sent["prompt"] == rendered
            assert rendered == (
                "Question: 2+2?\nAnswer: 4\n\nQuestion: What is the capital of France?\nAnswer:"
            )
            assert sent["stop"] == ["\n\n", "END", "\nQuestion:"]

    asyncio.run(go())


@pytest.mark.parametrize(
    ("script", "server", "kind", "words"),
    [
        ([b'{"error": {"message": "slow down"}}'], {"status": 429}, "http-429", "slow down"),
        ([b"boom"], {"status": 500}, "http-500", "boom"),
        ([], {"status": 503}, "http-503", "Service Unavailable"),
        ([says("a"), "reset"], {}, "reset", "closed the connection"),
        (["reset"], {}, "reset", "closed the connection"),
        ([says("a")], {}, "truncated", "without a finish reason"),
        ([says("a"), b'data: {"choices": [{"del'], {}, "truncated", "middle of an event"),
        ([says("a"), b"data: {nonsense\n\n"], {}, "malformed", "nonsense"),
        ([b'{"choices": []}'], {"content_type": "application/json"}, "not-streamed", "not stream"),
        ([says("a"), event(error={"code": 500, "message": "oom"})], {}, "http-500", "oom"),
    ],
)
def test_failures_are_replies(
    ask: Callable[..., Any], script: list[Any], server: dict[str, Any], kind: str, words: str
) -> None:
    reply, _ = ask(*script, server=server)
    assert (reply.status, reply.error_kind) == ("error", kind)
    assert words in (reply.error or "")
    assert reply.last_chunk_ns >= reply.dispatched_ns
    assert reply.text in {"", "a"}


def test_timeout_is_between_chunks_and_pings_are_no_progress(ask: Callable[..., Any]) -> None:
    words = (says("a"), 0.4, says("b"), 0.4, says("c"), 0.4, says("d"), 0.4, FINISH, DONE)
    slow, _ = ask(*words, timeout_s=1.5)
    assert (slow.status, slow.text) == ("ok", "abcd")
    pings = [step for _ in range(600) for step in (b": ping\n\n", 0.05)]
    stuck, _ = ask(says("a"), *pings, FINISH, timeout_s=1.0)
    assert (stuck.error_kind, stuck.text) == ("timeout-chunk", "a")
    assert 0.9e9 <= stuck.last_chunk_ns - stuck.dispatched_ns < 25e9


def test_a_server_that_is_gone(make_config: Config, make_prompt: MakePrompt) -> None:
    with socket.socket() as nobody:  # bound, so that nobody else comes to listen there
        nobody.bind(("127.0.0.1", 0))
        endpoint = OpenAIEndpoint(make_config(url=f"http://127.0.0.1:{nobody.getsockname()[1]}"))
        with pytest.raises(EngineError, match="No server can be reached at"):
            asyncio.run(endpoint.open())


def test_connect_failure_after_open_is_a_reply(
    fake_server: Fake, make_config: Config, make_prompt: MakePrompt
) -> None:
    async def go() -> Reply:
        async with fake_server() as fake:
            endpoint = OpenAIEndpoint(make_config(url=fake.url))
            await endpoint.open()
        try:
            return await endpoint.ask(make_prompt())
        finally:
            await endpoint.close()

    reply = asyncio.run(go())
    assert (reply.status, reply.error_kind) == ("error", "connect")


def test_cancelling_closes_the_connection_at_once(
    fake_server: Fake, make_config: Config, make_prompt: MakePrompt
) -> None:
    async def go() -> None:
        async with fake_server() as fake:
            fake.script = [says("a"), "hang"]
            endpoint = OpenAIEndpoint(make_config(url=fake.url))
            await endpoint.open()
            task = asyncio.create_task(endpoint.ask(make_prompt()))
            while not fake.requests:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(fake.abandoned.wait(), 60)  # before close()
            await endpoint.close()

    asyncio.run(go())


def test_connections_are_used_again(
    fake_server: Fake, make_config: Config, make_prompt: MakePrompt
) -> None:
    async def go() -> None:
        async with fake_server() as fake:
            fake.script = [says("a"), FINISH, DONE]
            endpoint = OpenAIEndpoint(make_config(url=fake.url, parallel=3))
            await endpoint.open()
            for _ in range(4):
                assert (await endpoint.ask(make_prompt())).status == "ok"
            assert len(fake.peers) == 1
            replies = await asyncio.gather(*(endpoint.ask(make_prompt()) for _ in range(3)))
            assert [r.status for r in replies] == ["ok"] * 3
            await endpoint.close()
            await endpoint.close()

    asyncio.run(go())


def test_a_connection_dropped_after_the_answer_costs_no_request(
    fake_server: Fake, make_config: Config, make_prompt: MakePrompt
) -> None:
    async def go() -> None:
        async with fake_server() as fake:
            fake.script = [says("a"), FINISH, DONE, "drop"]
            endpoint = OpenAIEndpoint(make_config(url=fake.url))
            await endpoint.open()
            for _ in range(30):
                assert (await endpoint.ask(make_prompt())).status == "ok"
            assert len(fake.requests) == 30  # sent again, never answered twice
            await endpoint.close()

    asyncio.run(go())


def test_the_key_is_sent_and_never_shown(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    body = json.dumps({"error": {"message": "key sk-very-secret is bad " + "x" * 900}}).encode()
    reply, fake = ask(body, server={"status": 401}, api_key_env="MY_KEY")
    assert all(h["Authorization"] == "Bearer sk-very-secret" for h in fake.seen_headers)
    assert reply.error_kind == "http-401"
    assert "[key]" in reply.error
    assert len(reply.error) == 500
    assert "sk-very-secret" not in repr(reply) + caplog.text


def test_a_missing_key_names_the_variable(
    make_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    endpoint = OpenAIEndpoint(make_config(url="http://localhost:1", api_key_env="MY_KEY"))
    with pytest.raises(SpecError, match="MY_KEY"):
        asyncio.run(endpoint.open())


def opened(fake_server: Fake, config: Config, setup: Callable[[Any], None], **more: Any) -> Any:
    async def go() -> Any:
        async with fake_server() as fake:
            setup(fake)
            endpoint = OpenAIEndpoint(config(url=fake.url + more.pop("path", ""), **more))
            try:
                return await endpoint.open()
            finally:
                await endpoint.close()

    return asyncio.run(go())


def test_a_model_called_by_its_files_path_is_shown_by_its_name(
    fake_server: Fake, make_config: Config
) -> None:
    path = "/home/somebody/models/Some-1B.Q4_0.gguf"

    def setup(fake: Any) -> None:
        fake.models = json.dumps({"data": [{"id": path}]}).encode()

    served = opened(fake_server, make_config, setup, model=path)
    assert served.identity.label == "Some-1B.Q4_0 on openai-compatible"


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_every_form_of_the_address(fake_server: Fake, make_config: Config, path: str) -> None:
    served = opened(fake_server, make_config, lambda fake: None, path=path)
    assert served.identity.engine == "openai-compatible"
    assert not served.warnings


@pytest.mark.parametrize(
    ("body", "status", "error", "words"),
    [
        (None, 200, UnknownNameError, "Did you mean other"),
        (b"<html>hello</html>", 200, EngineError, "no OpenAI-compatible server"),
        (b'{"error": {"message": "bad key"}}', 401, EngineError, "refused the key"),
        (b"down", 502, EngineError, "HTTP 502: down"),
    ],
)
def test_servers_that_will_not_do(
    fake_server: Fake,
    make_config: Config,
    body: bytes | None,
    status: int,
    error: type[PerwattError],
    words: str,
) -> None:
    def setup(fake: Any) -> None:
        fake.models = body or fake.models
        fake.models_status = status

    with pytest.raises(error, match=words):
        opened(fake_server, make_config, setup, model="othr")


@pytest.mark.parametrize(("body", "status"), [(b"", 404), (b'{"data": []}', 200)])
def test_a_server_that_lists_nothing_is_trusted_with_a_warning(
    fake_server: Fake, make_config: Config, body: bytes, status: int
) -> None:
    def setup(fake: Any) -> None:
        fake.models, fake.models_status = body, status

    served = opened(fake_server, make_config, setup, model="anything")
    assert "taken on trust" in served.warnings[0]


def test_what_a_server_tells_of_itself(fake_server: Fake, make_config: Config) -> None:
    def setup(fake: Any) -> None:
        meta = {"ftype": "Q4_0", "n_params": 7, "size": 99}
        model = {"id": "m", "owned_by": "llamacpp", "meta": meta}
        fake.models = json.dumps({"data": [model]}).encode()

    identity = opened(fake_server, make_config, setup).identity
    assert (identity.engine, identity.precision) == ("llama.cpp", "Q4_0")
    assert (identity.parameters, identity.model_bytes) == (7, 99)
    assert identity.settings["cache_prompt"] is False


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://x",
        "http://",
        "http://x:99999",
        "http://x:0",
        "http://[",
        "http://user:pw@x",
        "http://x/v1?api_key=k",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_address(url)
    assert "pw" not in str(caught.value)
    assert "api_key=k" not in str(caught.value)
