"""Requests as they end → the records of the run, and the counts that /metrics shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from perwatt.core.records import Reply, Request, Sampling
from perwatt.endpoints.stream import StreamError, StreamReader
from perwatt.store.lines import JournalRecord

__all__ = ["Heard", "Recorder"]

MODELS = 16
"""So many models are told apart in /metrics; any more are `other`."""
UNTOLD = "(none)"
LONGEST = 300


class _Message(msgspec.Struct):
    content: Any = None


class _Choice(msgspec.Struct):
    message: _Message | None = None


class _Whole(msgspec.Struct):
    choices: list[_Choice] | None = None


_WHOLE = msgspec.json.Decoder(_Whole)


class Heard:
    """What is read of one answer on its way through: never more than the record needs."""

    def __init__(self, dispatched_ns: int) -> None:
        self.reader = StreamReader(dispatched_ns)
        self.failure: StreamError | None = None
        self.text = ""
        """Of a chat answer that came in one piece."""

    def whole(self, body: bytes, t_ns: int) -> None:
        """A JSON answer in one piece: counts, names and figures stand where a stream has them."""
        self.event(body, t_ns)
        try:
            choices = _WHOLE.decode(body).choices
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        message = choices[0].message if choices else None
        if message is not None and isinstance(message.content, str):
            self.text = message.content

    def event(self, data: bytes, t_ns: int) -> bool:
        """One event of a stream; true if it brought content."""
        if self.failure is not None:
            return False
        try:
            return self.reader.take(data, t_ns)
        except StreamError as error:  # passed on as it is; here it is a failed request
            self.failure = error
            return False


class Recorder:
    """Journals each request once. Text is kept only where that was asked for."""

    def __init__(
        self,
        put: Callable[[JournalRecord], None],
        *,
        session: int,
        pair_id: str,
        keep_text: bool,
        secrets: tuple[str, ...] = (),
    ) -> None:
        """`secrets`: keys that must not stand in a record, whatever a server says."""
        self._put = put
        self._session = session
        self._pair_id = pair_id
        self._keep_text = keep_text
        self._secrets = secrets
        self.requests: Counter[tuple[str, str]] = Counter()
        """By status and model, both of a bounded set."""
        self.tokens: Counter[tuple[str, str]] = Counter()
        """By kind and model."""
        self._models: set[str] = set()

    def record(
        self,
        *,
        request_id: str,
        item_id: str,
        repeat: int,
        phase_id: str,
        in_flight: int,
        model: str | None,
        reply: Reply,
    ) -> None:
        """One request has ended, whichever way."""
        error = reply.error
        for secret in self._secrets:
            error = error.replace(secret, "[key]") if error else None
        self._put(
            Request(
                request_id=request_id,
                item_id=item_id,
                pair_id=self._pair_id,
                session=self._session,
                phase_id=phase_id,
                repeat=repeat,
                scheduled_ns=reply.dispatched_ns,
                in_flight=in_flight,
                prompt_sha256=None,  # the template is the server's
                sampling=Sampling(),
                reply=msgspec.structs.replace(
                    reply,
                    text=reply.text if self._keep_text else "",
                    reasoning=reply.reasoning if self._keep_text else None,
                    tool_calls=reply.tool_calls if self._keep_text else None,
                    error=None if error is None else error[:LONGEST],
                ),
            )
        )
        label = self.label(model)
        self.requests[reply.status, label] += 1
        for kind, count in (
            ("prompt", reply.prompt_tokens),
            ("completion", reply.completion_tokens),
        ):
            if count:
                self.tokens[kind, label] += count

    def label(self, model: str | None) -> str:
        """The model's name, while there are few of them."""
        if model is None:
            return UNTOLD
        if model not in self._models and len(self._models) < MODELS:
            self._models.add(model)
        return model if model in self._models else "other"
