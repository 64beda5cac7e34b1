"""journal.jsonl read back: phase lines joined in pairs, repeats dropped, one time line.

`JournalWriter` (writer.py) and the lines themselves (lines.py) are offered from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from perwatt.core.errors import RunDirError
from perwatt.core.records import SET_ASIDE, ClientAudit, Phase, PowerSample, Request, Score
from perwatt.store.lines import Power, Session, decode_lines
from perwatt.store.writer import JournalWriter

__all__ = ["Journal", "JournalWriter", "Power", "Session", "read_journal"]


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a journal says, with every mark on the first session's monotonic line."""

    sessions: tuple[Session, ...]
    """As recorded: each anchor is on its own boot's line."""
    phases: tuple[Phase, ...]
    """By start. `end_ns` is None where the run was killed in a phase without finished requests."""
    requests: tuple[Request, ...]
    """By the time they finished, each `request_id` once, cancelled attempts included."""
    scores: tuple[Score, ...]
    """The latest of each request and scorer."""
    power: tuple[Power, ...]
    """In order. Counters start again with each session: never subtract across two."""
    audits: tuple[ClientAudit, ...] = ()
    """What asking cost the client itself, by load phase and worker."""

    @property
    def done(self) -> set[str]:
        """Ids of the requests that need not be asked again."""
        return {r.request_id for r in self.requests if r.reply.status not in SET_ASIDE}


def read_journal(path: Path) -> Journal:
    """Read journal.jsonl. A last line without its newline (`kill -9`) is left out.

    Raises FileError, or RunDirError naming the file and the line that is damaged.
    """
    sessions: list[Session] = []
    phases: dict[str, Phase] = {}
    requests: dict[str, Request] = {}
    scores: dict[tuple[str, str], Score] = {}
    power: list[Power] = []
    audits: list[ClientAudit] = []
    shift: dict[int, int] = {}

    for number, record in enumerate(decode_lines(path), start=1):
        if isinstance(record, Score):
            scores[record.request_id, record.scorer] = record
            continue
        if isinstance(record, ClientAudit):
            audits.append(record)
            continue
        if isinstance(record, Session):
            sessions.append(record)
            shift[record.session] = record.anchor.shift_to(sessions[0].anchor)
            continue
        if record.session not in shift:
            msg = f"Line {number} of {path} belongs to session {record.session}, never started."
            raise RunDirError(msg, "Restore the file from a copy.")
        by_ns = shift[record.session]
        if isinstance(record, Phase):
            phases[record.phase_id] = _shifted_phase(record, by_ns)
        elif isinstance(record, Request):
            # The first is the one that was counted when it finished.
            requests.setdefault(record.request_id, _shifted_request(record, by_ns))
        else:
            power.append(_shifted_power(record, by_ns))

    return Journal(
        sessions=tuple(sessions),
        phases=tuple(_ended(phase, requests.values()) for phase in phases.values()),
        requests=tuple(requests.values()),
        scores=tuple(scores.values()),
        power=tuple(power),
        audits=tuple(audits),
    )


def _ended(phase: Phase, requests: Iterable[Request]) -> Phase:
    if phase.end_ns is not None:
        return phase
    marks = [r.reply.last_chunk_ns for r in requests if r.phase_id == phase.phase_id]
    return msgspec.structs.replace(phase, end_ns=max(marks)) if marks else phase


def _shifted_phase(phase: Phase, by_ns: int) -> Phase:
    if not by_ns:
        return phase
    return msgspec.structs.replace(
        phase,
        start_ns=phase.start_ns + by_ns,
        end_ns=_plus(phase.end_ns, by_ns),
        counted_from_ns=_plus(phase.counted_from_ns, by_ns),
        counted_to_ns=_plus(phase.counted_to_ns, by_ns),
    )


def _shifted_request(request: Request, by_ns: int) -> Request:
    if not by_ns:
        return request
    reply = msgspec.structs.replace(
        request.reply,
        dispatched_ns=request.reply.dispatched_ns + by_ns,
        first_chunk_ns=_plus(request.reply.first_chunk_ns, by_ns),
        first_answer_ns=_plus(request.reply.first_answer_ns, by_ns),
        last_chunk_ns=request.reply.last_chunk_ns + by_ns,
        sent_ns=_plus(request.reply.sent_ns, by_ns),
        first_byte_ns=_plus(request.reply.first_byte_ns, by_ns),
    )
    return msgspec.structs.replace(request, scheduled_ns=request.scheduled_ns + by_ns, reply=reply)


def _shifted_power(power: Power, by_ns: int) -> Power:
    if not by_ns:
        return power
    samples = tuple(_shifted_sample(sample, by_ns) for sample in power.samples)
    return Power(session=power.session, samples=samples)


def _shifted_sample(sample: PowerSample, by_ns: int) -> PowerSample:
    return msgspec.structs.replace(sample, t_ns=sample.t_ns + by_ns)


def _plus(mark_ns: int | None, by_ns: int) -> int | None:
    return None if mark_ns is None else mark_ns + by_ns
