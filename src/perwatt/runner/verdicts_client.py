"""Was the client the limit? Its own lateness, its connections, and what the server says instead."""

from __future__ import annotations

from collections.abc import Iterable

from perwatt.core.records import Reply, Verdict
from perwatt.runner.client_marks import (
    latency_s,
    quantile,
    send_s,
    server_total_s,
    ttft_s,
)
from perwatt.runner.client_view import loop_cores
from perwatt.runner.verdicts_evidence import Evidence, Loaded

__all__ = ["client_bound", "connections", "server_disagrees"]

BUSY_LOOP, FULL_LOOP = 0.8, 0.95
"""Above four fifths of a core a reply waits for others more often than not (M/D/1: the mean wait
passes two service times at 0.8); near one there is no idle left for the server to be seen in."""
LEAST_S = 0.5
"""A shorter phase is all start."""
NOISE_S = 0.002
"""The aim is a TTFT to 2 ms, and a timer alone is late by one. By `benchmarks/client_audit.py` the
loop's lag, and how late first chunks were seen (p99 of both), are 1.2 and 0.2 ms at 8 in flight,
0.3 and 1.9 ms at 64, 3.3 and 3.7 ms at 256."""
OF_TTFT, OF_ITL = 0.1, 0.25
"""Lateness that changes a TTFT by a tenth, or a gap between chunks by a quarter, is no detail."""
LEAST_PROBES, ENOUGH_PROBES = 20, 200
"""The p99 of fewer is one probe or two, and a single hiccup is no bound: then the p90 is judged."""
NEW_SHARE, LEAST_CONNECTIONS = 0.1, 20
CONNECT_NOTE, CONNECT_WARN = 0.01, 0.05
"""Of the TTFT. Less is not worth a word: llama.cpp's server closes after every stream."""
APART_S, APART_SHARE = 0.010, 0.2
IMPOSSIBLE_S, IMPOSSIBLE_SHARE, HIDDEN_TOKENS = 0.005, 0.05, 3
"""A server whose request took longer than ours saw, by more than its clocks' rounding and than the
tokens that bring no chunk, such as the one that ends an answer: our latency ends before them."""
LEAST_TOLD = 5


def client_bound(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """The asking thread was full, or came to replies or to sending too late to be believed."""
    ttft = quantile((ttft_s(r.reply) for r in load.answered), 0.5)
    itl = quantile(load.gaps_s, 0.5)
    told = ((OF_TTFT, ttft, "a median TTFT of"), (OF_ITL, itl, "a usual gap between chunks of"))
    limits = [(part * of, f", beside {what} {_ms(of)}") for part, of, what in told if of]
    strictest_s, beside = min(limits, default=(NOISE_S, ""))
    limit_s = max(NOISE_S, strictest_s)
    cores = loop_cores(a for a in load.audits if a.wall_s >= LEAST_S) or 0.0
    lags = [
        (a.loop_lag_s, 2, "p99") if a.probes >= ENOUGH_PROBES else (a.loop_lag_s, 1, "p90")
        for a in load.audits
        if a.loop_lag_s and a.probes >= LEAST_PROBES
    ]
    lag_p50 = max((x[0] for x, _, _ in lags), default=0.0)
    lag_high, which = max((x[place], name) for x, place, name in lags) if lags else (0.0, "")
    sent = (send_s(r.reply) for r in load.attempts if r.reply.connection == "reused")
    send_p99 = quantile(sent, 0.99) or 0.0
    said = []
    if cores > BUSY_LOOP:
        said.append(f"its asking thread took {cores:.0%} of a core")
    if lag_high > limit_s:
        said.append(f"it came {_ms(lag_high)} late to what had arrived ({which}){beside}")
    if send_p99 > limit_s:
        said.append(f"requests left {_ms(send_p99)} after they were dispatched (p99)")
    if not said:
        return
    grave = cores > FULL_LOOP or lag_p50 > limit_s or (ttft is not None and lag_high > ttft)
    yield Verdict(
        code="client-bound",
        severity="invalid" if grave else "warning",
        sentence=f"perwatt itself was the limit under {load.label}: {_and(said)}; "
        + ("its times and rates are the client's." if grave else "its times are too long by that."),
        mend="Ask with more processes (--workers), or with fewer in flight."
        if cores > BUSY_LOOP / 2
        else "Leave perwatt a core of its own, or drive the server from another machine.",
        pair_id=load.pair_id,
    )


def connections(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """More connections opened than were ever needed at once: opening them is in the TTFT."""
    known = [r for r in load.attempts if r.reply.connection is not None]
    new = [r for r in known if r.reply.connection == "new"]
    peak = max((r.in_flight for r in known), default=0) * len(load.phases)
    if len(known) < LEAST_CONNECTIONS or len(new) <= peak + NEW_SHARE * len(known):
        return
    opening = quantile((send_s(r.reply) for r in new), 0.5)
    ttft = quantile((ttft_s(r.reply) for r in new), 0.5)
    part = opening / ttft if opening is not None and ttft else None
    if part is not None and part < CONNECT_NOTE:
        return
    cost = f" Opening one takes {_ms(opening)}" if opening is not None else ""
    of_ttft = f" of the {_ms(ttft)} of TTFT" if ttft else ""
    yield Verdict(
        code="connections",
        severity="warning" if part is not None and part > CONNECT_WARN else "note",
        sentence=f"{len(new)} of {len(known)} requests to {load.label} opened a connection of "
        f"their own, though at most {peak} were in flight at once."
        + (f"{cost}{of_ttft}." if cost else ""),
        mend="Let the server, or the proxy before it, keep connections alive.",
        pair_id=load.pair_id,
    )


def server_disagrees(_: Evidence, load: Loaded) -> Iterable[Verdict]:
    """The server's own times and counts beside ours."""
    told = [
        (latency_s(r.reply), server, _hidden_s(r.reply))
        for r in load.answered
        if (server := server_total_s(r.reply)) is not None
    ]
    over = [
        server - ours
        for ours, server, hidden in told
        if server - ours > max(IMPOSSIBLE_S, IMPOSSIBLE_SHARE * ours, hidden)
    ]
    apart = quantile((ours - server for ours, server, _ in told), 0.5) or 0.0
    total = quantile((server for _, server, _ in told), 0.5) or 0.0
    if len(told) >= LEAST_TOLD and len(over) > len(told) / 2:
        yield Verdict(
            code="server-disagrees",
            severity="warning",
            sentence=f"{load.label} says that {len(over)} of {len(told)} requests took longer than "
            f"they did from here, by {_ms(quantile(over, 0.5))} (median).",
            mend="Its own times are not to be compared: it counts more than the request, or in "
            "another unit.",
            pair_id=load.pair_id,
        )
    elif len(told) >= LEAST_TOLD and apart > max(APART_S, APART_SHARE * total):
        yield Verdict(
            code="server-disagrees",
            severity="note",
            sentence=f"Requests to {load.label} took {_ms(apart)} longer (median) than the "
            f"{_ms(total)} the server says: in its waiting room, on the network or in the client.",
            mend="See the client's loop lag; if that is small, it is the network or a queue that "
            "the server does not count.",
            pair_id=load.pair_id,
        )
    counts = [
        (r.reply.completion_tokens, r.reply.server.completion_tokens)
        for r in load.answered
        if r.reply.server is not None
        and r.reply.server.completion_tokens is not None
        and r.reply.completion_tokens is not None
    ]
    differ = [a - b for a, b in counts if abs(a - b) > 1]  # the end token is counted by some
    if differ and len(differ) > NEW_SHARE * len(counts):
        yield Verdict(
            code="token-counts-differ",
            severity="warning",
            sentence=f"In {len(differ)} of {len(counts)} answers of {load.label} the tokens "
            "reported to the caller and those in the server's own timings differ, by "
            f"{quantile(map(abs, differ), 0.5):.0f} (median).",
            mend="Joules per token are by the count in `usage`; compare both columns.",
            pair_id=load.pair_id,
        )


def _hidden_s(reply: Reply) -> float:
    """What the tokens may have taken that bring no chunk."""
    told = reply.server
    if told is None or told.decode_s is None or not reply.completion_tokens:
        return 0.0
    return HIDDEN_TOKENS * told.decode_s / reply.completion_tokens


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "an unknown time"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
