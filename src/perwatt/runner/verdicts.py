"""What a reader must know before quoting a number. Each verdict is one sentence and one mend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from perwatt.core.clock import seconds
from perwatt.core.records import SET_ASIDE, PairIdentity, Phase, Request, Verdict
from perwatt.core.summary import EnergyLedger
from perwatt.runner.shares import in_order

__all__ = ["Evidence", "by_gravity", "find_verdicts"]


BUSY_SHARE, BUSY_INVALID = 0.05, 0.25
OBSERVER_SHARE = 0.05
GAP_SHARE = 0.01
FEW_ITEMS = 30


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


def find_verdicts(seen: Evidence) -> list[Verdict]:
    """All that apply, gravest first."""
    return by_gravity([*_energy(seen), *_host(seen), *_requests(seen), *_pairs(seen)])


def by_gravity(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Invalid first, then warnings, then notes; otherwise as they came."""
    order = {"invalid": 0, "warning": 1, "note": 2}
    return sorted(verdicts, key=lambda verdict: order[verdict.severity])


def _energy(seen: Evidence) -> Iterable[Verdict]:
    if seen.energy["grade"] is None:
        yield Verdict(code="no-energy", severity="warning", sentence=seen.energy["line"])
    if seen.energy["grade"] == "D":
        yield Verdict(
            code="estimated-energy",
            severity="warning",
            sentence="Joules and watts here are a model's estimate, not a measurement: compare "
            "pairs of this run with each other, and nothing else with them.",
            mend="Run where a counter can be read; `perwatt doctor` says what this machine lacks.",
        )
    for pair_id, reason in seen.energy.get("refused", {}).items():
        yield Verdict(
            code="no-energy",
            severity="warning",
            sentence=f"The joules of {seen.pairs[pair_id].label} are unknown: {reason}",
            pair_id=pair_id,
        )
    for tried in seen.energy.get("tried", ()):
        if tried.get("asked") and not tried["ok"]:
            yield Verdict(
                code="sensor-unused",
                severity="warning",
                sentence=f"The sensor {tried['name']} was asked for and could not be used: "
                f"{tried['reason']}",
                mend=tried.get("mend"),
            )
    for pair_id, ledger in seen.ledgers.items():
        label = seen.pairs[pair_id].label
        if ledger.device_j > 0 and ledger.unattributed_j > GAP_SHARE * ledger.device_j:
            share = ledger.unattributed_j / ledger.device_j
            yield Verdict(
                code="sensor-gaps",
                severity="warning",
                sentence=f"{share:.1%} of the joules under {label} fell into readings that cannot "
                "be trusted, and are charged to no request.",
                mend="Look at the column `flag` of power.parquet.",
                pair_id=pair_id,
            )
        if ledger.note and seen.in_flight > 1:
            yield Verdict(
                code="shared-by-time",
                severity="warning",
                sentence=f"{label}: {ledger.note} With several in flight that favours long prompts "
                "and contexts, and no interval holds it.",
                mend="Ask more items, or longer ones, so that what a token costs can be fitted.",
                pair_id=pair_id,
            )
        if ledger.idle_power_w is None:
            yield Verdict(
                code="no-baseline",
                severity="note",
                sentence=f"No idle was measured for {label}, so its net figures are missing.",
                mend="Leave --idle-s above 0.",
                pair_id=pair_id,
            )
    for pair_id, count in seen.unmeasured.items():
        if count and seen.energy["grade"] is not None:
            yield Verdict(
                code="unmeasured-requests",
                severity="warning",
                sentence=f"{count} requests of {seen.pairs[pair_id].label} have no joules, so its "
                "ratios of accuracy and energy are missing rather than wrong.",
                mend="Ask them again in a new run.",
                pair_id=pair_id,
            )


def _host(seen: Evidence) -> Iterable[Verdict]:
    before = _share([p for p in seen.phases if p.kind == "bare_idle"], "neighbour_share")
    if before is not None and before > BUSY_SHARE:
        yield Verdict(
            code="busy-machine",
            severity="warning",
            sentence=f"The machine was busy before the run began: {before:.0%} of its CPU time.",
            mend="Stop what else is running, and run again.",
        )
    for pair_id, identity in seen.pairs.items():
        load = [p for p in seen.phases if p.kind == "load" and p.pair_id == pair_id]
        neighbours = _share(load, "neighbour_share")
        if neighbours is not None and neighbours > BUSY_SHARE:
            grave = neighbours > BUSY_INVALID
            yield Verdict(
                code="busy-machine",
                severity="invalid" if grave else "warning",
                sentence=f"Other processes took {neighbours:.0%} of the CPU time while "
                f"{identity.label} was under load; its times and joules include that.",
                mend="Stop them, and run again.",
                pair_id=pair_id,
            )
        own = _share(load, "own_share")
        if own is not None and own > OBSERVER_SHARE:
            yield Verdict(
                code="observer-cost",
                severity="warning",
                sentence=f"perwatt itself took {own:.0%} of the CPU time while {identity.label} "
                "was under load.",
                mend="Lower --sample-hz, or drive the server from another machine.",
                pair_id=pair_id,
            )


def _requests(seen: Evidence) -> Iterable[Verdict]:
    for pair_id, identity in seen.pairs.items():
        mine = [
            r for r in seen.requests if r.pair_id == pair_id and r.reply.status not in SET_ASIDE
        ]
        failed = [r.reply.error_kind or "unknown" for r in mine if r.reply.status == "error"]
        if failed:
            kinds = ", ".join(f"{failed.count(kind)} {kind}" for kind in sorted(set(failed)))
            yield Verdict(
                code="failures",
                severity="invalid" if len(failed) * 2 > len(mine) else "warning",
                sentence=f"{len(failed)} of {len(mine)} requests to {identity.label} failed "
                f"({kinds}); they count as wrong answers.",
                mend="The column `error` of requests.parquet says why.",
                pair_id=pair_id,
            )
        astray = sum(not in_order(r.reply) for r in mine)
        if astray:
            yield Verdict(
                code="marks-out-of-order",
                severity="warning",
                sentence=f"{astray} requests to {identity.label} end before they start, so their "
                "joules and times are not to be used.",
                mend="Mend the endpoint's clock: marks are those of one monotonic clock.",
                pair_id=pair_id,
            )
    items = {r.item_id for r in seen.requests}
    if 0 < len(items) < FEW_ITEMS:
        yield Verdict(
            code="few-items",
            severity="note",
            sentence=f"Only {len(items)} items were asked: the intervals are wide, and rough.",
            mend="Raise --limit.",
        )
    if seen.in_flight > 1:
        error = "whose error is in" if seen.attribution == "phase" else "whose bias is not in"
        yield Verdict(
            code="batched",
            severity="note",
            sentence=f"With {seen.in_flight} in flight, joules are shared by the rule "
            f"`{seen.attribution}`, {error} their intervals, and an engine that batches may answer "
            "otherwise than alone.",
        )
    if seen.sessions > 1:
        yield Verdict(
            code="resumed",
            severity="note",
            sentence=f"This run was done in {seen.sessions} sittings; what was drawn between them "
            "is charged to no request.",
        )


def _pairs(seen: Evidence) -> Iterable[Verdict]:
    for pair_id, identity in seen.pairs.items():
        if identity.upcast_from:
            yield Verdict(
                code="up-cast",
                severity="note",
                sentence=f"{identity.label} was made from {identity.upcast_from} weights: it costs "
                f"as {identity.precision} and answers no better than {identity.upcast_from}.",
                pair_id=pair_id,
            )


def _share(phases: Iterable[Phase], field: str) -> float | None:
    """Mean share over phases, weighted by their length. None if any of them is unknown."""
    total = weight = 0.0
    for phase in phases:
        share = getattr(phase, field)
        if share is None or phase.end_ns is None:
            return None
        length = seconds(phase.start_ns, phase.end_ns)
        total += share * length
        weight += length
    return total / weight if weight else None
