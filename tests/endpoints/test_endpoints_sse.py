"""The event stream grammar: any chunking gives the same events."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perwatt.endpoints.sse import EventTooLongError, SSEParser


def parse(*chunks: bytes) -> list[bytes]:
    parser = SSEParser()
    return [e for c in chunks for e in parser.feed(c)] + parser.end()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\r\n\r\ndata: b\r\r", [b"a", b"b"]),
        (b": ping\n\ndata: a\n: note\n\n", [b"a"]),
        (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b"data:  kept space\n\n", [b" kept space"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n\ndata: [DONE]", [b"a", b"[DONE]"]),
        (b"data\n\n", [b""]),
        (b"\n\n\n", []),
        (b"", []),
        ("data: é東😀\n\n".encode(), ["é東😀".encode()]),
    ],
)
def test_grammar(stream: bytes, events: list[bytes]) -> None:
    assert parse(stream) == events


lines = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)
line_ends = st.sampled_from(["\n", "\r\n", "\r"])


@given(
    events=st.lists(st.lists(lines, min_size=1, max_size=3), max_size=5),
    end=line_ends,
    cuts=st.lists(st.integers(0, 400), max_size=12),
    comment=lines,
)
def test_any_chunking_gives_the_same_events(
    events: list[list[str]], end: str, cuts: list[int], comment: str
) -> None:
    stream = "".join(
        f":{comment}{end}" + "".join(f"data: {line}{end}" for line in event) + end
        for event in events
    ).encode()
    places = sorted({min(c, len(stream)) for c in cuts} | {0, len(stream)})
    chunks = [stream[a:b] for a, b in pairwise(places)]
    expected = ["\n".join(event).encode() for event in events]
    assert parse(*chunks) == expected
    assert parse(*(bytes([b]) for b in stream)) == expected


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_garbage_never_raises_and_chunking_does_not_matter(chunks: list[bytes]) -> None:
    assert parse(*chunks) == parse(b"".join(chunks))


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 60, b"data: x\n"])
def test_an_event_without_end_is_given_up(piece: bytes) -> None:
    parser = SSEParser(longest=100)
    with pytest.raises(EventTooLongError):
        for _ in range(100):
            parser.feed(piece)
    whole = SSEParser(longest=100)
    assert [whole.feed(piece + b"\n\n") for _ in range(100)] == [[piece.strip()[6:]]] * 100
