"""Processes and all that they started: an engine's workers hold the GPU, not its server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["with_descendants"]


def with_descendants(pids: Iterable[int], proc: Path = Path("/proc")) -> set[int]:
    """`pids` and their children's children. Only `pids` where there is no /proc."""
    children: dict[int, list[int]] = {}
    try:
        entries = [entry for entry in proc.iterdir() if entry.name.isdigit()]
    except OSError:
        entries = []
    for entry in entries:
        try:
            stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it ended while we looked
        parent = int(stat.rpartition(")")[2].split()[1])  # the name before it may hold anything
        children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found
