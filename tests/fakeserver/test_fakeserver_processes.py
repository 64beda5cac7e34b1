"""The server as processes of its own: one truth for all workers, and none outlives its parent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.errors import PerwattError
from perwatt.fakeserver import FakeServer, Settings, read_truth, spawn
from perwatt.fakeserver.counters import Counters, added, as_prometheus


def test_workers_share_a_port_and_speak_for_each_other(ask: Any, get: Any) -> None:
    async def load(url: str) -> tuple[bytes, bytes]:
        many = (ask(url, headers={"x-request-id": f"r{n}"}) for n in range(24))
        await asyncio.gather(*many)
        return (await get(url, "/truth")).body, (await get(url, "/metrics")).body

    with spawn(Settings(workers=2, tokens=2, ttft="1ms", itl="1ms")) as server:
        lines, metrics = asyncio.run(load(server.url))
        truths = server.truth(clear=True)
        assert server.truth() == []
        assert {truth.request_id for truth in read_truth(lines)} == {f"r{n}" for n in range(24)}
        assert {truth.request_id for truth in truths} == {f"r{n}" for n in range(24)}
        # The kernel shares connections out by their ports: by 24 of them both are reached.
        assert {truth.worker for truth in truths} == {0, 1}
        assert b'fake_server_requests_total{ended="done"} 24' in metrics
        assert b"fake_server_chunk_late_seconds_count 48" in metrics
        assert server.cpu_s() > 0
        pids = server.pids
    assert all(not _alive(pid) for pid in pids)


def test_what_a_worker_cannot_do_is_said() -> None:
    with pytest.raises(PerwattError, match=r"answers nowhere\.jsonl cannot be read"):
        spawn(Settings(answers="nowhere.jsonl"))
    with spawn(Settings()) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(PerwattError, match=f"cannot listen at 127.0.0.1:{port}"):
            spawn(Settings(port=port))

    async def enter() -> None:
        async with FakeServer(Settings(workers=2)):
            pass

    with pytest.raises(PerwattError, match="one worker"):
        asyncio.run(enter())


def test_workers_end_with_a_parent_that_is_killed() -> None:
    code = (
        "from perwatt.fakeserver import Settings, spawn; import time;"
        "server = spawn(Settings(workers=2)); print(*server.pids, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2 and all(_alive(pid) for pid in pids)
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 60
    while any(_alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(_alive(pid) for pid in pids)


def test_counters_add_up_and_are_prometheus_text() -> None:
    one, other = Counters(requests={"done": 2}, in_flight=1), Counters(requests={"done": 1})
    one.sent(50_000)
    one.sent(3_000_000)
    other.sent(5_000_000_000)
    lines = as_prometheus(added([one, other])).decode().splitlines()
    assert 'fake_server_requests_total{ended="done"} 3' in lines
    assert "fake_server_in_flight 1" in lines
    buckets = [line.split()[-1] for line in lines if "_bucket" in line]
    assert buckets == ["1", "1", "1", "1", "1", "2", "2", "2", "2", "2", "3"]
    assert "fake_server_chunk_late_seconds_sum 5.003050000" in lines


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
