"""The client's own audit for people: one small record for each pair and stage, in run.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from perwatt.core.clock import seconds
from perwatt.core.records import ClientAudit, Phase, Request
from perwatt.runner.client_marks import (
    latency_s,
    mean_in_flight,
    quantile,
    send_s,
    server_total_s,
    server_ttft_s,
    ttft_s,
)

__all__ = ["ClientView", "client_views", "loop_cores", "view_of"]


class ClientView(msgspec.Struct, frozen=True, kw_only=True):
    """What asking cost and how late it was. None: not known."""

    pair_id: str
    stage: int
    load: str | None
    """The stage's words."""
    workers: int
    """Processes that asked."""
    requests: int
    """Attempts that ended, those set aside included."""
    wall_s: float
    """Length of the stage's load phases."""
    cpu_s: float | None
    """CPU time of perwatt, all processes and threads."""
    cpu_cores: float | None
    """`cpu_s` over `wall_s`."""
    loop_cores: float | None
    """Share of a core that the busiest asking thread took."""
    loop_lag_p50_s: float | None
    """How late the event loop came round, of the worst worker."""
    loop_lag_p99_s: float | None
    loop_lag_worst_s: float | None
    gc_share: float | None
    """Share of the time in the garbage collector, of the worst worker."""
    requests_per_cpu_s: float | None
    dispatch_lag_p50_s: float | None
    """Dispatched after it was due; first attempts alone."""
    dispatch_lag_p99_s: float | None
    send_p50_s: float | None
    """Dispatch to first byte sent, on connections that were open: the client's own part."""
    send_p99_s: float | None
    connect_p50_s: float | None
    """The same on new connections."""
    connections_new: int
    connections_reused: int
    in_flight_mean: float | None
    """From each phase's first dispatch to its last."""
    cached_share: float | None
    """Of the prompt tokens, those that the server read from its cache, where it says."""
    retried: dict[str, int]
    """Error kind → attempts that were asked again."""
    cancelled: int
    above_server_p50_s: float | None
    """Our latency less the server's own total, median. A little negative where the server counts
    the token that ends the answer too, which brings no chunk."""
    above_server_ttft_p50_s: float | None
    """Our TTFT less the server's own, median."""


def client_views(
    pairs: Iterable[str],
    requests: Sequence[Request],
    phases: Sequence[Phase],
    audits: Sequence[ClientAudit],
) -> list[ClientView]:
    """A view for each pair and stage that was asked anything, pairs in the order given."""
    views = []
    for pair_id in pairs:
        load = [p for p in phases if p.kind == "load" and p.pair_id == pair_id]
        for stage in sorted({p.stage or 0 for p in load}):
            own = [p for p in load if (p.stage or 0) == stage]
            ids = {p.phase_id for p in own}
            asked = [r for r in requests if r.phase_id in ids]
            watched = [a for a in audits if a.phase_id in ids]
            if asked:
                views.append(view_of(pair_id, stage, own, asked, watched))
    return views


def view_of(
    pair_id: str,
    stage: int,
    phases: Sequence[Phase],
    requests: Sequence[Request],
    audits: Sequence[ClientAudit],
) -> ClientView:
    """The view of one pair under one stage. `audits`: of those phases alone."""
    replies = [r.reply for r in requests]
    first = [r for r in requests if r.attempt == 1 and r.turn == 0]
    lag = [seconds(r.scheduled_ns, r.reply.dispatched_ns) for r in first]
    answered = [x for x in replies if x.status == "ok"]
    totals = [(latency_s(x), server_total_s(x)) for x in answered]
    firsts = [(ttft_s(x), server_ttft_s(x)) for x in answered]
    cpu_s = sum(a.cpu_s for a in audits) if audits else None
    wall_s = sum(seconds(p.start_ns, p.end_ns) for p in phases if p.end_ns is not None)
    told = [x for x in answered if x.cached_tokens is not None and x.prompt_tokens]
    prompt = sum(x.prompt_tokens or 0 for x in told)
    lags = [a.loop_lag_s for a in audits if a.loop_lag_s]
    return ClientView(
        pair_id=pair_id,
        stage=stage,
        load=next((p.load for p in phases if p.load), None),
        workers=len({r.worker for r in requests}),
        requests=len(requests),
        wall_s=wall_s,
        cpu_s=cpu_s,
        cpu_cores=cpu_s / wall_s if cpu_s is not None and wall_s else None,
        loop_cores=loop_cores(audits),
        loop_lag_p50_s=max((each[0] for each in lags), default=None),
        loop_lag_p99_s=max((each[2] for each in lags), default=None),
        loop_lag_worst_s=max((each[-1] for each in lags), default=None),
        gc_share=max(
            (a.gc_s / a.wall_s for a in audits if a.gc_s is not None and a.wall_s > 0), default=None
        ),
        requests_per_cpu_s=len(requests) / cpu_s if cpu_s else None,
        dispatch_lag_p50_s=quantile(lag, 0.5),
        dispatch_lag_p99_s=quantile(lag, 0.99),
        send_p50_s=quantile((send_s(x) for x in replies if x.connection == "reused"), 0.5),
        send_p99_s=quantile((send_s(x) for x in replies if x.connection == "reused"), 0.99),
        connect_p50_s=quantile((send_s(x) for x in replies if x.connection == "new"), 0.5),
        connections_new=sum(x.connection == "new" for x in replies),
        connections_reused=sum(x.connection == "reused" for x in replies),
        in_flight_mean=mean_in_flight(requests),
        cached_share=sum(x.cached_tokens or 0 for x in told) / prompt if prompt else None,
        retried=dict(Counter(x.error_kind or "unknown" for x in replies if x.status == "retried")),
        cancelled=sum(x.status == "cancelled" for x in replies),
        above_server_p50_s=quantile((_above(a, b) for a, b in totals), 0.5),
        above_server_ttft_p50_s=quantile((_above(a, b) for a, b in firsts), 0.5),
    )


def loop_cores(audits: Iterable[ClientAudit]) -> float | None:
    """The share of a core that the busiest asking thread took; None where none can be told."""
    known = [(a.loop_cpu_s, a.wall_s) for a in audits if a.wall_s > 0]
    return max((cpu_s / wall_s for cpu_s, wall_s in known if cpu_s is not None), default=None)


def _above(ours_s: float | None, server_s: float | None) -> float | None:
    return None if ours_s is None or server_s is None else ours_s - server_s
