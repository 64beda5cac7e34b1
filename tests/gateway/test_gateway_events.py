from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.gateway.events import Events, is_last_usage, payload_of, with_figure

USAGE = {"prompt_tokens": 1, "completion_tokens": 2}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b"data: {}", b": ping", b"data: a\ndata: b", b"event: x\ndata: 1"])),
    st.sampled_from([b"\n\n", b"\r\n\r\n"]),
    st.lists(st.integers(1, 7), min_size=1),
)
def test_cut_anywhere_every_byte_comes_through_in_order(
    events: list[bytes], end: bytes, cuts: list[int]
) -> None:
    stream = b"".join(one.replace(b"\n", end[: len(end) // 2]) + end for one in events)
    splitter, out, at, n = Events(), [], 0, 0
    while at < len(stream):
        size = cuts[n % len(cuts)]
        out += splitter.feed(stream[at : at + size])
        at, n = at + size, n + 1
    assert b"".join(one.raw for one in out) + splitter.rest() == stream
    whole = [one.data for one in out if one.data is not None or one.raw.startswith(b":")]
    assert whole == [payload_of(one) for one in events]


def test_an_endless_event_goes_through_raw() -> None:
    splitter = Events()
    piece = b"data: " + b"x" * (1024 * 1024)
    assert [one.raw for one in splitter.feed(piece)] == [piece]
    assert splitter.raw
    assert [(one.raw, one.data) for one in splitter.feed(b"more\n\n")] == [(b"more\n\n", None)]


@pytest.mark.parametrize(
    ("value", "last"),
    [
        ({"choices": [], "usage": USAGE}, True),
        ({"choices": None, "usage": USAGE}, True),
        ({"choices": [{"finish_reason": "stop"}], "usage": USAGE}, True),
        ({"choices": [{"finish_reason": None}], "usage": USAGE}, False),
        ({"choices": [], "usage": None}, False),
        ({"choices": [{"delta": {"content": '"usage"'}}]}, False),
    ],
)
def test_which_usage_is_the_last(value: dict[str, object], last: bool) -> None:
    assert is_last_usage(json.dumps(value).encode()) is last


def test_the_figure_is_put_in_and_every_other_byte_stays() -> None:
    raw = b'data: {"b":1.50,  "usage":{"x":1} }\r\n\r\n'
    changed = with_figure(raw, b'{"energy_j":1}')
    assert changed == b'data: {"b":1.50,  "usage":{"x":1} ,"perwatt":{"energy_j":1}}\r\n\r\n'
