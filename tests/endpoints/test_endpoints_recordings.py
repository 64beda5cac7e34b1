"""Whole responses of the real llama.cpp server (xllamacpp 2026.10.11549, SmolLM2-135M), byte for
byte as they came, through everything but the socket: the same reply however they are cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import Prompt, Reply
from perwatt.endpoints.http_client import HttpClient
from perwatt.endpoints.http_connection import HttpConnection
from perwatt.endpoints.openai import OpenAIEndpoint

GOLDEN = Path(__file__).parents[1] / "golden" / "endpoints"
Config = Callable[..., EndpointConfig]
MakePrompt = Callable[..., Prompt]


class Wire(asyncio.Transport):
    """Instead of a socket: once asked, the pieces arrive one after the other, then the end."""

    def __init__(self, connection: HttpConnection, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self.connection, self.pieces, self.closed = connection, pieces, False

    def write(self, data: Any) -> None:
        asyncio.get_running_loop().call_soon(self.feed)

    def feed(self) -> None:
        for piece in self.pieces:
            if self.closed:
                break
            room = self.connection.get_buffer(-1)
            room[: len(piece)] = piece
            self.connection.buffer_updated(len(piece))
        if not self.closed:
            self.closed = True
            self.connection.connection_lost(None)

    def abort(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    close = abort

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0


class Canned(HttpClient):
    """A client whose every connection says `pieces`."""

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__("http://canned")
        self.pieces = pieces

    async def _open(self) -> HttpConnection:
        connection = HttpConnection(self, memoryview(bytearray(65536)))
        connection.connection_made(cast("asyncio.Transport", Wire(connection, self.pieces)))
        return connection


def reply_to(config: EndpointConfig, prompt: Prompt, raw: bytes, cuts: Iterable[int]) -> Reply:
    places = sorted({c for c in cuts if c < len(raw)} | {0, len(raw)})
    endpoint = OpenAIEndpoint(config)
    endpoint._client = Canned([raw[a:b] for a, b in pairwise(places)])
    return asyncio.run(endpoint.ask(prompt))


@pytest.fixture
def replay(make_config: Config, make_prompt: MakePrompt) -> Callable[..., Reply]:
    def go(name: str, cuts: Iterable[int] = (), **sampling: Any) -> Reply:
        raw = (GOLDEN / f"llamacpp-{name}.http").read_bytes()
        path = "/v1/completions" if "completion" in name else "/v1"
        config = make_config(url=f"http://canned{path}", model="smollm2-135m")
        return reply_to(config, make_prompt(**sampling), raw, cuts)

    return go


def unmarked(reply: Reply) -> Reply:
    """All of it but the marks."""
    return msgspec.structs.replace(
        reply,
        dispatched_ns=0,
        sent_ns=None,
        first_byte_ns=None,
        first_chunk_ns=None,
        first_answer_ns=None,
        last_chunk_ns=0,
        chunk_offsets_ns=tuple(0 for _ in reply.chunk_offsets_ns),
    )


def test_a_chat(replay: Callable[..., Reply]) -> None:
    reply = replay("chat")
    assert (reply.status, reply.text) == ("ok", "The capital of France is Paris.")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.tokens_by) == (42, 8, "server")
    assert (reply.finish_reason, reply.served_model) == ("stop", "smollm2-135m")
    assert (reply.http_status, reply.connection, reply.cached_tokens) == (200, "new", 0)
    assert reply.server is not None
    assert reply.server.prefill_s == reply.server_timings["prompt_ms"] / 1000
    assert reply.server.decode_s == reply.server_timings["predicted_ms"] / 1000
    assert (reply.server.prompt_tokens, reply.server.completion_tokens) == (42, 8)
    assert (reply.tool_calls, reply.logprobs, reply.answer_cached) == (None, (), None)


@pytest.mark.parametrize("name", ["chat-logprobs", "completion-logprobs"])
def test_log_probabilities(replay: Callable[..., Reply], name: str) -> None:
    reply = replay(name)
    assert reply.status == "ok"
    assert len(reply.logprobs) == reply.completion_tokens == 5
    assert all(-5 < value <= 0 for value in reply.logprobs)


@pytest.mark.parametrize(
    ("name", "kind", "status", "words"),
    [
        ("no-messages", "http-400", 400, "'messages' is required"),
        ("no-route", "http-404", 404, "File Not Found"),
        ("overflow", "context-overflow", 400, "2031 tokens"),
        ("not-streamed", "not-streamed", 200, "did not stream"),
    ],
)
def test_errors(
    replay: Callable[..., Reply], name: str, kind: str, status: int, words: str
) -> None:
    reply = replay(name)
    assert (reply.status, reply.error_kind, reply.http_status) == ("error", kind, status)
    assert words in (reply.error or "")
    assert (reply.completion_tokens, reply.first_chunk_ns) == (None, None)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(["chat", "chat-logprobs", "completion-logprobs", "overflow"]),
    cuts=st.lists(st.integers(1, 3_600), max_size=40),
)
def test_however_it_is_cut(replay: Callable[..., Reply], name: str, cuts: list[int]) -> None:
    reply = replay(name, cuts)
    assert unmarked(reply) == unmarked(replay(name))
    assert list(reply.chunk_offsets_ns) == sorted(reply.chunk_offsets_ns)


def test_byte_by_byte(replay: Callable[..., Reply]) -> None:
    assert unmarked(replay("chat", range(1, 4_000))) == unmarked(replay("chat"))


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(end=st.integers(0, 2_900))
def test_cut_short_anywhere_it_is_a_failure_with_what_had_come(
    make_config: Config, make_prompt: MakePrompt, end: int
) -> None:
    """Unless the server had already said that this was all."""
    raw = (GOLDEN / "llamacpp-chat.http").read_bytes()
    config = make_config(url="http://canned/v1", model="smollm2-135m")
    reply = reply_to(config, make_prompt(), raw[:end], ())
    if reply.status == "ok":
        assert reply.text == "The capital of France is Paris."
        assert end > raw.index(b'"finish_reason":"stop"')
    else:
        assert reply.error_kind == "reset"
        assert "The capital of France is Paris.".startswith(reply.text)
