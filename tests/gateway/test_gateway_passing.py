"""What goes through the address, and what comes back, byte for byte."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
STREAM = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
Ask = Callable[..., Any]
BUSY_W = 80.0


def figure_of(headers: dict[str, str]) -> tuple[float, float, float, float]:
    low, net, gross, high = (
        float(headers[f"x-perwatt-{name}-j"]) for name in ("low", "net", "energy", "high")
    )
    return low, net, gross, high


def test_a_question_and_its_answer_are_untouched_and_have_joules_in_the_headers(
    upstream: Any, device: Any, address: Any, ask: Ask
) -> None:
    body = b'{ "model":"m", "x_unknown":{"a":[1,2.50]},\n "messages":[] ,"stream":false}'
    answer = b'{"id": "1",  "weird": 1.0, "choices":[], "usage": {"prompt_tokens":3}}'
    upstream.script = lambda _: [0.1, upstream.json_answer(answer, more="X-Mine: yes\r\n")]
    headers = {
        "Authorization": "Bearer callers",
        "X-Anything": "goes",
        "Connection": "x-hop",
        "X-Hop": "stays here",
        "Accept-Encoding": "gzip",
        "X-Request-Id": "whole-1",
    }
    device.longest_s, begun = 0.0, time.monotonic()
    found = ask(body, path="/v1/chat/completions?api-version=2", headers=headers)
    took_s = time.monotonic() - begun
    asked = upstream.asked[-1]
    assert found.status == 200
    assert found.body == answer
    assert asked.body == body
    assert asked.line == "POST /v1/chat/completions?api-version=2 HTTP/1.1"
    assert asked.headers["authorization"] == "Bearer callers"
    assert asked.headers["x-anything"] == "goes"
    assert asked.headers["x-request-id"] == "whole-1"
    assert not {"x-hop", "connection", "accept-encoding"} & set(asked.headers)
    assert found.headers["x-mine"] == "yes"
    assert found.headers["x-perwatt-request-id"] == "whole-1"
    assert (found.headers["x-perwatt-grade"], found.headers["x-perwatt-boundary"]) == (
        "B",
        "package",
    )
    low, net, gross, high = figure_of(found.headers)
    assert 0 <= low <= gross <= high
    # 80 W for a tenth of a second, of which 20 W are idle. A busy machine counts late.
    late_s = 2 * device.longest_s
    least_j, most_j = BUSY_W * (0.03 - late_s), BUSY_W * (took_s + late_s)
    assert least_j < gross < most_j
    assert net < gross
    told = json.loads(ask(path="/perwatt/requests/whole-1", method="GET").body)
    assert told["request_id"] == "whole-1"
    late_s = 2 * device.longest_s
    assert BUSY_W * (0.03 - late_s) < told["energy_j"] < BUSY_W * (took_s + late_s)
    record = address.record("whole-1")
    assert record.reply.prompt_tokens == 3
    assert record.reply.status == "ok"
    assert record.reply.first_chunk_ns is None


def test_the_last_usage_chunk_alone_is_changed(
    upstream: Any, device: Any, address: Any, ask: Ask
) -> None:
    events = [
        b'data: {"choices":[{"index":0,"delta":{"content":""}}],"usage":null}\n\n',
        b": ping\n\n",
        upstream.delta("one"),
        upstream.delta(" two é"),
        upstream.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        b'data: {"choices": [],  "usage":' + json.dumps(USAGE).encode() + b"}\n\n",
        b"data: [DONE]\n\n",
    ]
    upstream.script = lambda _: upstream.stream(events, 0.02)
    device.longest_s, begun = 0.0, time.monotonic()
    found = ask(STREAM | {"stream_options": {"include_usage": True}}, headers={"X-Request-Id": "s"})
    late_s, took_s = 2 * device.longest_s, time.monotonic() - begun
    got = [one + b"\n\n" for one in found.body.split(b"\n\n")[:-1]]
    assert found.headers["x-perwatt-request-id"] == "s"
    assert [a for a, b in zip(got, events, strict=True) if a != b] == [got[5]]
    usage = json.loads(got[5][6:])
    told = usage.pop("perwatt")
    assert usage == {"choices": [], "usage": USAGE}
    assert got[5].startswith(events[5][:-3])
    assert set(told) == {
        "energy_j",
        "energy_net_j",
        "low_j",
        "high_j",
        "grade",
        "boundary",
        "attribution",
        "provisional",
        "request_id",
    }
    assert (told["attribution"], told["provisional"], told["request_id"]) == ("live", True, "s")
    assert told["low_j"] <= told["energy_j"] <= told["high_j"]
    assert BUSY_W * (0.2 * 0.14 - late_s) < told["energy_j"] < BUSY_W * (took_s + late_s)
    reply = address.record("s").reply
    assert (reply.prompt_tokens, reply.completion_tokens, reply.tokens_by) == (7, 2, "server")
    assert len(reply.chunk_offsets_ns) == 2
    assert reply.text == ""  # not asked to be kept
    assert reply.dispatched_ns <= reply.sent_ns <= reply.first_byte_ns <= reply.first_chunk_ns


@pytest.mark.parametrize("done", [True, False])
def test_without_usage_the_joules_are_a_comment_before_the_end(
    upstream: Any, ask: Ask, done: bool
) -> None:
    events = [
        upstream.delta("a"),
        upstream.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    ]
    end = [b"data: [DONE]\n\n"] if done else []
    upstream.script = lambda _: upstream.stream([*events, *end])
    got = ask(STREAM).body
    start, comment, rest = got.partition(b": perwatt ")
    assert start == b"".join(events)
    assert comment
    told, _, after = rest.partition(b"\n\n")
    assert json.loads(told)["energy_j"] is not None
    assert after == b"".join(end)


def test_an_id_is_used_once_and_made_where_none_is_given(upstream: Any, ask: Ask) -> None:
    upstream.script = lambda _: [upstream.json_answer({"usage": {}})]
    for wanted, expected in (("mine", "mine"), ("mine", "mine#2"), ("mine", "mine#3")):
        found = ask({}, headers={"X-Perwatt-Request-Id": wanted, "X-Request-Id": "other"})
        assert found.headers["x-perwatt-request-id"] == expected
        assert upstream.asked[-1].headers["x-request-id"] == expected
    assert ask({}).headers["x-perwatt-request-id"].startswith("pw-")
    assert ask({}, headers={"X-Request-Id": "é" * 3}).headers["x-perwatt-request-id"][:3] == "pw-"


def test_the_servers_own_failure_goes_through_untouched(
    upstream: Any, address: Any, ask: Ask
) -> None:
    said = b'{"error":{"message":"slow down","type":"rate","code":"rate_limit"} }'
    upstream.script = lambda _: [
        upstream.json_answer(said, "429 Too Many Requests", "Retry-After: 7\r\n")
    ]
    found = ask(STREAM, headers={"X-Request-Id": "busy"})
    assert (found.status, found.body, found.headers["retry-after"]) == (429, said, "7")
    reply = address.record("busy").reply
    assert (reply.status, reply.error_kind, reply.retry_after_s) == ("error", "http-429", 7.0)


def test_a_server_that_breaks_off_ends_in_an_error_event(
    upstream: Any, address: Any, ask: Ask
) -> None:
    begun = upstream.stream([upstream.delta("half")], 0.01)[:-1]
    upstream.script = lambda _: [*begun, b'c\r\ndata: {"choi\r\n', 0.05, "reset"]
    before = len(upstream.asked)
    found = ask(STREAM, headers={"X-Request-Id": "broken"})
    assert len(upstream.asked) == before + 1  # nothing is asked again once a byte has come
    first, second = found.body.split(b"\n\n")[:-1]
    assert first + b"\n\n" == upstream.delta("half")
    error = json.loads(second[6:])["error"]
    assert (error["type"], error["code"], error["param"]) == ("upstream_error", "reset", None)
    reply = address.record("broken").reply
    assert (reply.status, reply.error_kind) == ("error", "reset")
    assert len(reply.chunk_offsets_ns) == 1


def test_a_caller_that_leaves_stops_the_server(upstream: Any, address: Any) -> None:
    upstream.script = lambda _: upstream.stream([upstream.delta("x")] * 400, 0.02)
    body = json.dumps(STREAM).encode()
    host, _, port = address.host.partition(":")
    with socket.create_connection((host, int(port))) as caller:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        caller.sendall(head.encode() + b"X-Request-Id: leaver\r\n\r\n" + body)
        while b"data: " not in caller.recv(4096):
            pass
    assert upstream.asked[-1].caller_left.wait(5)
    reply = address.record("leaver").reply
    assert (reply.status, reply.error_kind) == ("cancelled", None)
    assert reply.chunk_offsets_ns


def test_a_caller_that_leaves_after_done_has_been_served(upstream: Any, address: Any) -> None:
    end = upstream.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    begun = upstream.stream([upstream.delta("x"), end, b"data: [DONE]\n\n"])[:-1]
    upstream.script = lambda _: [*begun, 5.0]  # a server that dawdles after the last event
    body = json.dumps(STREAM).encode()
    host, _, port = address.host.partition(":")
    with socket.create_connection((host, int(port))) as caller:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        caller.sendall(head.encode() + b"X-Request-Id: done\r\n\r\n" + body)
        got = b""
        while b"[DONE]" not in got:
            got += caller.recv(4096)
    assert address.record("done").reply.status == "ok"


def test_a_slow_caller_holds_up_the_server_and_not_our_memory(upstream: Any, address: Any) -> None:
    mib = b"x" * 2**20
    head = b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: %d\r\n\r\n" % (
        96 * 2**20
    )
    upstream.script = lambda _: [head, *[mib] * 96]
    upstream.sent_bytes = 0
    host, _, port = address.host.partition(":")
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(b"GET /v1/files/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        last = -1
        while upstream.sent_bytes != last or last < 0:  # until nothing moves any more
            last = upstream.sent_bytes
            time.sleep(0.15)
        assert upstream.sent_bytes < 64 * 2**20
        size = 0
        while size < 96 * 2**20:
            size += len(caller.recv(2**20))
    assert size >= 96 * 2**20


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1/models", "GET", 200),
        ("/v1/models", "HEAD", 200),
        ("/v1/models", "OPTIONS", 200),
        ("/v1/../secret", "GET", 400),
        ("/v1/%2e%2E/secret", "POST", 400),
        ("/elsewhere", "GET", 404),
    ],
)
def test_other_paths_and_methods(
    upstream: Any, ask: Ask, path: str, method: str, status: int
) -> None:
    upstream.script = lambda asked: (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"]
        if asked.line.startswith("HEAD")
        else [upstream.json_answer({"data": []})]
    )
    before = len(upstream.asked)
    found = ask(path=path, method=method)
    assert found.status == status
    assert (len(upstream.asked) > before) == (status == 200)
    if status != 200:
        assert set(json.loads(found.body)["error"]) == {"message", "type", "code", "param"}
    elif method != "HEAD":
        assert found.body == b'{"data": []}'
        assert "x-perwatt-energy-j" not in found.headers  # it cost nothing to speak of


def test_an_answer_of_unknown_kind_goes_through(upstream: Any, address: Any, ask: Ask) -> None:
    upstream.script = lambda _: [
        b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: 4\r\n\r\nRI",
        0.02,
        b"FF",
    ]
    found = ask({"input": "hi"}, path="/v1/audio/speech", headers={"X-Request-Id": "wav"})
    assert (found.body, found.headers["content-length"]) == (b"RIFF", "4")
    assert address.record("wav").reply.status == "ok"


def test_metrics_can_be_scraped_and_name_no_request(upstream: Any, ask: Ask) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    upstream.script = lambda _: [
        upstream.json_answer({"model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
    ]
    ask({"model": "m"}, headers={"X-Request-Id": "never-a-label"})
    text = ask(path="/metrics", method="GET").body.decode()
    assert "never-a-label" not in text
    samples = {
        (s.name, s.labels.get("part") or s.labels.get("kind") or s.labels.get("domain")): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if s.labels.get("model") in {None, "m"}
    }
    assert samples["perwatt_energy_joules_total", "package-0"] > 0
    assert samples["perwatt_power_watts", "package-0"] > 0
    assert samples["perwatt_tokens_total", "completion"] >= 4
    assert samples["perwatt_in_flight", None] == 0
    parts = [samples["perwatt_attributed_joules_total", p] for p in ("requests", "idle")]
    assert sum(parts) <= samples["perwatt_energy_joules_total", "package-0"] * 1.01
    status = json.loads(ask(path="/perwatt/status", method="GET").body)
    assert status["in_flight"] == 0
    given = status["requests_j"] + status["idle_j"] + status["unattributed_j"]
    assert given == pytest.approx(status["device_j"])
    # Where a busy machine holds the emulated device up, it draws the watts of before meanwhile.
    assert 8.0 < status["idle"]["power_w"] < 88.0
    assert ask(path="/perwatt/requests/nobody", method="GET").status == 404
