"""From a request to the exact bytes it will get, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from perwatt.fakeserver.ask import Ask
from perwatt.fakeserver.events import DONE, ID, LAST_CHUNK, Dialect
from perwatt.fakeserver.settings import Settings

__all__ = ["Answer", "Ending", "Script", "Timings", "streamed", "whole"]

Ending = Literal["done", "close", "reset", "stall", "drip"]
"""After the last piece: the next request, FIN, RST, silence, the last chunk again and again."""
Timings = Callable[[float, float], bytes]
"""From seconds of prefill and of decode to the bytes that end the answer."""
ARGUMENTS = ('{"query', '": "', "perwatt", '"}')


class Script(msgspec.Struct):
    """What will be sent. `pieces[i]` is due `gaps_ns[i]` after the piece before it."""

    status: int
    head: bytes
    """Status line and headers but those of the connection; no empty line."""
    pieces: list[bytes]
    gaps_ns: list[int]
    """The first: after the slot was got."""
    ending: Ending = "done"
    chunks: int = 0
    """So many of the pieces, from the first, are chunks in the truth's sense."""
    tokens: list[int] = []
    """Tokens in each chunk."""
    text: str = ""
    prompt_tokens: int | None = None
    model: str | None = None
    timings: Timings | None = None


class Answer(msgspec.Struct):
    """What is to be said: tokens of reasoning and of the answer, or a tool call."""

    words: list[str]
    reasoning: list[str]
    tool: str | None
    finish: str

    def deltas(self, settings: Settings) -> list[tuple[str, str, int]]:
        """(field, text, tokens) of each chunk; the field of a tool call is `tool_calls`."""
        step = settings.tokens_per_chunk
        fields = [(settings.reasoning_field, self.reasoning)]
        fields += [] if self.tool else [("content", self.words)]
        made = [
            (field, "".join(words[at : at + step]), len(words[at : at + step]))
            for field, words in fields
            for at in range(0, len(words), step)
        ]
        return made + (
            [("tool_calls", piece, 1) for piece in ("", *ARGUMENTS)] if self.tool else []
        )

    @property
    def completion_tokens(self) -> int:
        return len(self.reasoning) + (1 + len(ARGUMENTS) if self.tool else len(self.words))


def streamed(ask: Ask, answer: Answer, settings: Settings, dialect: Dialect, own: bytes) -> Script:
    """The events of `answer`, one piece for each chunk. `own`: this response's eight digits."""
    deltas = answer.deltas(settings)
    pieces, said = [], 0
    for field, text, tokens in deltas:
        said += tokens
        if field == "tool_calls":
            delta: dict[str, Any] = {"tool_calls": [_call(answer.tool, text)]}
        elif settings.usage != "every":
            pieces.append(dialect.token(field, text, tokens, ask.logprobs).replace(ID, own, 1))
            continue
        else:
            delta = dialect.delta(field, text, tokens, ask.logprobs)
        more: dict[str, Any] = (
            {"usage": _usage(ask, settings, said, 0)} if settings.usage == "every" else {}
        )
        pieces.append(dialect.event(delta, **more).replace(ID, own, 1))
    if ask.chat:
        role = dialect.event({"role": "assistant", "content": ""}).replace(ID, own, 1)
        pieces[:1] = [role + (pieces[0] if pieces else b"")]
    usage = _usage(ask, settings, answer.completion_tokens, len(answer.reasoning))

    def end(**more: Any) -> bytes:
        with_it: dict[str, Any] = {"usage": usage} if settings.usage in {"finish", "every"} else {}
        events = [dialect.event({}, answer.finish, **with_it, **more)]
        if ask.include_usage and settings.usage in {"last", "null"}:
            events.append(dialect.bare([] if settings.usage == "last" else None, usage=usage))
        return b"".join(event.replace(ID, own, 1) for event in events) + DONE + LAST_CHUNK

    def timed(prefill_s: float, decode_s: float) -> bytes:
        return end(timings=_timings(ask, settings, answer.completion_tokens, prefill_s, decode_s))

    pieces = pieces or [b""]
    if not settings.timings:
        pieces[-1] += end()
    return Script(
        status=200,
        head=b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
        b"transfer-encoding: chunked\r\n",
        pieces=pieces,
        gaps_ns=[0] * len(pieces),
        chunks=len(deltas),
        tokens=[tokens for _, _, tokens in deltas],
        timings=timed if settings.timings else None,
    )


def whole(ask: Ask, answer: Answer, settings: Settings, dialect: Dialect, own: bytes) -> Script:
    """`answer` as one JSON document: one piece, which is one chunk."""
    message: dict[str, Any] = {"content": None if answer.tool else "".join(answer.words)}
    if answer.reasoning:
        message[settings.reasoning_field] = "".join(answer.reasoning)
    if answer.tool:
        message["tool_calls"] = [_call(answer.tool, "") | {"id": "call_0", "type": "function"}]
        message["tool_calls"][0]["function"] = {
            "name": answer.tool,
            "arguments": "".join(ARGUMENTS),
        }
    if ask.logprobs and not answer.tool:
        shown = dialect.logprobs(answer.words[0] if answer.words else "", len(answer.words))
        message["logprobs"] = shown
    usage = _usage(ask, settings, answer.completion_tokens, len(answer.reasoning))
    more = {} if settings.usage == "absent" else {"usage": usage}
    body = dialect.whole(message, answer.finish, **more).replace(ID, own, 1)
    return Script(
        status=200,
        head=b"HTTP/1.1 200 OK\r\n" + plain_headers(body),
        pieces=[body],
        gaps_ns=[0],
        chunks=1 if answer.completion_tokens else 0,
        tokens=[answer.completion_tokens] if answer.completion_tokens else [],
    )


def plain_headers(body: bytes) -> bytes:
    """Of a JSON document that is sent whole."""
    return b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)


def _call(name: str | None, arguments: str) -> dict[str, Any]:
    if arguments:
        return {"index": 0, "function": {"arguments": arguments}}
    made = {"name": name, "arguments": ""}
    return {"index": 0, "id": "call_0", "type": "function", "function": made}


def _usage(ask: Ask, settings: Settings, completion: int, reasoning: int) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": ask.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": ask.prompt_tokens + completion,
    }
    if settings.cached:
        cached = round(settings.cached * ask.prompt_tokens)
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    if reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return usage


def _timings(
    ask: Ask, settings: Settings, completion: int, prefill_s: float, decode_s: float
) -> dict[str, float]:
    # As llama.cpp's server says it: milliseconds, and prompt tokens without the cached ones.
    cached = round(settings.cached * ask.prompt_tokens)
    return {
        "cache_n": cached,
        "prompt_n": ask.prompt_tokens - cached,
        "prompt_ms": prefill_s * 1e3,
        "predicted_n": completion,
        "predicted_ms": decode_s * 1e3,
    }
