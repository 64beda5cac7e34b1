"""The events of a completion stream as servers write them: what perwatt reads of each.

Fields that nobody needs are skipped by the decoder. Shapes: OpenAI's API reference (chat completion
chunk, completion), and the servers' own additions where noted.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Choice", "Chunk", "Delta", "Usage", "decode_chunk"]


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct):
    """`reasoning_content` (vLLM, llama.cpp, DeepSeek) and `reasoning` (OpenRouter, Groq, newer
    vLLM) are one thing; `function_call` is the older form of a tool call."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None


class TokenLogprob(msgspec.Struct):
    logprob: float | None = None


class Logprobs(msgspec.Struct):
    """`content`: chat, and llama.cpp's completions; `token_logprobs`: completions."""

    content: list[TokenLogprob] | None = None
    token_logprobs: list[float | None] | None = None


class Choice(msgspec.Struct):
    delta: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    index: int | None = None
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    reasoning_tokens: int | None = None
    """SGLang."""
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek."""
    queue_time: float | None = None
    """Groq: seconds, like the next three."""
    prompt_time: float | None = None
    completion_time: float | None = None
    total_time: float | None = None


class Groq(msgspec.Struct):
    usage: Usage | None = None


class Chunk(msgspec.Struct):
    choices: list[Choice] | None = None
    usage: Usage | None = None
    model: str | None = None
    error: Any = None
    timings: dict[str, Any] | None = None
    """llama.cpp."""
    metrics: dict[str, Any] | None = None
    """vLLM with --enable-per-request-metrics."""
    meta_info: dict[str, Any] | None = None
    """SGLang's native figures, where a build or a proxy passes them on."""
    time_info: dict[str, Any] | None = None
    """Cerebras: seconds under Groq's names."""
    stats: dict[str, Any] | None = None
    """LM Studio."""
    x_groq: Groq | None = None


decode_chunk = msgspec.json.Decoder(Chunk).decode
