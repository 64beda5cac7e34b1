"""The session's journal: the disk is forced by whoever says so, and never while the load waits."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from perwatt.core.records import Phase
from perwatt.store import writer
from perwatt.store.journal import JournalWriter


def test_forcing_is_left_to_another_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[int] = []
    truly = os.fsync

    def fsync(fd: int) -> None:
        forced.append(threading.get_ident())
        truly(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(writer, "FORCE_EVERY_S", 0.0)  # due with every line
    line = Phase(phase_id="s1-1", kind="load", session=1, pair_id="p", start_ns=0)
    with JournalWriter(tmp_path / "j.jsonl") as journal:
        journal.append(line)
        assert forced == [threading.get_ident()]
        journal.forced_elsewhere = True
        journal.append(line)
        assert len(forced) == 1
        other = threading.Thread(target=journal.force)
        other.start()
        other.join()
        assert len(forced) == 2 and forced[1] != threading.get_ident()
        journal.forced_elsewhere = False
    assert len(forced) == 3  # closing forces the rest
    assert len((tmp_path / "j.jsonl").read_bytes().splitlines()) == 2
