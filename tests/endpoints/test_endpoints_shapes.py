"""Streams of servers that are not here, in the shapes that their documentation gives (named with
each): not recordings. Whatever the shape, the same questions are answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perwatt.core.records import Reply, ServerTimes
from perwatt.endpoints.openai_answer import Answer

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def event(**more: Any) -> str:
    return f"data: {json.dumps(CHUNK | more)}\n\n"


def delta(finish_reason: str | None = None, **delta: Any) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return event(choices=[choice])


def read(*parts: str) -> tuple[Reply, tuple[str, str] | None]:
    """The reply, one ms between parts, and what is wrong with it."""
    answer = Answer(0)
    answer.head(200, {"content-type": "text/event-stream"}, 0)
    for number, part in enumerate(parts):
        answer.body(part.encode(), (number + 1) * 1_000_000)
    failure = answer.end(len(parts) * 1_000_000)
    return answer.reader.ok(), failure


DONE = "data: [DONE]\n\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
DETAILS = {"prompt_tokens_details": {"cached_tokens": 4}}

STREAMS: dict[str, tuple[list[str], int | None, ServerTimes | None]] = {
    # OpenAI API reference, "The chat completion chunk object", with stream_options.include_usage:
    # `usage: null` everywhere but in the last.
    "openai": (
        [
            event(choices=[{"index": 0, "delta": {"role": "assistant", "content": "",
                            "refusal": None}, "logprobs": None, "finish_reason": None}],
                  usage=None, service_tier="default", system_fingerprint="fp"),
            event(choices=[{"index": 0, "delta": {"content": "Hel"}}], usage=None),
            event(choices=[{"index": 0, "delta": {"content": "lo"}}], usage=None),
            delta("stop"),
            event(choices=[], usage=USAGE | DETAILS | {
                "completion_tokens_details": {"reasoning_tokens": 0}}),
            DONE,
        ],
        4,
        None,
    ),
    # vLLM, docs/features/per_request_metrics.md, and --stream-options continuous_usage_stats:
    # usage so far in every chunk.
    "vllm": (
        [
            event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}],
                  usage={"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}),
            event(choices=[{"index": 0, "delta": {"content": "Hel"}}],
                  usage={"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}),
            event(choices=[{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop",
                            "stop_reason": None}], usage=USAGE),
            event(choices=[], usage=USAGE, metrics={
                "time_to_first_token_ms": 85.0, "generation_time_ms": 1240.0,
                "queue_time_ms": 15.0, "mean_itl_ms": 9.1, "tokens_per_second": 103.2}),
            DONE,
        ],
        None,
        ServerTimes(queue_s=0.015, prefill_s=0.085, decode_s=1.24, ttft_s=0.1),
    ),
    # Azure OpenAI, REST reference: a first chunk with no choice, and filter results in all.
    "azure": (
        [
            event(choices=[], model="", prompt_filter_results=[
                {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}]),
            event(choices=[{"index": 0, "delta": {"content": "Hel"},
                            "content_filter_results": {}}]),
            event(choices=[{"index": 0, "delta": {"content": "lo"},
                            "content_filter_results": {}}]),
            delta("stop"),
            event(choices=[], usage=USAGE),
            DONE,
        ],
        None,
        None,
    ),
    # OpenRouter docs, api-reference/streaming: comments, the provider's name, native reason.
    "openrouter": (
        [
            ": OPENROUTER PROCESSING\n\n",
            ": OPENROUTER PROCESSING\n\n" + event(provider="P", choices=[
                {"index": 0, "delta": {"role": "assistant", "content": "Hel"},
                 "finish_reason": None, "native_finish_reason": None, "logprobs": None}]),
            delta(content="lo"),
            event(choices=[{"index": 0, "delta": {"content": ""}, "finish_reason": "stop",
                            "native_finish_reason": "STOP"}]),
            event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}],
                  usage=USAGE | {"cost": 0.1, "is_byok": False}),
            DONE,
        ],
        None,
        None,
    ),
    # Groq, API reference: usage under x_groq, with seconds.
    "groq": (
        [
            event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}],
                  x_groq={"id": "req_1"}),
            delta(content="Hel"),
            delta(content="lo"),
            event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}],
                  x_groq={"id": "req_1", "usage": USAGE | {
                      "queue_time": 0.02, "prompt_time": 0.003, "completion_time": 0.1,
                      "total_time": 0.103}}),
            DONE,
        ],
        None,
        ServerTimes(queue_s=0.02, prefill_s=0.003, decode_s=0.1, total_s=0.103),
    ),
    # SGLang, srt/entrypoints/openai/protocol.py: usage in the last, reasoning_tokens beside.
    "sglang": (
        [
            event(choices=[{"index": 0, "delta": {"role": "assistant", "content": "",
                            "reasoning_content": None, "tool_calls": None},
                            "matched_stop": None}]),
            delta(content="Hel", reasoning_content=None),
            delta(content="lo"),
            event(choices=[{"index": 0, "delta": {"content": None}, "finish_reason": "stop",
                            "matched_stop": 2}], usage=None),
            event(choices=[], usage=USAGE | DETAILS | {"reasoning_tokens": 0}),
            DONE,
        ],
        4,
        None,
    ),
    # TGI, docs/openapi.json (ChatCompletionChunk).
    "tgi": (
        [
            delta(role="assistant", content="Hel"),
            delta(role="assistant", content="lo"),
            event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""},
                            "logprobs": None, "finish_reason": "stop"}], usage=None),
            event(choices=[], usage=USAGE),
            DONE,
        ],
        None,
        None,
    ),
    # mlx-lm, mlx_lm/server.py: comments while the prompt is worked on.
    "mlx": (
        [
            ": keepalive 512/1024\n\n",
            ": keepalive 1024/1024\n\n",
            delta(role="assistant", content="Hel"),
            delta(content="lo"),
            delta("stop", content=""),
            event(choices=[], usage=USAGE),
            DONE,
        ],
        None,
        None,
    ),
    # LM Studio docs, REST API: `stats` in seconds.
    "lm-studio": (
        [
            delta(role="assistant", content="Hel"),
            delta(content="lo"),
            event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=USAGE,
                  stats={"tokens_per_second": 20, "time_to_first_token": 0.111,
                         "generation_time": 0.9, "stop_reason": "eosFound"}),
            DONE,
        ],
        None,
        ServerTimes(ttft_s=0.111, decode_s=0.9),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(STREAMS))
def test_documented_streams(name: str) -> None:
    parts, cached, times = STREAMS[name]
    reply, failure = read(*parts)
    assert failure is None
    assert (reply.text, len(reply.chunk_offsets_ns)) == ("Hello", 2)
    assert (reply.prompt_tokens, reply.completion_tokens, reply.tokens_by) == (7, 2, "server")
    assert (reply.finish_reason, reply.served_model) == ("stop", "m")
    assert reply.cached_tokens == cached
    assert reply.server == times


def test_tool_calls_are_put_together() -> None:
    """OpenAI API reference, function calling, streaming: pieces by index."""

    def piece(index: int, **more: Any) -> dict[str, Any]:
        return {"index": index} | more

    reply, failure = read(
        delta(role="assistant", content=None),
        delta(tool_calls=[piece(0, id="a", type="function",
                                function={"name": "look", "arguments": ""})]),
        delta(tool_calls=[piece(0, function={"arguments": '{"x"'})]),
        delta(tool_calls=[piece(1, id="b", function={"name": "go", "arguments": "{}"})]),
        delta(tool_calls=[piece(0, function={"arguments": ": 1}"})]),
        delta("tool_calls"),
        DONE,
    )  # fmt: skip
    assert failure is None
    assert json.loads(reply.tool_calls or "") == [
        {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"x": 1}'}},
        {"id": "b", "type": "function", "function": {"name": "go", "arguments": "{}"}},
    ]
    assert (len(reply.chunk_offsets_ns), reply.first_answer_ns) == (4, 2_000_000)
    assert (reply.text, reply.completion_tokens, reply.tokens_by) == ("", 4, "chunks")


def test_whole_calls_without_an_index_and_the_older_form() -> None:
    """Ollama sends each call whole; `function_call` is OpenAI's deprecated field."""
    call = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
    reply, _ = read(delta(tool_calls=[call]), delta(tool_calls=[call | {"id": "b"}]), DONE)
    assert [c["id"] for c in json.loads(reply.tool_calls or "")] == ["a", "b"]
    older, failure = read(
        delta(function_call={"name": "f", "arguments": ""}),
        delta(function_call={"arguments": "{}"}),
        delta("function_call"),
        DONE,
    )
    assert failure is None
    assert json.loads(older.tool_calls or "")[0]["function"] == {"name": "f", "arguments": "{}"}


def test_log_probabilities_of_both_routes() -> None:
    tokens = [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]
    chat, _ = read(
        event(choices=[{"delta": {"content": "a"}, "logprobs": {"content": tokens}}]),
        event(choices=[{"delta": {"content": "b"}, "logprobs": {"content": tokens * 2}}]),
        event(choices=[{"delta": {}, "logprobs": None, "finish_reason": "stop"}]),
    )
    assert chat.logprobs == (-0.5, -0.5, -0.5)
    text, _ = read(
        event(choices=[{"text": "ab", "logprobs": {
            "tokens": ["a", "b"], "token_logprobs": [None, -1.5], "text_offset": [0, 1]}}]),
        event(choices=[{"text": "", "finish_reason": "length"}]),
    )  # fmt: skip
    assert text.logprobs == (-1.5,)


def test_another_choice_is_not_this_answer() -> None:
    other = event(choices=[{"index": 1, "delta": {"content": "no"}}])
    reply, _ = read(delta(content="yes"), other, delta("stop"), DONE)
    assert (reply.text, len(reply.chunk_offsets_ns)) == ("yes", 1)


def test_a_refusal_is_an_answer() -> None:
    reply, failure = read(delta(refusal="I "), delta(refusal="won't"), delta("stop"), DONE)
    assert (reply.text, failure) == ("I won't", None)


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ([delta("stop"), DONE], "empty"),
        ([DONE], "empty"),
        ([delta("stop"), event(choices=[], usage={"completion_tokens": 0}), DONE], "empty"),
        ([delta("stop"), event(choices=[], usage={"completion_tokens": 1}), DONE], None),
        ([delta(reasoning="hm"), delta("length"), DONE], None),
        ([delta(content="a"), delta("content_filter"), DONE], "content-filter"),
        ([delta(content="a"), delta("error"), DONE], "server"),
        ([delta(content="a")], "truncated"),
        ([], "truncated"),
        ([delta(content="a"), 'data: {"choi'], "truncated"),
        ([delta("stop", content="a"), 'data: {"choi'], None),
        ([delta(content="a"), "data: [DONE]"], None),
        ([delta(content="a"), 'data: {"error": {"message": "out"}}'], "server"),
    ],
)
def test_what_is_wrong_with_an_end(parts: list[str], kind: str | None) -> None:
    _, failure = read(*parts)
    assert (failure[0] if failure else None) == kind


@pytest.mark.parametrize(
    ("told", "times"),
    [
        ({"timings": {"prompt_ms": 5, "predicted_ms": -1, "cache_n": 3}}, {"prefill_s": 0.005}),
        ({"meta_info": {"e2e_latency": 2.5, "id": "x"}}, {"total_s": 2.5}),
        ({"time_info": {"queue_time": 0.5, "created": 1}}, {"queue_s": 0.5}),
        ({"timings": {"words": "no", "flag": True}}, None),
    ],
)
def test_servers_times(told: dict[str, Any], times: dict[str, float] | None) -> None:
    reply, _ = read(delta(content="a"), event(choices=[], **told), DONE)
    assert reply.server == (ServerTimes(**times) if times else None)  # type: ignore[arg-type]
