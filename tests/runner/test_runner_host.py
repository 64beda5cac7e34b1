"""Against a /proc tree with known ticks: the interface below ours, not a patched function."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from perwatt.runner.host import CpuSnapshot, cpu_shares, cpu_snapshot, listeners


def proc_tree(root: Path, cpu: str, processes: dict[int, tuple[int, int]]) -> Path:
    (root / "stat").write_text(f"cpu  {cpu}\ncpu0 1 2 3\n")
    for pid, (user, system) in processes.items():
        (root / str(pid)).mkdir(exist_ok=True)
        fields = f"{pid} (a (weird) name) S " + " ".join(["0"] * 10) + f" {user} {system} 0 0"
        (root / str(pid) / "stat").write_text(fields)
    return root


def test_shares_of_neighbours_and_self(tmp_path: Path) -> None:
    me, server = os.getpid(), 424242
    proc_tree(tmp_path, "100 0 50 800 50 0 0 0 0 0", {me: (10, 5), server: (20, 10)})
    before = cpu_snapshot([server], tmp_path)
    proc_tree(tmp_path, "180 0 70 880 50 0 0 20 0 0", {me: (15, 10), server: (70, 20)})
    after = cpu_snapshot([server], tmp_path)
    assert before is not None
    assert after is not None
    # 200 ticks passed, 120 busy (20 of them stolen): 60 the server's, 10 ours, 50 a neighbour's.
    assert cpu_shares(before, after) == (0.25, 0.05)


def test_a_process_that_is_gone_makes_the_neighbours_unknown_not_zero(tmp_path: Path) -> None:
    proc_tree(tmp_path, "1 0 1 1 0 0 0 0 0 0", {os.getpid(): (1, 1)})
    before = cpu_snapshot([999999], tmp_path)
    assert before is not None
    assert before.under_test is None
    after = CpuSnapshot(total=100, busy=50, under_test=5, own=10)
    neighbours, own = cpu_shares(before, after)
    assert neighbours is None
    assert own is not None


def test_workers_are_perwatt_itself_and_no_neighbours(tmp_path: Path) -> None:
    me, worker, server = os.getpid(), 515151, 424242
    proc_tree(tmp_path, "0 0 0 0 0 0 0 0 0 0", {me: (0, 0), worker: (0, 0), server: (0, 0)})
    before = cpu_snapshot([server], tmp_path, workers=[worker])
    proc_tree(tmp_path, "80 0 20 100 0 0 0 0 0 0", {me: (5, 5), worker: (30, 10), server: (50, 0)})
    after = cpu_snapshot([server], tmp_path, workers=[worker])
    assert before is not None
    assert after is not None
    assert cpu_shares(before, after) == (0.0, 0.25)
    # One that has died took its count with it: unknown, not cheap.
    gone = cpu_snapshot([server], tmp_path, workers=[worker, 999999])
    assert gone is not None
    assert cpu_shares(before, gone) == (None, None)


def test_no_proc_is_unknown(tmp_path: Path) -> None:
    assert cpu_snapshot([], tmp_path) is None


def test_jiffies_that_tick_apart_are_nobody() -> None:
    before = CpuSnapshot(total=0, busy=0, under_test=0, own=0)
    after = CpuSnapshot(total=100, busy=50, under_test=51, own=1)
    assert cpu_shares(before, after) == (0.0, 0.01)
    assert cpu_shares(before, before) == (None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="sockets are found through /proc")
def test_a_server_is_found_by_the_port_it_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listeners(f"http://127.0.0.1:{port}/v1") == (os.getpid(),)
    assert listeners(f"http://127.0.0.1:{port}/v1") == ()
    assert listeners("http://127.0.0.1/v1") == ()
    assert listeners("http://127.0.0.1:99999/v1") == ()


def test_a_server_that_is_not_found_is_unknown_and_nobody_is_blamed(tmp_path: Path) -> None:
    proc_tree(tmp_path, "1 0 1 1 0 0 0 0 0 0", {os.getpid(): (1, 1)})
    before = cpu_snapshot(None, tmp_path)
    proc_tree(tmp_path, "90 0 1 1 0 0 0 0 0 0", {os.getpid(): (2, 1)})
    after = cpu_snapshot(None, tmp_path)
    assert before is not None
    assert after is not None
    assert cpu_shares(before, after)[0] is None
