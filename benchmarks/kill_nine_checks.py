"""What must be true of a run that was killed and resumed, however often."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from benchmarks.kill_nine_server import Served
from perwatt.core.records import SET_ASIDE, Request
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
    items: Mapping[str, str]
    """id → the question's text."""


class Kill(NamedTuple):
    """What was there at a kill."""

    at_ns: int
    lines: bytes
    """The journal's whole lines."""
    served: int
    """Number of the newest request that had reached the server."""


class Found(NamedTuple):
    """What a check gave."""

    faults: list[str]
    """Each a sentence."""
    unmetered: int
    """Requests without joules, since they finished after the last samples before a kill."""


def check(
    run: Path, planned: Planned, kills: Sequence[Kill], served: Sequence[Served] | None
) -> Found:
    """All that is wrong with a finished run. `served`: the server's own truth, if it has one."""
    status = json.loads((run / "run.json").read_bytes())["status"]
    if status != "complete":
        return Found([f"the run says {status} after its last sitting ended well"], 0)
    table = load_tables(run).requests
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    counted = [row for row in rows if row["status"] not in SET_ASIDE]
    beyond = _after_last_samples(run, rows)
    faults = [
        *_once_each(planned, counted, rows),
        *_kept(run, kills, {row["request_id"]: row for row in rows}),
        *_energy(run, rows, beyond),
        *_gaps(run, kills),
        *(_as_served(planned, counted, kills, served) if served is not None else ()),
    ]
    return Found(faults, len(beyond))


def _after_last_samples(run: Path, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Requests that ended when the sampler's readings were not yet in the journal."""
    newest: dict[int, int] = {}
    for power in read_journal(run / "journal.jsonl").power:
        marks = [sample.t_ns for sample in power.samples]
        newest[power.session] = max([*marks, newest.get(power.session, 0)])
    return {
        row["request_id"] for row in rows if row["last_chunk_ns"] > newest.get(row["session"], 0)
    }


def _once_each(
    planned: Planned, counted: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    times = Counter((row["pair_id"], row["item_id"]) for row in counted)
    wanted = {(pair, item) for pair in planned.pairs for item in planned.items}
    yield from (f"{key} was lost" for key in sorted(wanted - set(times)))
    yield from (f"{key} counts {n} times" for key, n in sorted(times.items()) if n > 1)
    yield from (f"{key} was never planned" for key in sorted(set(times) - wanted))
    ids = Counter(row["request_id"] for row in rows)
    yield from (f"{name} is {n} rows" for name, n in ids.items() if n > 1)
    failed = [row["request_id"] for row in counted if row["status"] != "ok"]
    yield from (f"{name} failed, and no server did" for name in failed)


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
    planned: Planned,
    counted: Sequence[Mapping[str, Any]],
    kills: Sequence[Kill],
    served: Sequence[Served],
) -> Iterator[str]:
    """Each answer is one that the server sent in full, for that very question, and only once."""
    truth = {each.number: each for each in served}
    used: Counter[int] = Counter()
    for row in counted:
        name = row["request_id"]
        found = re.search(r"served as (\d+)", row["text"])
        each = truth.get(int(found[1])) if found else None
        if each is None:
            yield f"{name} holds an answer that the server never gave"
            continue
        used[each.number] += 1
        if not each.done or each.model != row["pair_id"]:
            yield f"{name} holds the answer {each.number}, which was cut or another model's"
        if each.question != planned.items[row["item_id"]]:
            yield f"{name} holds the answer to another question"
    yield from (f"the answer {number} is used {n} times" for number, n in used.items() if n > 1)
    names = {question: item for item, question in planned.items.items()}
    for n, kill in enumerate(kills, start=1):
        finished = _finished(kill.lines)
        for each in served:
            key = (each.model, names.get(each.question, ""))
            if each.number > kill.served and key in finished:
                yield f"{key} had finished at kill {n}, and was asked again as {each.number}"


def _finished(lines: bytes) -> set[tuple[str, str]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    records = [decoder.decode(line) for line in lines.splitlines()]
    return {
        (record["pair_id"], record["item_id"])
        for record in records
        if record["type"] == "request" and record["reply"]["status"] not in SET_ASIDE
    }
