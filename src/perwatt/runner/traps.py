"""What a run stepped into that makes its joules wrong: its sittings, handed to the detectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from perwatt.attribution.traps import Attempt, Found, Look, Mark, find_traps, verdicts_of
from perwatt.core.records import Domain, Request, SensorTiming, Verdict
from perwatt.runner.rows import EnergyShare
from perwatt.store.journal import Journal

__all__ = ["flagged", "hosting", "traps_of", "verdicts_from"]

SAID_ELSEWHERE = frozenset({"neighbour-load", "vm-estimate"})
"""`busy-machine` and `estimated-energy` say the same of a run, with more of it at hand."""
SAID_OF_AN_ESTIMATE = frozenset({"rapl-absent"})
"""The first line of an estimated run says why it is one."""


def traps_of(journal: Journal, energy: Mapping[str, Any]) -> tuple[Found, ...]:
    """All traps of all sittings. `energy`: run.json's, with domains, counted, timings, tried."""
    domains = tuple(msgspec.convert(d, Domain) for d in energy["domains"])
    counted = dict.fromkeys(name for names in energy["counted"].values() for name in names)
    if not domains or not counted:
        return ()
    told = [Attempt(t["name"], t["ok"], t.get("reason"), t.get("mend")) for t in energy["tried"]]
    timings = tuple(msgspec.convert(t, SensorTiming) for t in energy["timings"])
    known = list(energy["hosting"].values())
    hosts = None if None in known else tuple(dict.fromkeys(n for names in known for n in names))
    everything: list[Found] = []
    for session in journal.sessions:
        number = session.session
        look = Look(
            domains=domains,
            counted=tuple(counted),
            samples=[s for b in journal.power if b.session == number for s in b.samples],
            phases=tuple(p for p in journal.phases if p.session == number),
            marks=tuple(_marks(journal, number)),
            timings=timings,
            tried=tuple(told),
            hosting=hosts,
        )
        everything += find_traps(look)
    return tuple(everything)


def verdicts_from(traps: tuple[Found, ...], grade: str | None) -> tuple[Verdict, ...]:
    """One verdict for each trap and pair, those left out that another line says."""
    said = SAID_ELSEWHERE | (SAID_OF_AN_ESTIMATE if grade == "D" else frozenset())
    return verdicts_of(each for each in traps if each.code not in said)


def hosting(domains: Sequence[Domain], pids: Sequence[int]) -> list[str] | None:
    """Accelerators that host the processes under test, once narrowed to; None: cannot be told."""
    own = [domain for domain in domains if domain.boundary == "accelerator"]
    if not pids or any("could not be told" in (domain.note or "") for domain in own):
        return None
    return [domain.name for domain in own]


def flagged(
    shares: dict[str, EnergyShare], traps: tuple[Found, ...], requests: tuple[Request, ...]
) -> dict[str, EnergyShare]:
    """The same shares, each request with the names of the traps that caught some of its time."""
    dated = [
        (each.code, each.start_ns, each.end_ns)
        for each in traps
        if each.severity != "note" and each.start_ns is not None and each.end_ns is not None
    ]
    result = dict(shares)
    for request in requests:
        share, reply = shares.get(request.request_id), request.reply
        caught = dict.fromkeys(
            code
            for code, start, end in dated
            if start <= reply.last_chunk_ns and end >= reply.dispatched_ns
        )
        if share is not None and caught:
            flags = tuple(dict.fromkeys((*share.flags, *caught)))
            result[request.request_id] = msgspec.structs.replace(share, flags=flags)
    return result


def _marks(journal: Journal, session: int) -> Iterator[Mark]:
    for request in journal.requests:
        if request.session == session:
            reply = request.reply
            # Equal answers to one item are equal work.
            work = (request.pair_id, request.item_id, reply.prompt_tokens, reply.completion_tokens)
            yield Mark(request.pair_id, reply.dispatched_ns, reply.last_chunk_ns, work)
