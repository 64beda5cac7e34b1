"""What became of a request, as the Reply that `perwatt run` would have made of it."""

from __future__ import annotations

import msgspec

from perwatt.core.records import Reply
from perwatt.endpoints.failures import http_failure, retry_after_s
from perwatt.endpoints.http_exchange import Sent, TransportError
from perwatt.gateway.answer import Answer
from perwatt.gateway.recorder import Heard

__all__ = ["Outcome", "reply_of"]

Outcome = Sent | TransportError | None
"""How asking ended. None: the caller left, or the address is being closed."""


def reply_of(answer: Answer, heard: Heard, outcome: Outcome, end_ns: int) -> Reply:
    """Marks are ours: dispatched when the question's last byte had come in."""
    reader, status = heard.reader, answer.status
    last_ns = answer.last_ns or end_ns
    sent = outcome.sent if isinstance(outcome, TransportError) else outcome
    known = {
        "http_status": status,
        "sent_ns": sent.sent_ns if sent else None,
        "first_byte_ns": sent.first_byte_ns if sent else answer.first_ns,
        "connection": sent.connection if sent else None,
        "retry_after_s": retry_after_s(answer.headers),
    }
    if isinstance(outcome, TransportError):
        return reader.failed(outcome.kind, outcome.sentence, end_ns, **known)
    if outcome is None and not reader.done:  # who has had [DONE] need not wait for the end
        stopped = reader.failed("", "", end_ns, **known)
        return msgspec.structs.replace(stopped, status="cancelled", error_kind=None, error=None)
    if status is not None and status >= 400:
        kind, said = http_failure(status, "", answer.body_text)
        return reader.failed(kind, said, last_ns, **known)
    if heard.failure is not None:
        return reader.failed(heard.failure.kind, str(heard.failure), last_ns, **known)
    if answer.way == "stream" and not reader.complete:
        said = "the stream ended without a finish reason or [DONE]"
        return reader.failed("truncated", said, last_ns, **known)
    reply = reader.ok(**known)
    if answer.way == "stream":
        return reply
    # It came in one piece: when it was written nobody can tell.
    return msgspec.structs.replace(
        reply,
        text=reply.text or heard.text,
        first_chunk_ns=None,
        first_answer_ns=None,
        chunk_offsets_ns=(),
        last_chunk_ns=last_ns,
    )
