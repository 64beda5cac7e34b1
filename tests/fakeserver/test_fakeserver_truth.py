"""The truth is what a raw socket sees, and it knows of queues, cancelling and lateness."""

from __future__ import annotations

import asyncio
import random
import socket
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.clock import now_ns
from perwatt.core.errors import FileError
from perwatt.fakeserver import FakeServer, Settings, read_truth
from perwatt.fakeserver.delays import parse_delay
from perwatt.fakeserver.timer import Timer
from perwatt.fakeserver.truth import as_lines


def test_marks_are_in_order_and_around_what_the_client_saw(ask: Any) -> None:
    async def main() -> None:
        async with FakeServer(Settings(tokens=6, ttft="10ms", itl="10ms")) as server:
            seen = await ask(server.url, headers={"x-request-id": "mine"})
            (truth,) = server.truth
        assert (truth.request_id, seen.headers["x-request-id"]) == ("mine", "mine")
        assert (truth.ended, truth.status, truth.fault) == ("done", 200, None)
        assert truth.begun_ns is not None and truth.end_ns is not None
        assert truth.accepted_ns <= truth.first_byte_ns <= truth.complete_ns <= truth.begun_ns
        assert seen.sent_ns <= truth.first_byte_ns
        # Sent as scheduled and never before, each seen by the client after it was handed over.
        due = [truth.begun_ns + 10_000_000 * (i + 1) for i in range(6)]
        assert list(truth.due_ns) == due
        for due_ns, before, after in zip(due, truth.before_ns, truth.after_ns, strict=True):
            assert due_ns <= before <= after
        assert seen.reads[0][0] >= truth.before_ns[0]
        assert truth.end_ns >= truth.after_ns[-1]
        assert truth.ttft_s is not None and truth.ttft_s >= 0.01
        assert min(truth.late_s) >= 0
        assert truth.text == seen.text
        assert truth.completion_tokens == 6

    asyncio.run(main())


def test_perwatt_s_own_header_comes_first(ask: Any) -> None:
    async def main() -> None:
        async with FakeServer(Settings(ttft="0", itl="0")) as server:
            await ask(server.url, headers={"x-request-id": "a", "x-perwatt-request-id": "b"})
            await ask(server.url)
            assert [truth.request_id for truth in server.truth] == ["b", "fake-0-2"]

    asyncio.run(main())


def test_a_client_that_leaves_stops_its_request(ask: Any) -> None:
    async def main() -> None:
        async with FakeServer(Settings(tokens=200, ttft="1ms", itl="20ms", slots=1)) as server:
            seen = await ask(server.url, leave_after=3)
            while server.in_flight:
                await asyncio.sleep(0.002)
            (truth,) = server.truth
            assert truth.ended == "cancelled"
            assert truth.cancelled_ns is not None
            assert truth.cancelled_ns >= seen.reads[-1][0]
            assert truth.end_ns is not None
            sent = len(truth.before_ns)
            assert 1 <= sent < 200
            assert truth.completion_tokens == sent
            # Its slot is free, and nothing more is written.
            await ask(server.url, leave_after=1)
            assert len(truth.before_ns) == sent

    asyncio.run(main())


def test_a_client_that_leaves_the_queue_never_begins(ask: Any) -> None:
    async def main() -> None:
        async with FakeServer(Settings(tokens=1, ttft="60s", slots=1)) as server:
            first = asyncio.create_task(ask(server.url, headers={"x-request-id": "first"}))
            while not server.in_flight:
                await asyncio.sleep(0.002)
            await ask(server.url, headers={"x-request-id": "second"}, patience_s=0.05)
            while not server.truth:
                await asyncio.sleep(0.002)
            (second,) = server.truth
            assert (second.request_id, second.ended) == ("second", "cancelled")
            assert second.begun_ns is None
            first.cancel()
            while server.in_flight:
                await asyncio.sleep(0.002)
            assert server.truth[-1].begun_ns is not None

    asyncio.run(main())


def test_slots_make_a_queue_in_order(ask: Any) -> None:
    async def main() -> None:
        async with FakeServer(Settings(tokens=2, ttft="5ms", itl="5ms", slots=2)) as server:
            await asyncio.gather(*(ask(server.url) for _ in range(6)))
            truths = sorted(server.truth, key=lambda truth: truth.n)
        begun = [truth.begun_ns or 0 for truth in truths]
        ends = sorted(truth.end_ns or 0 for truth in truths)
        assert all(begun)
        assert begun == sorted(begun)
        for later, end in zip(begun[2:], ends, strict=False):
            assert later >= end  # two at a time: each waits for an end

    asyncio.run(main())


def test_batch_and_prefill_lengthen_what_they_should(ask: Any) -> None:
    async def main() -> None:
        many = Settings(tokens=30, ttft="10ms", itl="10ms", batch_cost=1.0, prefill_rate=1000.0)
        async with FakeServer(many) as server:
            await asyncio.gather(ask(server.url, "a b c"), ask(server.url, "a b c"))
            for truth in server.truth:
                assert truth.begun_ns is not None
                first = truth.due_ns[0] - truth.begun_ns
                assert first == 17_000_000  # 10 ms and seven tokens at 1000 a second
            gaps = [b - a for t in server.truth for a, b in pairwise(t.due_ns)]
            assert set(gaps) <= {10_000_000, 20_000_000}
            assert 20_000_000 in gaps

    asyncio.run(main())


def test_drawn_times_depend_on_seed_and_id_alone(ask: Any) -> None:
    async def gaps(seed: int, order: list[int]) -> dict[str, list[int]]:
        drawn = Settings(tokens=4, ttft="exp:2ms", itl="uniform:1ms..3ms", seed=seed)
        async with FakeServer(drawn) as server:
            for n in order:
                await ask(server.url, headers={"x-request-id": f"r{n}"})
            return {t.request_id: [ns - (t.begun_ns or 0) for ns in t.due_ns] for t in server.truth}

    first = asyncio.run(gaps(1, [1, 2, 3]))
    assert first == asyncio.run(gaps(1, [3, 1, 2]))
    assert first != asyncio.run(gaps(2, [1, 2, 3]))


def test_a_client_that_does_not_read_is_told_from_a_late_server() -> None:
    async def main() -> None:
        async with FakeServer(Settings(ttft="0", itl="0", answers="echo")) as server:
            host, _, port = server.url[7:].partition(":")
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect((host, int(port)))
            reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
            body = b'{"model":"fake","stream":true,"messages":[{"role":"user","content":"%b"}]}'
            content = body % (b"word " * 40_000)
            head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % len(content) + content)
            while not server.truth:
                await asyncio.sleep(0.01)
            (truth,) = server.truth
            assert truth.buffered > 0
            writer.transport.abort()
            assert await reader.read(1) is not None

    asyncio.run(main())


def test_truth_is_bounded_cleared_and_kept_as_lines(ask: Any, get: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeServer(Settings(ttft="0", itl="0", tokens=2, truth_keep=3)) as server:
            for n in range(5):
                await ask(server.url, headers={"x-request-id": f"r{n}"})
            kept = server.truth
            assert [truth.request_id for truth in kept] == ["r2", "r3", "r4"]
            assert read_truth((await get(server.url, "/truth")).body) == kept
            newest = read_truth((await get(server.url, "/truth?n=1&clear=1")).body)
            assert [truth.request_id for truth in newest] == ["r4"]
            assert server.truth == []
            file = tmp_path / "truth.jsonl"
            file.write_bytes(as_lines(kept))
            assert read_truth(file) == kept

    asyncio.run(main())
    with pytest.raises(FileError, match="cannot be read"):
        read_truth(b"{}")


def test_the_timer_keeps_order_and_is_never_early() -> None:
    async def main() -> None:
        timer = Timer(asyncio.get_running_loop())
        rng = random.Random(3)
        now = now_ns()
        dues = [now + rng.randint(-1_000_000, 30_000_000) for _ in range(500)]
        called: list[tuple[int, int]] = []
        for due in dues:
            timer.at(due, lambda due_ns: called.append((due_ns, now_ns())))
        while len(called) < 500:
            await asyncio.sleep(0.002)
        timer.close()
        timer.at(now, lambda due_ns: called.append((0, 0)))
        await asyncio.sleep(0.002)
        assert [due for due, _ in called] == sorted(dues)
        assert all(at >= due for due, at in called)

    asyncio.run(main())


@settings(max_examples=30, deadline=None)
@given(
    low=st.integers(1, 10_000),
    more=st.integers(0, 10_000),
    unit=st.sampled_from(["us", "ms", "s"]),
    seed=st.integers(0, 99),
)
def test_delays_are_drawn_within_their_bounds(low: int, more: int, unit: str, seed: int) -> None:
    scale = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}[unit]
    rng = random.Random(seed)
    assert parse_delay("ttft", f"{low}{unit}").draw(rng) == low * scale
    even = parse_delay("ttft", f"uniform:{low}{unit}..{low + more}{unit}")
    assert all(low * scale <= even.draw(rng) <= (low + more) * scale for _ in range(20))
    exponential = parse_delay("ttft", f"exp:{low}{unit}")
    mean = sum(exponential.draw(rng) for _ in range(400)) / 400
    assert 0.7 * low * scale < mean < 1.3 * low * scale
