"""Events read by their pattern alone give the reply that parsing each of them gives."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perwatt.core.records import Reply
from perwatt.endpoints.openai_answer import Answer
from perwatt.endpoints.stream_alike import MISSES, Alike


def chat(text: str, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None} | more
    return {"id": "x", "model": "m", "choices": [choice]}


def completion(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "text": text, "finish_reason": None} | more]}


def heard(reads: list[bytes]) -> Reply:
    answer = Answer(0)
    answer.head(200, {"content-type": "text/event-stream"}, 0)
    for n, read in enumerate(reads):
        answer.body(read, n)
    return answer.reader.ok()


TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ['"', "\\", '"content":', '"text":', "é", "\u2028", "\n\n", "data: ", "[DONE]"]
    ),
)
ODD = st.one_of(
    st.builds(lambda t: chat(t, finish_reason="stop"), TEXTS),
    st.builds(lambda t: chat(t, index=1), TEXTS),
    st.builds(lambda t: chat(t, logprobs={"content": [{"logprob": -0.5}]}), TEXTS),
    st.builds(lambda t: chat("", delta={"reasoning_content": t}), TEXTS),
    st.builds(lambda t: chat("", delta={"content": t, "reasoning": t}), TEXTS),
    st.builds(lambda t: chat(t) | {"usage": {"completion_tokens": 3}}, TEXTS),
    st.builds(lambda t: chat(t) | {"model": "other"}, TEXTS),
    st.builds(lambda t: chat(t) | {"timings": {"prompt_ms": 2.0}}, TEXTS),
)


@settings(max_examples=150, deadline=None)
@example([chat("0") | {"model": "other"}, chat(""), chat("0") | {"model": "other"}], False)
@given(
    st.lists(
        st.one_of(st.builds(chat, TEXTS), st.builds(completion, TEXTS), ODD), min_size=1, max_size=9
    ),
    st.booleans(),
)
def test_whole_events_give_what_single_bytes_give(
    events: list[dict[str, Any]], escaped: bool
) -> None:
    lines = [b"data: " + json.dumps(e, ensure_ascii=escaped).encode() + b"\n\n" for e in events]
    stream = b"".join([b": hello\n\n", *lines])
    dribbled = heard([stream[k : k + 1] for k in range(len(stream))])
    whole = heard([b": hello\n\n", *lines])

    def but_for_marks(reply: Reply) -> Reply:
        count = len(reply.chunk_offsets_ns)
        return msgspec.structs.replace(
            reply,
            chunk_offsets_ns=(0,) * count,
            first_chunk_ns=None,
            first_answer_ns=None if reply.first_answer_ns is None else 0,
            last_chunk_ns=0,
        )

    assert but_for_marks(whole) == but_for_marks(dribbled)


@pytest.mark.parametrize("event", [chat, completion])
def test_the_next_event_fits_the_pattern_of_the_last(event: Any) -> None:
    alike = Alike()
    first, second = (b"data: " + json.dumps(event(t)).encode() + b"\n\n" for t in ("a", 'é "b"'))
    assert alike.text_of(first) is None
    alike.learn(first, "a")
    assert alike.text_of(second) == 'é "b"'
    assert alike.text_of(second.replace(b'"m"', b'"n"')) is None
    assert alike.text_of(first.replace(b'"a"', b'""')) is None  # no text: no chunk
    assert alike.text_of(first.replace(b'"a"', b'"a","role":"b"')) is None
    assert alike.text_of(first.replace(b'"a"', b'"\xff"')) is None


def test_where_every_event_differs_no_more_patterns_are_made() -> None:
    alike = Alike()
    for n in range(MISSES + 1):
        read = b'data: {"n":%d,"choices":[{"delta":{"content":"a"}}]}\n\n' % n
        assert alike.text_of(read) is None
        alike.learn(read, "a")
    assert alike.text_of(read) is None
