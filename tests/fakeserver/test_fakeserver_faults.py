"""Each fault does to the bytes what its name says, as often as asked for."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import msgspec
import pytest

from perwatt.core.errors import PortInUseError
from perwatt.fakeserver import FakeServer, Settings
from perwatt.fakeserver.faults import FAULTS, Faults, http_status

HALF = Settings(tokens=8, ttft="0", itl="0", late_s=0.15, drip_s=0.005, retry_after_s=2.5)

STALLS = {"timeout-first": 0, "timeout-chunk": 4, "timeout-total": 9}
"""What only the client can end, and after how many words."""


def check(fault: str, seen: Any) -> None:
    """What a raw socket saw of a stream with this fault in it; eight chunks were planned."""
    words = len(seen.text.split()) if seen.status == 200 and seen.body[:1] == b"d" else None
    status = http_status(fault)
    if status is not None:
        assert seen.status == status
        assert seen.json()["error"]["message"]
        retry = seen.headers.get("retry-after")
        assert retry == ("2.5" if status in {429, 503} else None)
    elif fault in {"context-overflow", "content-filter"}:
        code = {"context-overflow": "context_length_exceeded"}.get(fault, "content_filter")
        assert (seen.status, seen.json()["error"]["code"]) == (400, code)
    elif fault in {"timeout-first", "reset-first"}:
        assert seen.reads == [] or seen.reads[0][1] == b""
        assert seen.reset == (fault == "reset-first")
    elif fault in {"timeout-chunk", "reset", "closed"}:
        assert (words, seen.whole, seen.done) == (4, False, False)
        assert seen.reset == (fault == "reset")
        ended = bool(seen.reads) and seen.reads[-1][1] == b""
        assert ended == (fault == "closed")
    elif fault == "timeout-total":
        assert words is not None and words > 8
        assert not seen.whole
    elif fault == "truncated":
        assert (words, seen.whole, seen.done) == (4, True, False)
    elif fault in {"malformed", "bad-utf8"}:
        (bad,) = [event for event in seen.events if isinstance(event, bytes)]
        assert (b"\xff" in bad) == (fault == "bad-utf8")
    elif fault == "malformed-http":
        assert (words, seen.whole) == (4, False)
        assert b"no chunk size" in b"".join(data for _, data in seen.reads)
    elif fault == "wrong-model":
        assert seen.events[0]["model"] == "another-fake"
    elif fault == "empty":
        assert (words, seen.done) == (0, True)
    elif fault == "server":
        assert next(e for e in seen.events if "error" in e)["error"]["type"] == "server_error"
    elif fault == "not-streamed":
        assert seen.headers["content-type"] == "application/json"
        assert len(seen.json()["choices"][0]["message"]["content"].split()) == 8
    elif fault == "late":
        assert seen.reads[-1][0] - seen.sent_ns >= 150_000_000
        assert (words, seen.done) == (8, True)
    elif fault == "duplicate":
        assert (words, seen.done) == (9, True)
    elif fault == "no-done":
        assert (words, seen.whole, seen.done, seen.finish) == (8, True, False, "stop")
    else:
        pytest.fail(f"{fault} has no test")


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_in_a_stream(ask: Any, fault: str) -> None:
    async def main() -> None:
        async with FakeServer(HALF) as server:
            named = {"x-fake-fault": fault}
            patience_s = 0.3 if fault in STALLS else 60.0
            words = STALLS.get(fault, 0)
            seen = await ask(server.url, headers=named, patience_s=patience_s, words=words)
            check(fault, seen)
            after = await ask(server.url)
            assert (after.status, len(after.text.split())) == (200, 8)
            while server.in_flight:
                await asyncio.sleep(0.002)
            faults = [truth.fault for truth in server.truth]
            assert sorted(map(str, faults)) == sorted([fault, "None"])

    asyncio.run(main())


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_breaks_the_server_on_whole_answers(ask: Any, fault: str) -> None:
    async def main() -> None:
        async with FakeServer(HALF) as server:
            named = {"x-fake-fault": fault}
            patience_s = 0.1 if fault in STALLS else 60.0
            seen = await ask(server.url, headers=named, stream=False, patience_s=patience_s)
            healthy = seen.status == 200 and seen.whole and b"Injected" not in seen.body
            fine = {"wrong-model", "empty", "not-streamed", "late", "duplicate", "no-done"}
            if fault in {"malformed", "bad-utf8", "server"}:
                with pytest.raises(ValueError):
                    seen.json()
            else:
                assert healthy == (fault in fine)
            assert (await ask(server.url)).status == 200

    asyncio.run(main())


def test_rules_give_exact_counts(ask: Any) -> None:
    rules = ("http-500:every=3", "truncated:word=BOOM")

    async def main() -> None:
        async with FakeServer(Settings(tokens=4, ttft="0", itl="0", faults=rules)) as server:
            for n in range(1, 11):
                await ask(server.url, "BOOM" if n == 4 else "x")
            faults = [truth.fault for truth in server.truth]
        expected: list[str | None] = [None] * 10
        expected[2] = expected[5] = expected[8] = "http-500"
        expected[3] = "truncated"
        assert faults == expected

    asyncio.run(main())


def test_a_prompt_can_name_its_fault_and_how_often(ask: Any) -> None:
    async def main() -> None:
        async with FakeServer(Settings(tokens=4, ttft="0", itl="0")) as server:
            twice = [(await ask(server.url, "q [[fault:http-503*2]]")).status for _ in range(4)]
            assert twice == [503, 503, 200, 200]
            always = [(await ask(server.url, "q [[fault:http-418]]")).status for _ in range(2)]
            assert always == [418, 418]
            assert (await ask(server.url, "q [[fault:misspelt]]")).status == 400

    asyncio.run(main())


def test_probable_faults_are_drawn_by_id_and_seed(ask: Any) -> None:
    async def hit(seed: int, order: list[int]) -> set[str]:
        rules = ("http-500:p=0.5",)
        settings = Settings(tokens=1, ttft="0", itl="0", faults=rules, seed=seed)
        async with FakeServer(settings) as server:
            for n in order:
                await ask(server.url, headers={"x-request-id": f"r{n}"})
            return {truth.request_id for truth in server.truth if truth.fault}

    order = list(range(40))
    first = asyncio.run(hit(1, order))
    assert 8 <= len(first) <= 32
    assert first == asyncio.run(hit(1, order[::-1]))
    assert first != asyncio.run(hit(2, order))
    assert Faults(("reset:p=0",)).pick(None, "", 1, None) is None


@pytest.mark.parametrize("how", ["refuse_after", "stall_after"])
def test_a_server_that_stops_listening(ask: Any, how: Any) -> None:
    async def main() -> None:
        quick = Settings(tokens=1, ttft="0", keep_alive=False)
        settings = msgspec.structs.replace(quick, **{how: 2})
        async with FakeServer(settings) as server:
            assert [(await ask(server.url)).status for _ in range(2)] == [200, 200]
            await connecting(server.url, refused=how == "refuse_after")

    asyncio.run(main())


def test_ports_that_refuse_and_that_stall() -> None:
    async def main() -> None:
        async with FakeServer(Settings()) as server:
            await connecting(server.refused_url(), refused=True)
            await connecting(server.stalled_url(), refused=False)
            with pytest.raises(PortInUseError, match="Give another --port"):
                async with FakeServer(Settings(port=server.port)):
                    pass

    asyncio.run(main())


async def connecting(url: str, *, refused: bool) -> None:
    host, _, port = url[7:].partition(":")
    sock = socket.socket()
    sock.setblocking(False)
    try:
        made = asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        with pytest.raises(ConnectionRefusedError if refused else TimeoutError):
            await asyncio.wait_for(made, 60 if refused else 0.2)
    finally:
        sock.close()
