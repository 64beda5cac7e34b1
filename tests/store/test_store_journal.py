"""The journal: cut anywhere it reads whole; resumed it never repeats; damage is named by line."""

from __future__ import annotations

import resource
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.clock import ClockAnchor
from perwatt.core.errors import DiskFullError, FileError, RunDirError
from perwatt.core.records import (
    Judgement,
    Phase,
    PowerSample,
    Reply,
    Request,
    Sampling,
    Score,
)
from perwatt.store.journal import Journal, JournalWriter, Power, Session, read_journal

BOOT = ClockAnchor(monotonic_ns=1_000, wall_ns=1_000_000, boot_id="boot-1")
# After a reboot the monotonic clock starts again; this one is 5000 ns of wall time later.
REBOOT = ClockAnchor(monotonic_ns=100, wall_ns=1_005_000, boot_id="boot-2")


def session(number: int = 1, anchor: ClockAnchor = BOOT) -> Session:
    return Session(session=number, anchor=anchor, perwatt_version="0", pid=7)


def request(number: int, *, session: int = 1, **reply: Any) -> Request:
    marks: dict[str, Any] = {"status": "ok", "dispatched_ns": 2_000, "last_chunk_ns": 3_000}
    return Request(
        request_id=f"a/{number}/0",
        item_id=str(number),
        pair_id="a",
        session=session,
        phase_id=f"s{session}-1",
        repeat=0,
        scheduled_ns=1_900,
        in_flight=1,
        prompt_sha256=None,
        sampling=Sampling(),
        reply=Reply(**{**marks, "text": f"answer\n{number}", **reply}),
    )


def load_phase(session: int = 1, end_ns: int | None = None) -> Phase:
    return Phase(
        phase_id=f"s{session}-1",
        kind="load",
        session=session,
        pair_id="a",
        start_ns=1_800,
        end_ns=end_ns,
    )


def score(number: int, value: float) -> Score:
    judgement = Judgement(value=value)
    return Score(
        request_id=f"a/{number}/0",
        item_id=str(number),
        scorer="s",
        judgement=judgement,
        seconds=0.0,
    )


def power(*marks: int, session: int = 1) -> Power:
    samples = tuple(PowerSample(t, "package-0", float(t), None) for t in marks)
    return Power(session=session, samples=samples)


def write(path: Path, *records: Any) -> Path:
    with JournalWriter(path) as journal:
        for record in records:
            journal.append(record)
    return path


RECORDS = (
    session(),
    load_phase(),
    request(1),
    power(2_000, 2_500),
    request(2, status="error", error_kind="timeout", text=""),
    load_phase(end_ns=9_000),
    score(1, 1.0),
)


def test_everything_comes_back(tmp_path: Path) -> None:
    journal = read_journal(write(tmp_path / "j", *RECORDS))
    assert journal.sessions == (RECORDS[0],)
    assert journal.requests == (RECORDS[2], RECORDS[4])
    assert journal.phases == (RECORDS[5],)
    assert journal.power == (RECORDS[3],)
    assert journal.scores == (RECORDS[6],)
    assert journal.done == {"a/1/0", "a/2/0"}


WHOLE = b"".join(msgspec.json.encode(record) + b"\n" for record in RECORDS)


@settings(deadline=None)
@given(st.integers(0, len(WHOLE)))
def test_cut_at_any_byte_then_resumed(cut: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        path.write_bytes(WHOLE[:cut])
        whole = WHOLE[:cut].count(b"\n")
        assert count(read_journal(path)) == expected(whole)
        # Resume: the plan goes on from what is whole.
        write(path, *RECORDS[whole:])
        assert path.read_bytes() == WHOLE
        write(path, *RECORDS[1:])  # a record written twice still counts once
        assert count(read_journal(path)) == {**expected(len(RECORDS)), "power": 2}


def count(journal: Journal) -> dict[str, int]:
    return {f: len(getattr(journal, f)) for f in ("requests", "phases", "power", "scores")}


def expected(whole: int) -> dict[str, int]:
    kept = RECORDS[:whole]
    return {
        "requests": sum(isinstance(r, Request) for r in kept),
        "phases": any(isinstance(r, Phase) for r in kept),
        "power": sum(isinstance(r, Power) for r in kept),
        "scores": sum(isinstance(r, Score) for r in kept),
    }


@settings(deadline=None)
@given(st.text(st.characters(), max_size=40), st.text(max_size=20))
def test_any_text_survives(text: str, reasoning: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        write(path, session(), request(1, text=text, reasoning=reasoning))
        (back,) = read_journal(path).requests
        assert back.reply.text == "".join(
            "\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text
        )
        assert back.reply.reasoning == reasoning


def test_lone_surrogate_is_repaired(tmp_path: Path) -> None:
    path = write(tmp_path / "j", session(), request(1, text="a\ud800b😀"))
    assert read_journal(path).requests[0].reply.text == "a\ufffdb😀"


def test_a_second_session_after_a_reboot_lies_on_the_first_time_line(tmp_path: Path) -> None:
    later = request(2, session=2, dispatched_ns=200, first_chunk_ns=250, last_chunk_ns=300)
    later = msgspec.structs.replace(later, scheduled_ns=150)
    phase = msgspec.structs.replace(load_phase(2), start_ns=120)
    journal = read_journal(
        write(tmp_path / "j", session(), session(2, REBOOT), phase, later, power(200, session=2))
    )
    shift = 5_900  # (1_005_000 - 100) - (1_000_000 - 1_000)
    (back,) = journal.requests
    assert back.scheduled_ns == 150 + shift
    assert back.reply.dispatched_ns == 200 + shift
    assert back.reply.first_chunk_ns == 250 + shift
    assert back.reply.first_answer_ns is None
    assert back.reply.last_chunk_ns == 300 + shift
    assert journal.power[0].samples[0].t_ns == 200 + shift
    assert journal.power[0].samples[0].counter_j == 200.0
    # Killed in that phase: it ends with the last request that finished in it.
    assert (journal.phases[0].start_ns, journal.phases[0].end_ns) == (120 + shift, 300 + shift)


def test_a_session_on_the_same_boot_is_not_shifted_by_a_wall_clock_that_was_set(
    tmp_path: Path,
) -> None:
    stepped = msgspec.structs.replace(BOOT, wall_ns=99_000_000)
    path = write(tmp_path / "j", session(), session(2, stepped), request(1, session=2))
    assert read_journal(path).requests[0].reply.dispatched_ns == 2_000


def test_cancelled_requests_are_kept_but_not_done(tmp_path: Path) -> None:
    cancelled = msgspec.structs.replace(request(1, status="cancelled"), request_id="a/1/0#c")
    journal = read_journal(write(tmp_path / "j", session(), cancelled, request(2)))
    assert len(journal.requests) == 2
    assert journal.done == {"a/2/0"}


def test_first_request_and_last_score_count(tmp_path: Path) -> None:
    again = request(1, text="another")
    journal = read_journal(
        write(tmp_path / "j", session(), request(1), again, score(1, 0.0), score(1, 1.0))
    )
    assert [r.reply.text for r in journal.requests] == ["answer\n1"]
    assert [s.judgement.value for s in journal.scores] == [1.0]


@pytest.mark.parametrize(
    "line", [b"{", b"", b"\xff\xfe", b'{"type":"nonsense"}', b'{"type":"request"}', b"\x00\x00"]
)
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(WHOLE.replace(b"\n", b"\n" + line + b"\n", 1))
    with pytest.raises(RunDirError, match=f"Line 2 of {path} is damaged"):
        read_journal(path)


def test_a_record_of_a_session_that_never_started_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "j", session(), request(1, session=2))
    with pytest.raises(RunDirError, match=r"Line 2 .* session 2"):
        read_journal(path)


def test_missing_journal_and_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="no journal"):
        read_journal(tmp_path / "none")
    with pytest.raises(FileError, match="cannot be"):
        read_journal(tmp_path)
    with pytest.raises(FileError):
        JournalWriter(tmp_path)


def test_a_full_disk_cuts_back_to_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = JournalWriter(path)
    journal.append(session())
    journal.append(request(1))
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, hard))
    try:
        with pytest.raises(DiskFullError, match="disk is full"):
            journal.append(request(2))
        assert path.read_bytes() == whole
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.append(request(2))  # space was freed: it goes on
    journal.close()
    journal.close()
    assert read_journal(path).done == {"a/1/0", "a/2/0"}
    with pytest.raises(ValueError, match="closed"):
        journal.append(request(3))


def test_a_line_is_there_before_the_journal_is_closed(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "j")
    journal.append(session())
    journal.append(request(1))
    assert read_journal(tmp_path / "j").done == {"a/1/0"}
    journal.close()


def test_an_unfinished_line_longer_than_a_block_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "j", session())
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * 200_000)
    write(path, request(1))
    assert read_journal(path).done == {"a/1/0"}
    assert path.read_bytes().startswith(whole)
