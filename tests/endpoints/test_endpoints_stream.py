"""Events → Reply: recorded streams of the real server, and every place where usage is put."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perwatt.core.records import Reply
from perwatt.endpoints.sse import SSEParser
from perwatt.endpoints.stream import StreamError, StreamReader

GOLDEN = Path(__file__).parents[1] / "golden" / "endpoints"


def replay(stream: bytes, cuts: list[int] | None = None) -> Reply:
    """One microsecond between reads, cut where told."""
    parser, reader = SSEParser(), StreamReader(1_000)
    places = sorted({min(c, len(stream)) for c in cuts or []} | {0, len(stream)})
    for number, (a, b) in enumerate(pairwise(places)):
        for event in parser.feed(stream[a:b]):
            reader.take(event, 2_000 + 1_000 * number)
    assert reader.complete
    return reader.ok()


def read(*events: Any, done: bool = True) -> Reply:
    reader = StreamReader(100)
    for number, event in enumerate(events):
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        reader.take(data, 200 + 100 * number)
    if done:
        reader.take(b"[DONE]", 9_000)
    return reader.ok()


def content(text: str | None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text} | more}]}


FINISH = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("name", "text", "chunks", "completion", "prompt"),
    [
        ("llamacpp-chat", "The capital of France is Paris.", 7, 8, 43),
        ("llamacpp-chat-utf8", "Eeté été été 😀", 10, 12, 43),
        ("llamacpp-completion", " France", 1, 3, 26),
    ],
)
def test_recorded_streams(name: str, text: str, chunks: int, completion: int, prompt: int) -> None:
    reply = replay((GOLDEN / f"{name}.sse").read_bytes())
    assert reply.text == text
    assert len(reply.chunk_offsets_ns) == chunks
    assert (reply.completion_tokens, reply.prompt_tokens) == (completion, prompt)
    assert (reply.tokens_by, reply.cached_tokens) == ("server", 0)
    assert (reply.finish_reason, reply.served_model) == ("stop", "smollm2-135m")
    assert reply.server_timings["predicted_n"] == completion
    assert reply.server_timings["prompt_ms"] > 0


@given(cuts=st.lists(st.integers(0, 3_500), max_size=20))
def test_a_recorded_stream_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    stream = (GOLDEN / "llamacpp-chat-utf8.sse").read_bytes()
    whole, cut = replay(stream), replay(stream, cuts)
    assert (cut.text, cut.completion_tokens) == (whole.text, whole.completion_tokens)
    assert len(cut.chunk_offsets_ns) == len(whole.chunk_offsets_ns)
    assert list(cut.chunk_offsets_ns) == sorted(cut.chunk_offsets_ns)


USAGE = {"prompt_tokens": 5, "completion_tokens": 9}


@pytest.mark.parametrize(
    "tail",
    [
        [FINISH, {"choices": [], "usage": USAGE}],
        [FINISH, {"choices": None, "usage": USAGE}],
        [FINISH, {"usage": USAGE}],
        [FINISH | {"usage": USAGE}],
        [{"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}},
         FINISH | {"usage": USAGE}],
    ],
)  # fmt: skip
def test_usage_wherever_it_is_put(tail: list[dict[str, Any]]) -> None:
    reply = read(content("a"), content("b"), *tail)
    assert (reply.prompt_tokens, reply.completion_tokens, reply.tokens_by) == (5, 9, "server")


def test_without_usage_chunks_are_counted_and_said_to_be() -> None:
    reply = read(content("two tokens"), content(" more"), FINISH)
    assert (reply.completion_tokens, reply.tokens_by, reply.prompt_tokens) == (2, "chunks", None)
    assert reply.cached_tokens is None


def test_marks() -> None:
    role = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    reply = read(role, content("a"), content(""), content("b"), FINISH)
    assert reply.first_chunk_ns == 300  # the role-only chunk at 200 is none
    assert reply.first_answer_ns == 300
    assert reply.chunk_offsets_ns == (200, 400)
    assert reply.last_chunk_ns == 500


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart(field: str) -> None:
    details = {"reasoning_tokens": 2}
    usage = {"usage": {"completion_tokens": 4, "completion_tokens_details": details}}
    thought = content(None, **{field: "hm "})
    reply = read(thought, thought, content("42"), FINISH | usage)
    assert (reply.reasoning, reply.text, reply.reasoning_tokens) == ("hm hm ", "42", 2)
    assert (reply.first_chunk_ns, reply.first_answer_ns) == (200, 400)
    assert len(reply.chunk_offsets_ns) == 3


def test_an_empty_answer_ends_when_the_server_said_so() -> None:
    reply = read(FINISH)
    assert (reply.text, reply.completion_tokens, reply.first_chunk_ns) == ("", 0, None)
    assert reply.last_chunk_ns == 200


@pytest.mark.parametrize(
    ("event", "kind", "words"),
    [
        (b'{"error": {"code": 500, "message": "out of blocks"}}', "http-500", "out of blocks"),
        (b'{"error": {"message": "gone"}}', "server", "gone"),
        (b'{"error": "plain words"}', "server", "plain words"),
        (b'{"choices": [{"delta": {"content": 5}}]}', "malformed", "cannot be read"),
        (b'{"choices": ', "malformed", "cannot be read"),
        (b'{"choices": [{"delta": {"content": "\xff"}}]}', "bad-utf8", "is no UTF-8"),
        (b"<html>", "malformed", "<html>"),
    ],
)
def test_streams_that_say_they_failed_or_make_no_sense(event: bytes, kind: str, words: str) -> None:
    reader = StreamReader(0)
    with pytest.raises(StreamError, match=words) as caught:
        reader.take(event, 1)
    assert caught.value.kind == kind


def test_a_failure_before_anything_came_has_no_counts() -> None:
    reply = StreamReader(5).failed("connect", "no", 9)
    assert (reply.completion_tokens, reply.tokens_by, reply.first_chunk_ns) == (None, None, None)
    assert (reply.status, reply.last_chunk_ns) == ("error", 9)
