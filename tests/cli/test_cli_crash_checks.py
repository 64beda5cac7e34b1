"""The checks of benchmarks/kill_nine.py see what they are there for: each tampering is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import msgspec
import pytest

from benchmarks.kill_nine_checks import Kill, Planned, check
from perwatt.core.spec import RunSpec
from perwatt.fakeserver.settings import Settings
from perwatt.fakeserver.spawn import spawn
from perwatt.fakeserver.truth import Truth
from perwatt.runner.start import start

ITEMS = tuple(f"q{n}" for n in range(6))
PLANNED = Planned(("fake",), ITEMS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Truth]]:
    """A run that nothing happened to, and what the server says of it."""
    folder = tmp_path_factory.mktemp("whole")
    file = folder / "items.jsonl"
    message = {"role": "user", "content": "Hello?"}
    item = {"kind": "k", "messages": [message], "reference": "A", "scorer": "exact"}
    file.write_text("".join(json.dumps({"id": name, **item}) + "\n" for name in ITEMS))
    with spawn(Settings(ttft="5ms", itl="5ms", tokens=4)) as server:
        asked = {"endpoint": server.url, "model": ["fake"], "workload": str(file)}
        quick = {"load": "closed:2", "idle_s": 0.1, "warmup": 0, "out": folder / "run"}
        run = start(RunSpec.resolve({**asked, **quick}), lambda _: None)
        return run, server.truth()


@pytest.fixture
def run(whole: tuple[Path, list[Truth]], tmp_path: Path) -> Path:
    return Path(copytree(whole[0], tmp_path / "run"))


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "journal.jsonl").read_bytes().splitlines()]


def rewrite(run: Path, lines: list[dict[str, Any]]) -> None:
    (run / "journal.jsonl").write_bytes(b"".join(msgspec.json.encode(x) + b"\n" for x in lines))


def kill_at_the_end(run: Path) -> Kill:
    data = (run / "journal.jsonl").read_bytes()
    return Kill(max(line.get("end_ns") or 0 for line in lines_of(run)), data)


def test_a_run_that_nothing_happened_to_passes(run: Path, whole: tuple[Path, list[Truth]]) -> None:
    assert check(run, PLANNED, [kill_at_the_end(run)], whole[1]).faults == []
    assert len(whole[1]) == len(ITEMS)


def test_lost_or_unplanned_items_are_named(run: Path) -> None:
    assert check(run, PLANNED._replace(items=(*ITEMS, "q9")), [], None).faults == [
        "('fake', 'q9') was lost"
    ]
    assert check(run, PLANNED._replace(items=ITEMS[1:]), [], None).faults == [
        "('fake', 'q0') was never planned"
    ]


def doubled(lines: list[dict[str, Any]]) -> None:
    lines.append(next(line for line in lines if line["type"] == "request"))


def altered(lines: list[dict[str, Any]]) -> None:
    next(line for line in lines if line["type"] == "request")["reply"]["text"] = "other"


def moved(lines: list[dict[str, Any]]) -> None:
    next(line for line in lines if line["type"] == "request")["reply"]["last_chunk_ns"] += 1


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (doubled, "was journaled 2 times"),
        (altered, "text is not what the journal says"),
        (moved, "last_chunk_ns is not what the journal says"),
    ],
)
def test_a_journal_that_is_not_as_it_was_is_named(
    run: Path, tamper: Callable[[list[dict[str, Any]]], None], said: str
) -> None:
    before = kill_at_the_end(run)
    lines = lines_of(run)
    tamper(lines)
    rewrite(run, lines)
    assert any(said in fault for fault in check(run, PLANNED, [], None).faults)
    began = "what the journal held at kill 1 is not its beginning any more"
    assert (began in check(run, PLANNED, [before], None).faults) is (tamper is not doubled)


def test_the_server_is_heard(run: Path, whole: tuple[Path, list[Truth]]) -> None:
    first, *others = whole[1]

    def faults(truth: list[Truth]) -> list[str]:
        return check(run, PLANNED, [kill_at_the_end(run)], truth).faults

    name = first.request_id
    assert faults(others) == [f"{name} was served 0 times while it was in flight"]
    another = msgspec.structs.replace(first, text="other")
    assert faults([another, *others]) == [f"{name} holds another text than was served"]
    cut = msgspec.structs.replace(first, ended="cancelled")
    assert faults([cut, *others]) == [f"{name} was served 1 times while it was in flight"]
    later = kill_at_the_end(run).at_ns + 1
    again = msgspec.structs.replace(
        first, first_byte_ns=later, complete_ns=later, before_ns=[later]
    )
    assert faults([*whole[1], again]) == [f"{name} had finished at kill 1, and was asked again"]


def test_joules_that_do_not_add_up_are_named(run: Path) -> None:
    described = json.loads((run / "run.json").read_bytes())
    ledger = described["ledgers"]["fake"]

    def faults(**changed: float) -> str:
        described["ledgers"]["fake"] = {**ledger, **changed}
        (run / "run.json").write_text(json.dumps(described))
        return "; ".join(check(run, PLANNED, [], None).faults)

    assert faults() == ""
    assert "the parts are" in faults(idle_j=ledger["idle_j"] + 0.01 * ledger["device_j"])
    more = 1.05 * ledger["device_j"] + 0.1
    assert "under load, not" in faults(device_j=more)
    assert "charged for" in faults(window_s=2 * ledger["window_s"])


def test_a_gap_that_is_charged_is_named(run: Path) -> None:
    (load,) = (x for x in lines_of(run) if x.get("kind") == "load" and x.get("end_ns"))
    killed = Kill(load["start_ns"] + 1, b"")
    said = f"{load['phase_id']} goes on after the process that began it was killed"
    assert said in check(run, PLANNED, [killed], None).faults


def test_a_stage_cut_short_is_named(run: Path) -> None:
    (fault,) = check(run, PLANNED._replace(timed_s=60.0), [], None).faults
    assert fault.endswith("s, not 60 s")
