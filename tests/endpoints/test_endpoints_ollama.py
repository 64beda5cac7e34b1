"""The Ollama endpoint against a server that speaks its own API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from perwatt.core.errors import EngineError, SpecError, UnknownNameError
from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import Prompt, Served
from perwatt.endpoints.ollama import OllamaEndpoint
from perwatt.endpoints.ollama_server import address

Config = Callable[..., EndpointConfig]
MakePrompt = Callable[..., Prompt]
Fake = Callable[[], AbstractAsyncContextManager[Any]]
Test = Callable[[Any, OllamaEndpoint, Served], Awaitable[None]]

WORD = {"model": "qwen3:0.6b", "message": {"role": "assistant", "content": "Paris"}, "done": False}
LAST = {
    "model": "qwen3:0.6b",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 9,
    "eval_count": 2,
    "eval_duration": 5_000_000,
}


def line(**value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


@pytest.fixture
def opened(fake_ollama: Fake, make_config: Config) -> Callable[..., None]:
    """Runs a test on an open endpoint of a server that `before` has changed."""

    def run(test: Test, before: Callable[[Any], None] = lambda _: None, **config: Any) -> None:
        async def go() -> None:
            async with fake_ollama() as fake:
                fake.script = [line(**WORD), line(**LAST)]
                before(fake)
                endpoint = OllamaEndpoint(
                    make_config(**({"url": fake.url, "model": "qwen3:0.6b"} | config))
                )
                try:
                    await test(fake, endpoint, await endpoint.open())
                finally:
                    await endpoint.close()

        asyncio.run(go())

    return run


def test_what_it_is_and_where_it_runs(opened: Callable[..., None]) -> None:
    async def test(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        it = served.identity
        assert (it.engine, it.engine_version, it.model) == ("Ollama", "0.12.6", "qwen3:0.6b")
        assert (it.precision, it.parameters, it.licence) == ("Q4_K_M", 751632384, "apache-2.0")
        assert (it.chat_template, it.model_bytes) == (True, 522)
        assert it.settings["context"] == 4096
        assert it.settings["accelerator_share"] == 0.75
        assert served.uses_accelerator
        assert served.warnings == ("qwen3:0.6b is 75% on the accelerator, and the rest is not.",)
        loaded = [body for path, body in fake.requests if path == "/api/generate"]
        assert loaded == [
            {
                "model": "qwen3:0.6b",
                "stream": False,
                "options": {"num_ctx": 512},
                "keep_alive": "15m",
            }
        ]

    opened(test, extra_body={"options": {"num_ctx": 512}})


def test_on_the_processor_alone(opened: Callable[..., None]) -> None:
    async def test(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        assert not served.uses_accelerator
        assert served.warnings == ()

    opened(test, before=lambda fake: fake.ps.update(size_vram=0))


def test_a_chat_is_asked_and_timed(opened: Callable[..., None], make_prompt: MakePrompt) -> None:
    async def test(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        prompt = make_prompt("Capital?", max_tokens=7, top_k=5, stop=("\n",), seed=3, logprobs=True)
        reply = await endpoint.ask(prompt)
        assert (reply.status, reply.text, reply.finish_reason) == ("ok", "Paris", "stop")
        assert (reply.prompt_tokens, reply.completion_tokens, reply.http_status) == (9, 2, 200)
        assert reply.server is not None
        assert reply.server.decode_s == 0.005
        assert reply.sent_ns is not None
        assert reply.dispatched_ns <= reply.sent_ns <= (reply.first_byte_ns or 0)
        path, body = fake.requests[-1]
        assert path == "/api/chat"
        assert body == {
            "model": "qwen3:0.6b",
            "stream": True,
            "messages": [{"role": "user", "content": "Capital?"}],
            "truncate": False,
            "shift": False,
            "keep_alive": "15m",
            "logprobs": True,
            "think": False,
            "options": {
                "temperature": 0.0,
                "num_predict": 7,
                "seed": 3,
                "top_k": 5,
                "stop": ["\n"],
            },
        }
        assert (await endpoint.ask(prompt)).connection == "reused"

    opened(test, extra_body={"think": False, "stream": False})


@pytest.mark.parametrize(
    ("sampling", "think"),
    [
        ({"thinking": False}, False),
        ({"thinking": True}, True),
        ({"effort": "low"}, "low"),
        ({"thinking": True, "effort": "low"}, "low"),
        ({"thinking": False, "effort": "low"}, False),
        ({}, None),
    ],
)
def test_thinking_in_its_own_words(
    opened: Callable[..., None], make_prompt: MakePrompt, sampling: dict[str, Any], think: object
) -> None:
    async def test(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        assert "not_taken" not in served.identity.settings
        assert len(served.identity.settings["chat_template_sha256"]) == 64
        await endpoint.ask(make_prompt("Capital?", repetition_penalty=1.3, **sampling))
        body = fake.requests[-1][1]
        assert body.get("think") == think
        assert body["options"]["repeat_penalty"] == 1.3

    opened(test)


def test_a_model_that_cannot_think_is_not_asked_to(
    opened: Callable[..., None], make_prompt: MakePrompt
) -> None:
    """Ollama would refuse the whole question."""

    async def test(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        assert served.identity.settings["not_taken"] == ["effort", "thinking"]
        await endpoint.ask(make_prompt("Capital?", thinking=True))
        assert "think" not in fake.requests[-1][1]

    def plain(fake: Any) -> None:
        fake.show["capabilities"] = ["completion"]

    opened(test, before=plain)


def test_a_base_model_is_asked_by_examples(
    opened: Callable[..., None], make_prompt: MakePrompt
) -> None:
    async def test(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        assert served.identity.settings["mode"] == "completion"
        reply = await endpoint.ask(make_prompt("Capital?"))
        assert (reply.status, reply.text) == ("ok", " Paris")
        path, body = fake.requests[-1]
        assert path == "/api/generate"
        assert body["raw"] is True
        assert body["prompt"] == "Question: 2+2?\nAnswer: 4\n\nQuestion: Capital?\nAnswer:"
        assert "\n\n" in body["options"]["stop"]
        assert await endpoint.render(make_prompt("Capital?")) == body["prompt"]

    def base(fake: Any) -> None:
        fake.show["template"] = "{{ .Prompt }}"
        fake.script = [line(model="base:latest", response=" Paris"), line(done=True, eval_count=1)]

    opened(test, before=base, model="base")


def test_the_prompt_as_the_model_sees_it(
    opened: Callable[..., None], make_prompt: MakePrompt
) -> None:
    async def newer(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        assert await endpoint.render(make_prompt("Hi")) == "<u>Hi"

    async def older(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        for _ in range(3):
            assert await endpoint.render(make_prompt("Hi")) is None
        asked = [body for path, body in fake.requests if path == "/api/chat"]
        assert len(asked) == 1  # it would answer each time
        assert asked[0]["options"]["num_predict"] == 1

    opened(newer)
    opened(older, before=lambda fake: setattr(fake, "renders", False))


@pytest.mark.parametrize(
    ("status", "script", "kind", "words"),
    [
        (404, [line(error="model 'x' not found")], "http-404", "model 'x' not found"),
        (503, [line(error="server busy")], "http-503", "server busy"),
        (400, [line(error="input exceeds the context length")], "context-overflow", "exceeds"),
        (200, [line(**WORD), line(error="runner died")], "server", "runner died"),
        (200, [line(**WORD)], "truncated", "without an object that says `done`"),
        (200, [line(**WORD | {"model": "other"}), line(done=True)], "wrong-model", "other"),
        (200, [line(**WORD), b"oops\n"], "malformed", "oops"),
    ],
)
def test_failures_have_names(
    opened: Callable[..., None],
    make_prompt: MakePrompt,
    status: int,
    script: list[bytes],
    kind: str,
    words: str,
) -> None:
    async def test(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        fake.status, fake.script = status, script
        reply = await endpoint.ask(make_prompt())
        assert (reply.status, reply.error_kind) == ("error", kind)
        assert words in (reply.error or "")
        fake.status, fake.script = 200, [line(**WORD), line(**LAST)]
        assert (await endpoint.ask(make_prompt())).status == "ok"

    opened(test)


def test_cancelling_leaves_the_server(opened: Callable[..., None], make_prompt: MakePrompt) -> None:
    async def test(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        fake.script = [line(**WORD), "hang"]
        before = len(fake.requests)
        task = asyncio.create_task(endpoint.ask(make_prompt()))
        while len(fake.requests) == before:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(fake.abandoned.wait(), 60)

    opened(test)


def test_a_silent_server_times_out_by_name(
    opened: Callable[..., None], make_prompt: MakePrompt
) -> None:
    async def test(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        fake.script = [line(**WORD), "hang"]
        assert (await endpoint.ask(make_prompt())).error_kind == "timeout-chunk"
        fake.script = ["hang"]
        assert (await endpoint.ask(make_prompt())).error_kind == "timeout-first"

    opened(test, timeout_s=0.8)


def test_the_key_goes_with_it_and_nowhere_else(
    opened: Callable[..., None], make_prompt: MakePrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_TEST_KEY", "sesame-7")

    async def test(fake: Any, endpoint: OllamaEndpoint, served: Served) -> None:
        fake.script = [line(error="no entry for sesame-7")]
        reply = await endpoint.ask(make_prompt())
        assert "sesame-7" not in repr((reply, served, endpoint))
        assert {h["Authorization"] for h in fake.seen_headers} == {"Bearer sesame-7"}

    opened(test, api_key_env="OLLAMA_TEST_KEY")


def test_an_unknown_model_and_no_server(fake_ollama: Fake, make_config: Config) -> None:
    async def go() -> None:
        async with fake_ollama() as fake:
            endpoint = OllamaEndpoint(make_config(url=fake.url, model="qwen3:0.6"))
            with pytest.raises(UnknownNameError, match=r"Did you mean|qwen3:0\.6b"):
                await endpoint.open()
            url = fake.url
        with pytest.raises(EngineError, match="No Ollama server can be reached"):
            await OllamaEndpoint(make_config(url=url)).open()

    asyncio.run(go())


@pytest.mark.parametrize(
    ("given", "variable", "expected"),
    [
        (None, None, "http://localhost:11434"),
        (None, "0.0.0.0", "http://127.0.0.1:11434"),
        (None, "gpu-box:1234", "http://gpu-box:1234"),
        (None, "https://gpu-box", "https://gpu-box"),
        ("http://h:1/api/", "ignored", "http://h:1"),
        ("localhost:11434", None, "http://localhost:11434"),
    ],
)
def test_addresses(
    monkeypatch: pytest.MonkeyPatch, given: str | None, variable: str | None, expected: str
) -> None:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    if variable is not None:
        monkeypatch.setenv("OLLAMA_HOST", variable)
    assert address(given) == expected


def test_options_that_are_no_object_are_refused(make_config: Config) -> None:
    with pytest.raises(SpecError, match="`options` is no object"):
        OllamaEndpoint(make_config(extra_body={"options": 7}))
