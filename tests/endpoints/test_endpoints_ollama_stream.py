"""Ollama's NDJSON, byte for byte in the shapes of its documentation and of its api/types.go."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.records import Reply, ServerTimes
from perwatt.endpoints.http_exchange import Heard
from perwatt.endpoints.ollama_stream import OllamaAnswer, OllamaError

GOLDEN = Path(__file__).parents[1] / "golden" / "endpoints"
CHAT = (GOLDEN / "ollama-chat.ndjson").read_bytes()


def lines(*objects: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in objects)


def heard(data: bytes, cuts: tuple[int, ...] = ()) -> OllamaAnswer:
    """Each piece one nanosecond after the one before, the first at 101."""
    answer = OllamaAnswer(100)
    answer.head(200, {}, 101)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for t_ns, (start, end) in enumerate(itertools.pairwise(edges), start=101):
        answer.body(data[start:end], t_ns)
    return answer


def reply(data: bytes, cuts: tuple[int, ...] = ()) -> Reply:
    answer = heard(data, cuts)
    return answer.reply(answer.end(999), 999)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=5000), max_size=12))
def test_any_cutting_gives_one_answer(cuts: list[int]) -> None:
    got = reply(CHAT, tuple(cuts))
    assert got.status == "ok"
    assert got.text == "Paris, é 🎉."
    assert got.reasoning == "France. Its capital…"
    assert len(got.chunk_offsets_ns) == 4
    assert list(got.chunk_offsets_ns) == sorted(got.chunk_offsets_ns)
    assert got.logprobs == (-0.25, -0.5, -1.5)
    assert got.finish_reason == "stop"


def test_marks_tokens_and_the_servers_own_times() -> None:
    ends = tuple(i + 1 for i, byte in enumerate(CHAT) if byte == 10)
    got = reply(CHAT, ends)
    assert (got.first_chunk_ns, got.first_answer_ns, got.last_chunk_ns) == (101, 103, 104)
    assert got.chunk_offsets_ns == (1, 2, 3, 4)
    assert (got.prompt_tokens, got.cached_tokens, got.completion_tokens) == (29, 9, 12)
    assert (got.tokens_by, got.served_model) == ("server", "qwen3:0.6b")
    assert got.server == ServerTimes(
        load_s=0.4,
        prefill_s=0.1,
        decode_s=1.75,
        total_s=2.5,
        prompt_tokens=20,
        completion_tokens=12,
    )
    assert got.server_timings["eval_duration"] == 1.75e9


def test_generate_is_read_too() -> None:
    got = reply((GOLDEN / "ollama-generate.ndjson").read_bytes())
    assert (got.text, got.finish_reason, got.completion_tokens) == (" Paris", "length", 259)
    assert (got.reasoning, got.cached_tokens, got.logprobs) == (None, None, ())
    assert got.server is not None
    assert got.server.prompt_tokens == 26


def test_tool_calls_are_kept_and_are_an_answer() -> None:
    call = {"function": {"name": "weather", "arguments": {"city": "Zürich"}}}
    got = reply(
        lines(
            {"message": {"role": "assistant", "content": "", "tool_calls": [call]}},
            {"message": {"role": "assistant", "content": ""}, "done": True, "eval_count": 9},
        )
    )
    assert json.loads(got.tool_calls or "") == [call]
    assert got.first_answer_ns == got.first_chunk_ns == 101
    assert (got.status, got.text) == ("ok", "")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("llama runner process has terminated: exit status 2", "server"),
        ("the input length exceeds the context length", "context-overflow"),
    ],
)
def test_an_error_in_the_stream(words: str, kind: str) -> None:
    data = lines({"message": {"content": "Par"}, "done": False}, {"error": words})
    with pytest.raises(OllamaError, match=words) as caught:
        heard(data)
    assert caught.value.kind == kind


def test_lines_that_cannot_be_read() -> None:
    for data, kind in ((b"{nonsense}\n", "malformed"), (b'{"model":"\xff"}\n', "bad-utf8")):
        with pytest.raises(OllamaError) as caught:
            heard(data)
        assert caught.value.kind == kind


def test_a_stream_that_ends_early_is_truncated() -> None:
    whole = CHAT.splitlines(keepends=True)
    for data in (whole[0], whole[0] + whole[1][:30], b""):
        got = reply(data)
        assert (got.status, got.error_kind) == ("error", "truncated")
    assert reply(whole[2]).text == "Paris"  # what came is kept
    assert reply(CHAT.rstrip(b"\n")).status == "ok"


def test_nothing_said_and_nothing_counted_is_empty() -> None:
    done = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    assert reply(lines(done)).error_kind == "empty"
    at_once = reply(lines(done | {"eval_count": 1}))
    assert (at_once.status, at_once.text, at_once.first_chunk_ns) == ("ok", "", None)


def test_an_object_without_content_is_no_progress() -> None:
    answer = OllamaAnswer(0)
    answer.head(200, {}, 1)
    assert answer.body(lines({"message": {"content": ""}, "done": False}), 1) is Heard.NOTHING
    assert answer.body(lines({"message": {"content": "a"}, "done": False}), 2) is Heard.CHUNK
    assert answer.body(lines({"done": True, "eval_count": 1}), 3) is Heard.DONE


def test_a_page_instead_of_a_stream() -> None:
    answer = OllamaAnswer(0)
    answer.head(404, {}, 1)
    answer.body(b'{"error":"model \'nope\' not found"}', 2)
    assert answer.end(3) == ("http-404", "model 'nope' not found")
