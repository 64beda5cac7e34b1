"""Whose joules they were: one pair's load, baseline and requests, handed to `attribution`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.asked import asked_of, prefill_begins
from perwatt.attribution.idle import Baselines, Idle, baselines
from perwatt.attribution.integrate import Curve, curve_of, energy_between, total_curve
from perwatt.attribution.ledger import Attributed, attribute, combined_gain
from perwatt.core.estimate import worst_grade
from perwatt.core.protocols import Asked
from perwatt.core.records import Domain, PowerSample, Reply, Request
from perwatt.core.registry import registry
from perwatt.core.summary import BaselineWatts, EnergyLedger
from perwatt.runner.rows import EnergyShare
from perwatt.store.journal import Journal

__all__ = ["in_order", "share_out"]

Windows = list[tuple[int, int]]


def share_out(
    journal: Journal, pair_id: str, domains: Sequence[Domain], method: str
) -> tuple[dict[str, EnergyShare], EnergyLedger | None]:
    """Each request's joules by request id, and where all of the pair's joules went.

    `domains` are those that are summed. ({}, None) where nothing was measured: never zeros.
    """
    windows = _windows(journal, pair_id, "load")
    sessions = _samples_by_session(journal)
    curve = total_curve(sessions, domains) if domains else None
    if curve is None or not windows:
        return {}, None
    mine = [r for r in journal.requests if r.pair_id == pair_id]
    # A request whose marks are out of order was in flight nobody knows when.
    requests = [r for r in mine if in_order(r.reply)]
    idle = baselines(
        curve,
        _windows(journal, None, "bare_idle"),
        _windows(journal, pair_id, "loaded_idle"),
        _windows(journal, pair_id, "after_idle"),
    )
    idle_power_w = idle.used.power_w if idle.used else None
    gain = _gain(sessions, domains, windows)
    shared = attribute(
        curve,
        windows,
        _asked([r.reply for r in requests]),
        method=registry("attribution").get(method),
        idle_power_w=idle_power_w,
        idle_error_w=idle.error_w,
        gain=gain,
        clock_error_s=_clock_error_s(sessions, domains),
    )
    grade = worst_grade([domain.grade for domain in domains])
    assert grade is not None
    ledger = EnergyLedger(
        pair_id=pair_id,
        device_j=shared.device_j,
        requests_j=shared.requests_j,
        idle_j=shared.idle_j,
        unattributed_j=shared.unattributed_j,
        prefill_j=float(np.nansum(shared.prefill_j)),
        decode_j=float(np.nansum(shared.decode_j)),
        idle_power_w=idle_power_w,
        window_s=shared.window_s,
        domains=tuple(domain.name for domain in domains),
        boundary=domains[0].boundary,
        grade=grade,
        gain_low=gain[0],
        gain_high=gain[1],
        baselines=_measured(idle, windows),
        attribution=method,
        fit=dict(shared.fit),
        note=shared.note,
    )
    shares = _by_request(requests, shared, ledger, method)
    astray = [r.request_id for r in mine if r.request_id not in shares]
    return shares | dict.fromkeys(astray, _unknown(ledger, method)), ledger


def in_order(reply: Reply) -> bool:
    """Dispatched, then the first chunk, then the last?"""
    first = reply.last_chunk_ns if reply.first_chunk_ns is None else reply.first_chunk_ns
    return reply.dispatched_ns <= first <= reply.last_chunk_ns


def _unknown(ledger: EnergyLedger, method: str) -> EnergyShare:
    return EnergyShare(
        boundary=ledger.boundary,
        grade=ledger.grade,
        attribution=method,
        flags=("energy-unknown", "marks-out-of-order"),
    )


def _measured(idle: Baselines, windows: Windows) -> tuple[BaselineWatts, ...]:
    middle = sum(start + end for start, end in windows) // (2 * len(windows))
    kinds: list[tuple[Literal["bare", "loaded", "after"], Idle | None]] = [
        ("bare", idle.bare),
        ("loaded", idle.loaded),
        ("after", idle.after),
    ]
    return tuple(
        BaselineWatts(
            kind=kind,
            power_w=found.power_w,
            error_w=found.error_w,
            seconds=found.seconds,
            age_s=found.age_s(middle),
        )
        for kind, found in kinds
        if found is not None
    )


def _asked(replies: Sequence[Reply]) -> Asked:
    """Replies as arrays. A request without a chunk was all prefill, for all anybody knows."""
    start = np.array([x.dispatched_ns for x in replies], dtype=np.int64)
    first = np.array(
        [x.last_chunk_ns if x.first_chunk_ns is None else x.first_chunk_ns for x in replies],
        dtype=np.int64,
    )
    prompt, cached = (
        _tokens(x.prompt_tokens for x in replies),
        _tokens(x.cached_tokens or 0 for x in replies),
    )
    # llama.cpp says how long it worked on the prompt; otherwise waiting must be told from working.
    told_ms = _tokens(x.server_timings.get("prompt_ms") for x in replies)
    told = first - np.nan_to_num(told_ms * 1e6).astype(np.int64)
    guessed = prefill_begins(start, first, np.maximum(prompt - cached, 0.0))
    chunks = [x.chunk_offsets_ns for x in replies]
    return asked_of(
        start,
        first,
        [x.last_chunk_ns for x in replies],
        prefill_ns=np.where(np.isnan(told_ms), guessed, told),
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=_tokens(x.completion_tokens for x in replies),
        chunk_ns=[x.dispatched_ns + offset for x in replies for offset in x.chunk_offsets_ns],
        chunk_at=np.cumsum([0, *map(len, chunks)]),
    )


def _tokens(counts: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if n is None else n for n in counts], dtype=np.float64)


def _by_request(
    requests: Sequence[Request], shared: Attributed, ledger: EnergyLedger, method: str
) -> dict[str, EnergyShare]:
    fell_back = ("shared-by-time",) if shared.note else ()
    return {
        request.request_id: EnergyShare(
            energy_gross_j=_known(shared.gross_j[n]),
            energy_net_j=_known(shared.net_j[n]),
            energy_low_j=_known(shared.low_j[n]),
            energy_high_j=_known(shared.high_j[n]),
            prefill_j=_known(shared.prefill_j[n]),
            decode_j=_known(shared.decode_j[n]),
            net_low_j=_known(shared.net_low_j[n]),
            net_high_j=_known(shared.net_high_j[n]),
            prefill_net_j=_known(shared.prefill_net_j[n]),
            decode_net_j=_known(shared.decode_net_j[n]),
            power_mean_w=_known(shared.power_mean_w[n]),
            boundary=ledger.boundary,
            grade=ledger.grade,
            attribution=method,
            flags=fell_back if shared.energy_known[n] else ("energy-unknown",),
        )
        for n, request in enumerate(requests)
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _windows(journal: Journal, pair_id: str | None, kind: str) -> Windows:
    return [
        (phase.start_ns, phase.end_ns)
        for phase in journal.phases
        if phase.kind == kind
        and phase.pair_id == pair_id
        and phase.end_ns is not None
        and phase.end_ns >= phase.start_ns
    ]


def _samples_by_session(journal: Journal) -> list[list[PowerSample]]:
    sessions: dict[int, list[PowerSample]] = {}
    for batch in journal.power:
        sessions.setdefault(batch.session, []).extend(batch.samples)
    return list(sessions.values())


def _clock_error_s(sessions: Sequence[Sequence[PowerSample]], domains: Sequence[Domain]) -> float:
    """The worst that any counted sample says of its own date; 0 where all are of our own clock."""
    names = {domain.name for domain in domains}
    errors = (
        sample.clock_error_ns or 0
        for samples in sessions
        for sample in samples
        if sample.domain in names
    )
    return max(errors, default=0) / 1e9


def _gain(
    sessions: Sequence[Sequence[PowerSample]], domains: Sequence[Domain], windows: Windows
) -> tuple[float, float]:
    parts = []
    for domain in domains:
        curves = [c for samples in sessions if (c := curve_of(samples, domain)) is not None]
        parts.append((_joules(curves, windows), (domain.gain_low, domain.gain_high)))
    return combined_gain(parts)


def _joules(curves: Sequence[Curve], windows: Windows) -> float:
    found = (energy_between(curve, *window) for curve in curves for window in windows)
    return sum(joules for joules in found if joules is not None)
