"""What the server counted, as Prometheus text; sums over workers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

import msgspec

__all__ = ["LATE_UP_TO_S", "Counters", "added", "as_prometheus"]

LATE_UP_TO_S = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1.0)
_EDGES_NS = tuple(round(edge * 1e9) for edge in LATE_UP_TO_S)


class Counters(msgspec.Struct):
    """Since the start of one worker, or of several added up."""

    requests: dict[str, int] = {}
    """By how they ended: done, cancelled, broken, refused."""
    faults: dict[str, int] = {}
    connections: int = 0
    in_flight: int = 0
    waiting: int = 0
    chunks: int = 0
    late: list[int] = msgspec.field(default_factory=lambda: [0] * (len(LATE_UP_TO_S) + 1))
    """Chunks by how late they were; the last: later than all of LATE_UP_TO_S."""
    late_ns: int = 0

    def sent(self, late_ns: int) -> None:
        """A chunk was sent so long after it was due."""
        self.chunks += 1
        self.late_ns += late_ns
        self.late[bisect_left(_EDGES_NS, late_ns)] += 1


def added(many: Iterable[Counters]) -> Counters:
    """Of several workers."""
    total = Counters()
    for one in many:
        for mine, its in ((total.requests, one.requests), (total.faults, one.faults)):
            for name, count in its.items():
                mine[name] = mine.get(name, 0) + count
        for name in ("connections", "in_flight", "waiting", "chunks", "late_ns"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
        total.late = [a + b for a, b in zip(total.late, one.late, strict=True)]
    return total


def as_prometheus(counters: Counters) -> bytes:
    """The text format, version 0.0.4."""
    lines = ["# TYPE fake_server_requests_total counter"]
    for ended, count in sorted(counters.requests.items()):
        lines.append(f'fake_server_requests_total{{ended="{ended}"}} {count}')
    lines.append("# TYPE fake_server_faults_total counter")
    for kind, count in sorted(counters.faults.items()):
        lines.append(f'fake_server_faults_total{{kind="{kind}"}} {count}')
    lines += [
        "# TYPE fake_server_connections_total counter",
        f"fake_server_connections_total {counters.connections}",
        "# TYPE fake_server_in_flight gauge",
        f"fake_server_in_flight {counters.in_flight}",
        "# TYPE fake_server_waiting gauge",
        f"fake_server_waiting {counters.waiting}",
        "# TYPE fake_server_chunk_late_seconds histogram",
    ]
    so_far = 0
    for edge, count in zip((*map(str, LATE_UP_TO_S), "+Inf"), counters.late, strict=True):
        so_far += count
        lines.append(f'fake_server_chunk_late_seconds_bucket{{le="{edge}"}} {so_far}')
    lines.append(f"fake_server_chunk_late_seconds_sum {counters.late_ns / 1e9:.9f}")
    lines.append(f"fake_server_chunk_late_seconds_count {counters.chunks}")
    return "\n".join(lines).encode() + b"\n"
