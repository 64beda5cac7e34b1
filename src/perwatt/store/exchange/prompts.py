"""Items named by what they ask, where a tool names each request anew."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from perwatt.core.records import Message
from perwatt.store.exchange.foreign import Answer

__all__ = ["messages_of", "named_by_prompt"]


def messages_of(body: Any) -> tuple[Message, ...]:
    """The prompt in the body of an OpenAI-style request; empty where it is not all text."""
    try:
        found = [Message(role=m["role"], content=_text(m["content"])) for m in body["messages"]]
    except (KeyError, TypeError):
        prompt = body.get("prompt") if isinstance(body, dict) else None
        return (Message(role="user", content=prompt),) if isinstance(prompt, str) else ()
    known = all(one.role in ("system", "user", "assistant") for one in found)
    return tuple(found) if known else ()


def _text(content: Any) -> str:
    """Raises TypeError or KeyError where any part is no text: without it the prompt is another."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content)


def named_by_prompt(answers: Iterable[Answer]) -> tuple[Answer, ...]:
    """One prompt is one item, in every file, load and model; asked again under a load, a repeat.

    The tool's own names are of one request each, so nothing could be paired by them. Answers
    without a known prompt keep theirs.
    """
    seen: Counter[tuple[str, str, str | None]] = Counter()
    named = []
    for answer in answers:
        if not answer.messages:
            named.append(answer)
            continue
        asked = msgspec.json.encode(answer.messages)
        item = f"prompt {hashlib.sha256(asked).hexdigest()[:16]}"
        key = (item, answer.model, answer.load)
        named.append(msgspec.structs.replace(answer, item_id=item, repeat=seen[key]))
        seen[key] += 1
    return tuple(named)
