"""What verdicts are judged on: the whole run, and each pair under each stage of its load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from perwatt.attribution.integrate import Curve, total_curve
from perwatt.core.errors import SpecError
from perwatt.core.load import Stage, parse_load
from perwatt.core.records import (
    SET_ASIDE,
    ClientAudit,
    Domain,
    Item,
    PairIdentity,
    Phase,
    PowerSample,
    Request,
)
from perwatt.core.summary import EnergyLedger
from perwatt.runner.client_marks import Floats, gaps_s
from perwatt.runner.rows import EnergyShare
from perwatt.store.journal import Journal

__all__ = ["Evidence", "Loaded", "evidence_of", "loads_of"]


class Evidence(msgspec.Struct, frozen=True):
    """All that verdicts are judged on."""

    pairs: Mapping[str, PairIdentity]
    requests: tuple[Request, ...]
    phases: tuple[Phase, ...]
    ledgers: Mapping[str, EnergyLedger]
    energy: Mapping[str, Any]
    """run.json's `energy`: line, boundary, grade, domains."""
    sessions: int
    in_flight: int
    attribution: str
    unmeasured: Mapping[str, int]
    """Per pair, requests whose joules are unknown."""
    audits: tuple[ClientAudit, ...] = ()
    items: Mapping[str, Item] = {}
    max_in_flight: int | None = None
    per_query: bool = False
    """Places wait on purpose between requests, so as to meet every phase of the sensor's tick."""
    set_aside_j: Mapping[str, float] = {}
    """Per pair, joules of attempts that were asked again, where all of them are known."""
    curves: Mapping[str, Curve] = {}
    """Per pair, the joules drawn so far."""


class Loaded(NamedTuple):
    """One pair under one stage of the load."""

    label: str
    """The pair's, and the stage's words where there are several."""
    pair_id: str
    load: Stage | None
    """None: the run does not say."""
    phases: tuple[Phase, ...]
    attempts: tuple[Request, ...]
    """Everything that was sent, set aside or not, by dispatch."""
    ended: tuple[Request, ...]
    """Those that are nowhere else counted: answered or failed."""
    answered: tuple[Request, ...]
    """Those answered, warm-up and cool-down left out: what speeds are told of."""
    audits: tuple[ClientAudit, ...]
    gaps_s: Floats
    """Between the chunks of all that are in `answered`, one answer after the other."""

    @property
    def by_the_clock(self) -> bool:
        """Were requests due whether or not others had ended?"""
        return self.load is not None and self.load.kind != "closed"


def evidence_of(
    run: Mapping[str, Any],
    journal: Journal,
    items: Mapping[str, Item],
    shares: Mapping[str, EnergyShare],
    ledgers: Mapping[str, EnergyLedger],
) -> Evidence:
    """From run.json, its journal and what each request was charged."""
    pairs = {k: msgspec.convert(v, PairIdentity) for k, v in run["pairs"].items()}
    unmeasured = dict.fromkeys(pairs, 0)
    aside: dict[str, list[float | None]] = {}
    for request in journal.requests:
        share = shares.get(request.request_id)
        joules = share.energy_gross_j if share else None
        if request.reply.status not in SET_ASIDE:
            unmeasured[request.pair_id] += joules is None
        elif request.reply.status == "retried":
            aside.setdefault(request.pair_id, []).append(joules)
    spec = run["spec"]
    return Evidence(
        pairs=pairs,
        requests=journal.requests,
        phases=journal.phases,
        ledgers=ledgers,
        energy=run["energy"],
        sessions=len(journal.sessions),
        in_flight=max((r.in_flight for r in journal.requests), default=1),
        attribution=spec["attribution"],
        unmeasured=unmeasured,
        audits=journal.audits,
        items=items,
        max_in_flight=spec.get("max_in_flight"),
        per_query=bool(spec.get("per_query")),
        set_aside_j={
            pair_id: sum(known)
            for pair_id, all_of in aside.items()
            if len(known := [j for j in all_of if j is not None]) == len(all_of)
        },
        curves=_curves(run["energy"], pairs, journal),
    )


def loads_of(seen: Evidence) -> list[Loaded]:
    """Every pair under every stage that was asked anything, in order."""
    by_phase: dict[str, list[Request]] = {}
    for request in sorted(seen.requests, key=lambda r: r.reply.dispatched_ns):
        by_phase.setdefault(request.phase_id, []).append(request)
    found = []
    for pair_id, identity in seen.pairs.items():
        load = [p for p in seen.phases if p.kind == "load" and p.pair_id == pair_id]
        stages = sorted({p.stage or 0 for p in load})
        for stage in stages:
            own = tuple(p for p in load if (p.stage or 0) == stage)
            attempts = tuple(r for p in own for r in by_phase.get(p.phase_id, ()))
            if not attempts:
                continue
            words = next((p.load for p in own if p.load), None)
            ended = tuple(r for r in attempts if r.reply.status not in SET_ASIDE)
            edges = {p.phase_id: (p.counted_from_ns, p.counted_to_ns) for p in own}
            ids = set(edges)
            answered = tuple(
                r for r in ended if r.reply.status == "ok" and _counted(r, edges[r.phase_id])
            )
            found.append(
                Loaded(
                    label=f"{identity.label} at {words}"
                    if words and len(stages) > 1
                    else identity.label,
                    pair_id=pair_id,
                    load=_parsed(words),
                    phases=own,
                    attempts=attempts,
                    ended=ended,
                    answered=answered,
                    audits=tuple(a for a in seen.audits if a.phase_id in ids),
                    gaps_s=np.concatenate([np.empty(0), *(gaps_s(r.reply) for r in answered)]),
                )
            )
    return found


def _counted(request: Request, edges: tuple[int | None, int | None]) -> bool:
    from_ns, to_ns = edges
    due = request.scheduled_ns
    return (from_ns is None or due >= from_ns) and (to_ns is None or due <= to_ns)


def _parsed(words: str | None) -> Stage | None:
    try:
        return parse_load(words).stages[0] if words else None
    except SpecError:  # a run of another version
        return None


def _curves(energy: Mapping[str, Any], pairs: Iterable[str], journal: Journal) -> dict[str, Curve]:
    known = {d["name"]: msgspec.convert(d, Domain) for d in energy["domains"]}
    sessions: dict[int, list[PowerSample]] = {}
    for batch in journal.power:
        sessions.setdefault(batch.session, []).extend(batch.samples)
    curves: dict[tuple[str, ...], Curve | None] = {}
    found = {}
    for pair_id in pairs:
        names = tuple(energy.get("counted", {}).get(pair_id, ()))
        if names and names not in curves:
            curves[names] = total_curve(list(sessions.values()), [known[n] for n in names])
        curve = curves.get(names)
        if curve is not None:
            found[pair_id] = curve
    return found
