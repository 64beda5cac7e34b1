"""What must be true of a run that was killed and resumed, however often."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from perwatt.core.records import SET_ASIDE, Request
from perwatt.fakeserver.truth import Truth
from perwatt.runner.plan_left import SHORTEST_S
from perwatt.store.journal import read_journal
from perwatt.store.lines import decode_lines
from perwatt.store.load import load_tables
from perwatt.store.tables import read_table

__all__ = ["Found", "Kill", "Planned", "check"]

CONSERVED = 1e-6
RECOUNTED = 0.02
"""Our own sum of a run's joules is by whole samples and straight lines: it need not be the same."""


class Planned(NamedTuple):
    """What the run was to ask."""

    pairs: tuple[str, ...]
    items: tuple[str, ...]
    timed_s: float | None = None
    """How long each pair was to be under load; None: until each item has been asked once."""


class Kill(NamedTuple):
    """What was there at a kill."""

    at_ns: int
    lines: bytes
    """The journal's whole lines."""


class Found(NamedTuple):
    """What a check gave."""

    faults: list[str]
    """Each a sentence."""
    unmetered: int
    """Requests without joules, since they finished after the last samples before a kill."""


def check(
    run: Path, planned: Planned, kills: Sequence[Kill], truth: Sequence[Truth] | None
) -> Found:
    """All that is wrong with a finished run. `truth`: what the server says it served, if it can."""
    status = json.loads((run / "run.json").read_bytes())["status"]
    if status != "complete":
        return Found([f"the run says {status} after its last sitting ended well"], 0)
    table = load_tables(run).requests
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    counted = [row for row in rows if row["status"] not in SET_ASIDE]
    final = [row for row in counted if "/turn-" not in row["request_id"]]
    beyond = _after_last_samples(run, rows)
    faults = [
        *_once_each(planned, final, rows),
        *_as_long(run, planned),
        *_kept(run, kills, {row["request_id"]: row for row in rows}),
        *_energy(run, rows, beyond),
        *_gaps(run, kills),
        *(_as_served(run, counted, kills, truth) if truth is not None else ()),
    ]
    unmetered = sum(row["energy_gross_j"] is None for row in rows)
    return Found(faults, unmetered)


def _after_last_samples(run: Path, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Requests that ended when the sampler's readings of them were not yet in the journal."""
    newest: dict[int, int] = {}
    for power in read_journal(run / "journal.jsonl").power:
        marks = [sample.t_ns for sample in power.samples]
        newest[power.session] = max([*marks, newest.get(power.session, 0)])
    return {
        row["request_id"] for row in rows if row["last_chunk_ns"] > newest.get(row["session"], 0)
    }


def _once_each(
    planned: Planned, final: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    times = Counter((row["pair_id"], row["item_id"]) for row in final)
    wanted = {(pair, item) for pair in planned.pairs for item in planned.items}
    if planned.timed_s is None:
        yield from (f"{key} was lost" for key in sorted(wanted - set(times)))
        yield from (f"{key} counts {n} times" for key, n in sorted(times.items()) if n > 1)
    yield from (f"{key} was never planned" for key in sorted(set(times) - wanted))
    ids = Counter(row["request_id"] for row in rows)
    yield from (f"{name} is {n} rows" for name, n in ids.items() if n > 1)
    failed = [row["request_id"] for row in rows if row["status"] in {"error", "retried"}]
    yield from (f"{name} failed, and no server did" for name in failed)


def _as_long(run: Path, planned: Planned) -> Iterator[str]:
    """A stage with a time limit has had its time, over all sittings."""
    if planned.timed_s is None:
        return
    phases = [p for p in read_journal(run / "journal.jsonl").phases if p.kind == "load"]
    for pair in planned.pairs:
        mine = [(p.start_ns, p.end_ns) for p in phases if p.pair_id == pair]
        lasted_s = sum((end - start) / 1e9 for start, end in mine if end is not None)
        if lasted_s < planned.timed_s - len(mine) * SHORTEST_S:
            yield f"{pair} was under load for {lasted_s:.2f} s, not {planned.timed_s:g} s"


def _kept(run: Path, kills: Sequence[Kill], rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Byte for byte in the journal, mark for mark in the table."""
    journal = run / "journal.jsonl"
    data = journal.read_bytes()
    for n, kill in enumerate(kills, start=1):
        if not data.startswith(kill.lines):
            yield f"what the journal held at kill {n} is not its beginning any more"
    records = [r for r in decode_lines(journal) if isinstance(r, Request)]
    times = Counter(record.request_id for record in records)
    yield from (f"{name} was journaled {n} times" for name, n in times.items() if n > 1)
    for record in records:
        row = rows.get(record.request_id)
        reply = record.reply
        marks = ("dispatched_ns", "first_chunk_ns", "last_chunk_ns", "text", "completion_tokens")
        if row is None:
            yield f"{record.request_id} is in the journal and in no table"
        elif changed := [name for name in marks if row[name] != getattr(reply, name)]:
            yield f"{record.request_id}: {changed[0]} is not what the journal says"


def _energy(run: Path, rows: Sequence[Mapping[str, Any]], beyond: set[str]) -> Iterator[str]:
    """The parts sum to the device, and the device to our own count over each sitting's load."""
    described = json.loads((run / "run.json").read_bytes())
    journal = read_journal(run / "journal.jsonl")
    if described["ledgers"].keys() != set(described["pairs"]):
        yield "a pair has no ledger"
    for pair, ledger in described["ledgers"].items():
        device_j = ledger["device_j"]
        mine = [row for row in rows if row["pair_id"] == pair]
        without = {row["request_id"] for row in mine if row["energy_gross_j"] is None}
        yield from (f"{name} has no joules" for name in sorted(without - beyond))
        own = [row["energy_gross_j"] for row in mine if row["energy_gross_j"] is not None]
        parts_j = sum(own) + ledger["idle_j"] + ledger["unattributed_j"]
        # What is charged to a request that has no joules after all is with the unattributed.
        if abs(parts_j - device_j) > CONSERVED * device_j and not without:
            yield f"{pair}: the parts are {parts_j:.9g} J of {device_j:.9g} J"
        if parts_j > device_j * (1 + CONSERVED):
            yield f"{pair}: the parts are {parts_j:.9g} J, more than all of {device_j:.9g} J"
        windows = [
            (phase.session, phase.start_ns, phase.end_ns)
            for phase in journal.phases
            if phase.kind == "load" and phase.pair_id == pair and phase.end_ns is not None
        ]
        counted_j = _recounted_j(run, windows, ledger["domains"])
        if abs(counted_j - device_j) > RECOUNTED * max(device_j, 0.1):
            yield f"{pair}: the device drew {counted_j:.4g} J under load, not {device_j:.4g} J"
        window_s = sum(end - start for _, start, end in windows) / 1e9
        if ledger["window_s"] > window_s * (1 + CONSERVED):
            yield f"{pair}: charged for {ledger['window_s']:.3f} s of {window_s:.3f} s under load"


def _gaps(run: Path, kills: Sequence[Kill]) -> Iterator[str]:
    """Nothing lasts beyond the kill of the process that began it: phases are what is charged."""
    journal = read_journal(run / "journal.jsonl")
    began = {s.session: s.anchor.monotonic_ns for s in journal.sessions}
    for kill in kills:
        for phase in journal.phases:
            if began[phase.session] < kill.at_ns < (phase.end_ns or 0):
                yield f"{phase.phase_id} goes on after the process that began it was killed"
        for request in journal.requests:
            if request.reply.dispatched_ns < kill.at_ns < request.reply.last_chunk_ns:
                yield f"{request.request_id} was in flight while nothing ran"


def _recounted_j(
    run: Path, windows: Sequence[tuple[int, int, int]], domains: Sequence[str]
) -> float:
    """Joules of the counters within the windows, each by its own sitting's samples alone."""
    table = read_table(run / "power.parquet", ["session", "domain", "t_ns", "counter_j"])
    total = 0.0
    for session, start_ns, end_ns in windows:
        for domain in domains:
            samples = [
                (t, joules)
                for s, d, t, joules in zip(*table.values(), strict=True)
                if s == session and d == domain and joules is not None
            ]
            if len(samples) > 1:
                t_ns, counter_j = map(np.array, zip(*samples, strict=True))
                edges = np.interp([start_ns, end_ns], t_ns, counter_j)
                total += float(edges[1] - edges[0])
    return total


def _as_served(
    run: Path,
    counted: Sequence[Mapping[str, Any]],
    kills: Sequence[Kill],
    truth: Sequence[Truth],
) -> Iterator[str]:
    """Each answer was sent in full just then, and what has finished is not asked again."""
    servings: dict[str, list[Truth]] = {}
    for each in truth:
        servings.setdefault(each.request_id, []).append(each)
    for row in counted:
        name = row["request_id"]
        # Marks of two processes on one host compare: both clocks are CLOCK_MONOTONIC.
        own = [
            each
            for each in servings.get(name, ())
            if row["dispatched_ns"] <= each.complete_ns and each.before_ns
            and each.before_ns[-1] <= row["last_chunk_ns"]
        ]  # fmt: skip
        if len(own) != 1 or own[0].ended != "done":
            yield f"{name} was served {len(own)} times while it was in flight"
        elif (own[0].text, own[0].model) != (row["text"], row["pair_id"]):
            yield f"{name} holds another text than was served"
    warming = _warm_ups(run, kills)
    for n, kill in enumerate(kills, start=1):
        finished = _finished(kill.lines)
        for name in sorted(finished & servings.keys()):
            for each in servings[name]:
                late = each.first_byte_ns > kill.at_ns
                if late and not any(a <= each.first_byte_ns <= b for a, b in warming):
                    yield f"{name} had finished at kill {n}, and was asked again"


def _warm_ups(run: Path, kills: Sequence[Kill]) -> list[tuple[int, int]]:
    """Their stretches; one that was cut lasted until the kill that cut it."""
    phases = [p for p in read_journal(run / "journal.jsonl").phases if p.kind == "warmup"]
    ends = [
        (p.start_ns, p.end_ns, [k.at_ns for k in kills if k.at_ns > p.start_ns]) for p in phases
    ]
    return [(start, end or min(cut)) for start, end, cut in ends]


def _finished(lines: bytes) -> set[str]:
    """Ids of what counts in these lines of a journal."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    records = [decoder.decode(line) for line in lines.splitlines()]
    return {
        record["request_id"]
        for record in records
        if record["type"] == "request" and record["reply"]["status"] not in SET_ASIDE
    }
