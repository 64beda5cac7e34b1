"""The address as a whole: what it refuses, what it leaves, and that its joules are the device's."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.errors import PortInUseError, RunDirError, SpecError
from perwatt.gateway.finish import is_served, resume_served
from perwatt.gateway.options import ServeOptions
from perwatt.gateway.serve import serve
from perwatt.runner.summary import summarise_run
from perwatt.store.journal import read_journal
from perwatt.store.load import load_tables
from perwatt.store.rundir import read_run

IDLE_W, BUSY_W = 20.0, 80.0
STREAM = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
USAGE = {"prompt_tokens": 7, "completion_tokens": 10}


def ten_tokens(upstream: Any) -> list[Any]:
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}
    events = [*[upstream.delta("x")] * 10, upstream.event(end), b"data: [DONE]\n\n"]
    steps: list[Any] = upstream.stream(events, 0.03)
    return steps


def told_in(body: bytes) -> dict[str, Any]:
    (event,) = [one for one in body.split(b"\n\n") if b'"perwatt"' in one]
    told: dict[str, Any] = json.loads(event[6:])["perwatt"]
    return told


def test_joules_of_many_at_once_are_the_devices_and_outlive_a_kill(
    upstream: Any,
    device: Any,
    make_address: Callable[..., Any],
    ask_at: Callable[..., Any],
    tmp_path: Path,
) -> None:
    upstream.script = lambda _: ten_tokens(upstream)
    live: dict[str, dict[str, Any]] = {}
    address = make_address(keep_text=True)
    device.longest_s = 0.0
    with address:

        def caller(n: int) -> None:
            headers = {
                "X-Request-Id": f"r{n}",
                "X-Perwatt-Item": f"q{n % 3}",
                "X-Perwatt-Run": "lm-eval",
            }
            live[f"r{n}"] = told_in(ask_at(address.host, STREAM, headers=headers).body)

        threads = [threading.Thread(target=caller, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        end_ns = max(address.record(f"r{n}").reply.last_chunk_ns for n in range(6))
        out = address.options.out
        while not any(  # until the sensor's last samples are journalled as well
            sample.t_ns > end_ns + 100_000_000
            for line in read_journal(out / "journal.jsonl").power
            for sample in line.samples
        ):
            time.sleep(0.05)
        killed = tmp_path / "killed"  # what kill -9 would have left at this moment
        shutil.copytree(out, killed)
        status = json.loads(ask_at(address.host, path="/perwatt/status", method="GET").body)
    parts = [status[name] for name in ("requests_j", "idle_j", "unattributed_j")]
    assert sum(parts) == pytest.approx(status["device_j"])

    tables = load_tables(out)
    rows = tables.requests
    assert is_served(tables.run)
    assert tables.run["status"] == "complete"
    assert sorted(rows["request_id"]) == [f"r{n}" for n in range(6)]
    assert set(rows["item_id"]) == {"lm-eval/q0", "lm-eval/q1", "lm-eval/q2"}
    assert set(rows["kind"]) == {"lm-eval"}
    assert sorted(rows["repeat"]) == [0, 0, 0, 1, 1, 1]
    assert set(rows["text"]) == {"x" * 10}
    assert max(rows["in_flight"]) > 1
    summary = summarise_run(tables)
    (pair,) = summary.pairs
    ledger = pair.ledger
    assert ledger is not None
    total = ledger.requests_j + ledger.idle_j + ledger.unattributed_j
    assert total == pytest.approx(ledger.device_j)
    assert sum(rows["energy_gross_j"]) == pytest.approx(ledger.requests_j)
    # Where a busy machine holds the emulated device up, it draws the watts of before meanwhile.
    assert ledger.idle_power_w is not None
    assert 0.4 * IDLE_W < ledger.idle_power_w < 1.1 * BUSY_W
    # Somebody was answered from the first dispatch to the last chunk.
    busy_s = (max(rows["last_chunk_ns"]) - min(rows["dispatched_ns"])) / 1e9
    late_j = BUSY_W * 2 * device.longest_s  # what a busy machine counts late, at both ends
    off_j = 0.5 * BUSY_W * busy_s + late_j
    assert ledger.requests_j == pytest.approx(BUSY_W * busy_s, abs=off_j)
    # What each caller was told at once is near what the finished run says.
    told_j = sum(t["energy_j"] for t in live.values())
    assert told_j == pytest.approx(ledger.requests_j, abs=off_j)
    for request_id, gross in zip(rows["request_id"], rows["energy_gross_j"], strict=True):
        assert live[request_id]["low_j"] <= gross * 2 + late_j
        assert live[request_id]["high_j"] >= gross / 2 - late_j
    accuracy = pair.metrics["accuracy"]
    assert accuracy.value is None
    assert accuracy.reason

    assert read_run(killed)["status"] == "running"
    with pytest.raises(RunDirError, match="not finished"):
        load_tables(killed)
    resume_served(killed, lambda _: None)
    again = load_tables(killed)
    assert sorted(again.requests["request_id"]) == sorted(rows["request_id"])
    assert len(again.scores["request_id"]) == 6
    resume_served(killed, lambda _: None)  # complete: left alone
    assert sum(again.requests["energy_gross_j"]) == pytest.approx(ledger.requests_j, abs=off_j)


def test_keys_limits_and_secrets(
    upstream: Any,
    make_address: Callable[..., Any],
    ask_at: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SERVER_KEY", "sk-server-secret")
    monkeypatch.setenv("CALLER_KEY", "sk-caller-secret")
    address = make_address(
        api_key_env="SERVER_KEY", client_key_env="CALLER_KEY", max_body_mib=1, timeout_s=1.5
    )
    key = {"Authorization": "Bearer sk-caller-secret"}
    with address:
        upstream.script = lambda _: [upstream.json_answer({"data": []})]
        for path in ("/v1/chat/completions", "/metrics", "/perwatt/status"):
            method = "POST" if path.startswith("/v1") else "GET"
            before = len(upstream.asked)
            wrong = {"Authorization": "Bearer sk-guess"}
            for headers in ({}, wrong):
                found = ask_at(address.host, {}, path=path, method=method, headers=headers)
                assert found.status == 401
                assert json.loads(found.body)["error"]["code"] == "invalid_api_key"
            assert len(upstream.asked) == before
        assert ask_at(address.host, path="/healthz", method="GET").status == 200
        assert ask_at(address.host, path="/metrics", method="GET", headers=key).status == 200

        assert ask_at(address.host, {}, headers={"X-Api-Key": "sk-caller-secret"}).status == 200
        assert upstream.asked[-1].headers["authorization"] == "Bearer sk-server-secret"
        assert b"caller-secret" not in upstream.asked[-1].head

        large = ask_at(address.host, b"x" * (2**20 + 1), headers=key)
        assert large.status == 413
        assert json.loads(large.body)["error"]["code"] == "request_too_large"

        # A server that repeats the key in what it says.
        said = {"error": {"message": "bad key sk-server-secret"}}
        upstream.script = lambda _: [upstream.json_answer(said, "401 Unauthorized")]
        assert ask_at(address.host, {}, headers=key | {"X-Request-Id": "leak"}).status == 401
        record = address.record("leak")
        assert (record.reply.error_kind, record.reply.error) == ("http-401", "bad key [key]")

        upstream.script = lambda _: [30.0]
        late = ask_at(address.host, STREAM, headers=key | {"X-Request-Id": "late"})
        assert late.status == 504
        assert json.loads(late.body)["error"]["code"] == "timeout-first"
        assert address.record("late").reply.error_kind == "timeout-first"
    for file in address.options.out.rglob("*"):
        if file.is_file():
            assert b"-secret" not in file.read_bytes(), file
    assert "-secret" not in repr(address.events)


def test_a_server_that_is_not_there_is_502_and_a_failed_request(
    make_address: Callable[..., Any], ask_at: Callable[..., Any]
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        address = make_address(to=f"http://127.0.0.1:{port}", idle_s=0.05)
        with address:
            found = ask_at(address.host, STREAM)
            assert found.status == 502
            error = json.loads(found.body)["error"]
            assert (error["type"], error["code"]) == ("upstream_error", "connect")
    tables = load_tables(address.options.out)
    assert tables.requests["status"] == ["error"]
    assert tables.requests["error_kind"] == ["connect"]
    assert any("Nothing answers" in getattr(e, "text", "") for e in address.events)


def test_where_nobody_asks_no_run_is_kept_and_those_in_flight_may_end(
    upstream: Any, make_address: Callable[..., Any], ask_at: Callable[..., Any]
) -> None:
    upstream.script = lambda _: [upstream.json_answer({"data": []})]
    address = make_address(idle_s=0.05)
    with address:
        pass
    assert address.finished is None
    assert not address.options.out.exists()

    upstream.script = lambda _: ten_tokens(upstream)
    address = make_address(idle_s=0.05)
    found: list[Any] = []
    with address:
        caller = threading.Thread(target=lambda: found.append(ask_at(address.host, STREAM)))
        before = len(upstream.asked)
        caller.start()
        while len(upstream.asked) == before:
            time.sleep(0.01)
        address.serving.stop()
        caller.join(120)
    assert found[0].body.endswith(b"data: [DONE]\n\n")
    (request,) = read_journal(address.options.out / "journal.jsonl").requests
    assert request.reply.status == "ok"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "needs a server, or a model"),
        ({"to": "http://127.0.0.1:9", "model": "m"}, "needs a server, or a model"),
        ({"to": "localhost:8000"}, "is not the address of a server"),
        ({"to": "http://u:p@h/v1"}, "carries a key, a password or a query"),
        ({"to": "http://h/v1?key=k"}, "carries a key, a password or a query"),
        ({"to": "http://h/v1", "host": "0.0.0.0"}, "callers would need no key"),
        ({"to": "http://h/v1", "api_key_env": "sk-pasted"}, "the variable's name, not the key"),
        ({"to": "http://h/v1", "client_key_env": "NOT_SET_AT_ALL"}, "is not set"),
        ({"to": "http://h/v1", "attribution": "wishful"}, "no attribution named 'wishful'"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_is_made(
    given: dict[str, Any], words: str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    more: dict[str, Any] = {"port": 0, "out": out} | given
    with pytest.raises(SpecError) as raised:
        serve(ServeOptions(**more), lambda _: None)
    assert words in raised.value.message
    assert "sk-pasted" not in str(raised.value)
    assert not out.exists()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = ServeOptions(to="http://127.0.0.1:9/v1", port=port, out=tmp_path / "run")
        with pytest.raises(PortInUseError, match=str(port)):
            serve(options, lambda _: None)
