"""Who else uses this machine: CPU time of the run, of perwatt itself and of everybody else.

A neighbour on two cores cut one engine's rate tenfold, so every phase records their share,
read from /proc (Linux). Elsewhere the shares are None, never 0.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

__all__ = ["CpuSnapshot", "cpu_shares", "cpu_snapshot", "listeners"]

_PROC = Path("/proc")


class CpuSnapshot(msgspec.Struct, frozen=True):
    """CPU seconds since boot, in units of clock ticks."""

    total: int
    """All CPUs, idle included."""
    busy: int
    """Not idle and not waiting for a disk; time stolen by the hypervisor counts as busy."""
    under_test: int | None
    """The processes under test and their children. None when one could not be read."""
    own: int | None
    """This process and those it asks with. None when one could not be read."""


def cpu_snapshot(
    pids: Iterable[int] | None, proc: Path = _PROC, *, workers: Iterable[int] = ()
) -> CpuSnapshot | None:
    """Read the counters now; None where there is no /proc/stat.

    `pids`: under test, None: not known. `workers`: perwatt's own processes besides this one.
    """
    try:
        first = (proc / "stat").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, first.split()[1:9])
    busy = user + nice + system + irq + softirq + steal
    return CpuSnapshot(
        total=busy + idle + iowait,
        busy=busy,
        under_test=None if pids is None else _ticks(proc, pids),
        own=_ticks(proc, (os.getpid(), *workers)),
    )


def cpu_shares(before: CpuSnapshot, after: CpuSnapshot) -> tuple[float | None, float | None]:
    """(neighbours' share, perwatt's own share) of all CPU time between two snapshots."""
    total = after.total - before.total
    if total <= 0 or before.own is None or after.own is None:
        return None, None
    own = (after.own - before.own) / total
    if before.under_test is None or after.under_test is None:
        return None, own
    ours = (after.under_test - before.under_test) + (after.own - before.own)
    # Process and system counters tick apart by a jiffy or two: a small negative rest is nobody.
    return max(0.0, (after.busy - before.busy - ours) / total), own


def listeners(url: str, proc: Path = _PROC) -> tuple[int, ...]:
    """Processes of this machine that listen on the port of a loopback `url`; empty if none is seen.

    A process of another user shows its sockets to root alone, so empty is "unknown", not "nobody".
    """
    try:
        port = urlsplit(url).port
    except ValueError:
        return ()
    if port is None:
        return ()
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port, proc)}
    found = set()
    for entry in proc.glob("[0-9]*") if sockets else ():
        try:
            if any(str(link.readlink()) in sockets for link in (entry / "fd").iterdir()):
                found.add(int(entry.name))
        except OSError:
            continue  # it ended while we looked, or is not ours to look at
    return tuple(sorted(found))


def _listening_inodes(port: int, proc: Path) -> set[str]:
    # man 5 proc_pid_net: local address and port in hex, state 0A is LISTEN, the inode is field 10.
    inodes = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _ticks(proc: Path, pids: Iterable[int]) -> int | None:
    """User and system time of all `pids`; None where one is gone."""
    try:
        return sum(_process_ticks(proc, pid) for pid in pids)
    except OSError:
        return None


def _process_ticks(proc: Path, pid: int) -> int:
    # Fields 14 and 15 (man 5 proc_pid_stat), counted after the name, which may hold spaces.
    fields = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    after_name = fields.rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12])
