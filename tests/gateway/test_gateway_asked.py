from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.gateway.asked import read_body
from perwatt.gateway.headers import answered, forwarded
from perwatt.gateway.ids import Names
from perwatt.gateway.target import parse_target


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_any_body_can_be_read(body: bytes) -> None:
    asked = read_body(body)
    assert len(asked.prompt_sha256) == 64
    assert asked.prompt_tokens >= 0


def test_the_same_prompt_is_the_same_item_whatever_stands_beside_it() -> None:
    prompt = [{"role": "user", "content": "hi"}]
    one = read_body(json.dumps({"model": "a", "messages": prompt}).encode())
    other = read_body(json.dumps({"stream": True, "messages": prompt, "seed": 3}).encode())
    assert one.prompt_sha256 == other.prompt_sha256
    assert (one.model, other.model) == ("a", None)
    assert one.prompt_sha256 == hashlib.sha256(json.dumps(prompt).encode()).hexdigest()


def test_neighbours_headers_stay_behind_and_repeated_ones_are_joined() -> None:
    headers = [
        (b"host", b"us"),
        (b"connection", b"keep-alive, X-Private"),
        (b"x-private", b"1"),
        (b"te", b"trailers"),
        (b"x-list", b"a"),
        (b"x-list", b"b"),
        (b"cookie", b"c=1"),
        (b"cookie", b"d=2"),
        (b"api-key", b"theirs"),
    ]
    plain = forwarded(headers, "id", upstream_key=None, own_key=False)
    assert plain == {
        "x-list": "a, b",
        "cookie": "c=1; d=2",
        "api-key": "theirs",
        "x-request-id": "id",
    }
    keyed = forwarded(headers, "id", upstream_key="ours", own_key=False)
    assert (keyed["authorization"], "api-key" in keyed) == ("Bearer ours", False)
    assert "api-key" not in forwarded(headers, "id", upstream_key=None, own_key=True)
    back = {"connection": "x-hop", "x-hop": "1", "content-length": "3", "x-kept": "é"}
    assert answered(back, keep_length=False) == [(b"x-kept", b"\xe9")]


@pytest.mark.parametrize(
    ("to", "path", "query", "target"),
    [
        ("http://h:1", b"/v1/models", b"", "/v1/models"),
        ("http://h:1/v1/", b"/v1/models", b"a=%20b", "/v1/models?a=%20b"),
        ("https://h/openai/v1", b"/v1/x%2Fy", b"", "/openai/v1/x%2Fy"),
        ("http://h:1", b"/v1/a/../b", b"", None),
        ("http://h:1", b"/v1/%2E./b", b"", None),
        ("http://h:1", b"/v1/a..b", b"", "/v1/a..b"),
    ],
)
def test_where_a_path_goes(to: str, path: bytes, query: bytes, target: str | None) -> None:
    assert parse_target(to).of(path, query) == target


def test_what_is_not_recorded_takes_no_name() -> None:
    names = Names()
    wanted = [(b"x-request-id", b"a")]
    assert names.request_id(wanted, recorded=False) == "a"
    assert [names.request_id(wanted) for _ in range(2)] == ["a", "a#2"]
    assert [names.repeat("item") for _ in range(2)] == [0, 1]
