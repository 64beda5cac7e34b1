"""Events of a completion stream → text, token counts and the raw marks of a Reply.

Covers chat chunks (`delta`) and completion chunks (`text`); usage in the last chunk, in the finish
chunk, beside `choices: []` or null, in every chunk, or nowhere; reasoning under either of its two
names; tool calls in pieces; log-probabilities; and the servers' own timings.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from perwatt.core.records import Reply
from perwatt.endpoints.failures import classify
from perwatt.endpoints.stream_chunks import Choice, Chunk, Delta, Logprobs, Usage, decode_chunk
from perwatt.endpoints.stream_timings import (
    has_figures,
    raw_timings,
    server_times,
    usage_timings,
)
from perwatt.endpoints.stream_tools import ToolCalls

__all__ = ["StreamError", "StreamReader"]


class StreamError(Exception):
    """The stream says that it failed, or cannot be read. Becomes a Reply."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


class StreamReader:
    """Takes events in order, each with the monotonic ns at which its bytes were read."""

    def __init__(self, dispatched_ns: int) -> None:
        self.dispatched_ns = dispatched_ns
        self.done = False
        """`[DONE]` was seen."""
        self.plain: str | None = None
        """The text of the last event, where it brought nothing else."""
        self.finish_reason: str | None = None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._marks: list[int] = []
        self._logprobs: list[float] = []
        self._tools: ToolCalls | None = None
        self._first_answer_ns: int | None = None
        self._finished_ns: int | None = None
        self._usage: Usage | None = None
        self._model: str | None = None
        self._timings: dict[str, float] = {}

    @property
    def complete(self) -> bool:
        """The server said that this was all."""
        return self.done or self.finish_reason is not None

    @property
    def empty(self) -> bool:
        """Nothing was said, and the server counts no token: see `failures.KINDS`."""
        counted = self._usage.completion_tokens if self._usage else None
        return not self._marks and not counted

    @property
    def served_model(self) -> str | None:
        return self._model

    def take(self, data: bytes, t_ns: int) -> bool:
        """Use one event; true if it brought content. Raises StreamError."""
        if data == b"[DONE]" or (len(data) < 16 and data.strip() == b"[DONE]"):
            self.done = True
            self._finished_ns = self._finished_ns or t_ns
            return False
        try:
            chunk = decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _unreadable(data, error) from None
        if chunk.error is not None:
            raise _server_error(chunk.error)
        if chunk.model:
            self._model = chunk.model
        brought = False
        choices = chunk.choices or ()
        for choice in choices:
            if not choice.index:  # one answer is asked for; others are another's
                brought |= self._choice(choice, t_ns)
        figures = chunk.usage is not None or has_figures(chunk)
        if figures:
            self._figures(chunk)
        self.plain = _plain(choices[0]) if brought and len(choices) == 1 and not figures else None
        return brought

    def more(self, text: str, t_ns: int) -> None:
        """An event that differs from the last, a `plain` one, in its text alone."""
        self._text.append(text)
        self._marks.append(t_ns)

    def ok(self, **known: Any) -> Reply:
        """The reply of a stream that came to its end; `known`: further fields of it."""
        last_ns = self._marks[-1] if self._marks else None
        end_ns = last_ns or self._finished_ns or self.dispatched_ns
        return self._reply(status="ok", last_chunk_ns=end_ns, **known)

    def failed(self, kind: str, message: str, t_ns: int, **known: Any) -> Reply:
        """The reply of a request that failed at `t_ns`, with whatever had come by then."""
        return self._reply(
            status="error", last_chunk_ns=t_ns, error_kind=kind, error=message, **known
        )

    def _choice(self, choice: Choice, t_ns: int) -> bool:
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
            self._finished_ns = t_ns
        if choice.logprobs is not None:
            self._logprobs.extend(_picked(choice.logprobs))
        answer, thought, called = choice.text, None, False
        delta = choice.delta
        if delta is not None:
            answer = delta.content or delta.refusal or answer
            thought = delta.reasoning_content or delta.reasoning
            called = self._called(delta)
        if thought:
            self._reasoning.append(thought)
        if answer:
            self._text.append(answer)
        elif not called:
            if thought:
                self._marks.append(t_ns)
            return bool(thought)
        if self._first_answer_ns is None:
            self._first_answer_ns = t_ns
        self._marks.append(t_ns)
        return True

    def _called(self, delta: Delta) -> bool:
        if not delta.tool_calls and delta.function_call is None:
            return False
        if self._tools is None:
            self._tools = ToolCalls()
        return self._tools.take(delta)

    def _figures(self, chunk: Chunk) -> None:
        usage = chunk.usage
        if usage is None and chunk.x_groq is not None:
            usage = chunk.x_groq.usage
        if usage is not None:
            self._usage = usage
            self._timings.update(usage_timings(usage))
        self._timings.update(raw_timings(chunk))

    def _reply(self, **known: Any) -> Reply:
        usage = self._usage or Usage()
        prompt_details, details = usage.prompt_tokens_details, usage.completion_tokens_details
        tokens = usage.completion_tokens
        tokens_by: Literal["server", "chunks"] | None = None if tokens is None else "server"
        if tokens is None and (self._marks or self.complete):
            tokens, tokens_by = len(self._marks), "chunks"
        cached = prompt_details.cached_tokens if prompt_details else None
        start_ns = self.dispatched_ns
        return Reply(
            dispatched_ns=start_ns,
            first_chunk_ns=self._marks[0] if self._marks else None,
            first_answer_ns=self._first_answer_ns,
            chunk_offsets_ns=tuple([mark - start_ns for mark in self._marks]),
            text="".join(self._text),
            reasoning="".join(self._reasoning) if self._reasoning else None,
            tool_calls=self._tools.as_json() if self._tools else None,
            logprobs=tuple(self._logprobs),
            finish_reason=self.finish_reason,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=tokens,
            reasoning_tokens=details.reasoning_tokens if details else usage.reasoning_tokens,
            cached_tokens=usage.prompt_cache_hit_tokens if cached is None else cached,
            tokens_by=tokens_by,
            served_model=self._model,
            server_timings=self._timings,
            server=server_times(self._timings) if self._timings else None,
            **known,
        )


def _plain(choice: Choice) -> str | None:
    if choice.finish_reason or choice.logprobs is not None or choice.index:
        return None
    delta = choice.delta
    if delta is None:
        return choice.text
    alone = Delta(content=delta.content)
    return delta.content if delta == alone and choice.text is None else None


def _picked(logprobs: Logprobs) -> list[float]:
    told = logprobs.token_logprobs or [token.logprob for token in logprobs.content or ()]
    return [value for value in told if value is not None]


def _unreadable(data: bytes, error: Exception) -> StreamError:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as bad:
        msg = f"the server sent an event that is no UTF-8 at its byte {bad.start}"
        return StreamError("bad-utf8", msg)
    shown = data[:80].decode("utf-8", errors="replace")
    msg = f"the server sent an event that cannot be read ({error}): {shown}"
    return StreamError("malformed", msg)


def _server_error(error: Any) -> StreamError:
    """An `error` object in the middle of a stream, as vLLM, llama.cpp and OpenRouter send it."""
    code = error.get("code") if isinstance(error, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code <= 599 else None
    kind = f"http-{status}" if status else "server"
    return StreamError(classify(status, str(error)) or kind, str(message or error))
