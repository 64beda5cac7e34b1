"""How much of a pair's joules the host drew, where the accelerator was read beside it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from perwatt.core.summary import EnergyLedger
from perwatt.report.spans import Spans, union
from perwatt.report.timeline import Ticks, joules_until
from perwatt.report.view import View

__all__ = ["HostShare", "host_share"]


class HostShare(msgspec.Struct, frozen=True, kw_only=True):
    """The host's share of the joules that its boundary read, 0 to 1."""

    busy: float
    """While a request was in flight."""
    idle: float
    """While none was."""
    domains: tuple[str, ...]
    """Those of the host."""


def host_share(
    view: View, pair: int, ledger: EnergyLedger, ticks: Sequence[Ticks]
) -> HostShare | None:
    """None where the ledger's domains are not an accelerator and something beside it.

    On a machine whose processor does the work, the package is no host: it is the device.
    """
    boundaries = {domain.name: domain.boundary for domain in view.summary.domains}
    inside = [name for name in ledger.domains if boundaries.get(name) == "accelerator"]
    host = [name for name in ledger.domains if boundaries.get(name, "") in {"package", "system"}]
    if not inside or not host or len(inside) + len(host) < len(ledger.domains):
        return None
    busy = union((r.dispatched_ns, r.last_chunk_ns) for r in view.rows_of(pair))
    windows = _windows(view, pair, busy)
    if not len(windows):
        return None
    series = {each.domain: each for each in ticks}
    if not {*inside, *host} <= set(series):
        return None
    drawn = {name: _joules(series[name], windows) for name in (*inside, *host)}
    in_flight = {name: _joules(series[name], busy) for name in (*inside, *host)}
    at_rest = {name: max(drawn[name] - in_flight[name], 0.0) for name in drawn}
    busy_share = _share(in_flight, host)
    return HostShare(
        busy=busy_share,
        # Where nothing was read at rest, the best guess is that it shares as it does at work.
        idle=_share(at_rest, host) if sum(at_rest.values()) > 0 else busy_share,
        domains=tuple(host),
    )


def _windows(view: View, pair: int, busy: Spans) -> Spans:
    """The pair's load phases; without them, from its first request to its last."""
    wanted = view.pairs[pair].identity.pair_id
    loads = [
        (phase.start_ns, phase.end_ns)
        for phase in view.run.phases
        if phase.kind == "load" and phase.pair_id == wanted and phase.end_ns is not None
    ]
    return union(loads) if loads else busy


def _joules(ticks: Ticks, spans: Spans) -> float:
    """What a domain drew within the spans, as far as it was read."""
    if not len(spans):
        return 0.0
    ends = joules_until(ticks, spans.ravel())
    return float(np.diff(ends.reshape(-1, 2), axis=1).sum())


def _share(joules: dict[str, float], host: Sequence[str]) -> float:
    whole = sum(joules.values())
    return sum(joules[name] for name in host) / whole if whole > 0 else 0.0
