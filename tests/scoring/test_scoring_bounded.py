"""Patterns and schemas that somebody else wrote: none may hang, and none may reach the network."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from perwatt.core.errors import MissingExtraError
from perwatt.core.records import Item
from perwatt.scoring.regex import regex
from perwatt.scoring.regex_bounded import BoundedSearch, RunawayError
from perwatt.scoring.schema import schema

RUNAWAY, VICTIM = r"(a+)+$", "a" * 50 + "b"


@pytest.fixture
def bounded() -> Iterator[BoundedSearch]:
    made = BoundedSearch(seconds=1.0)
    yield made
    made.close()


def item(**options: Any) -> Item:
    return Item(id="i", kind="k", messages=(), reference="12", scorer="s", options=options)


def test_a_runaway_pattern_is_stopped_and_the_next_search_works(bounded: BoundedSearch) -> None:
    start = time.monotonic()
    with pytest.raises(RunawayError, match="more than 1 s"):
        bounded(RUNAWAY, VICTIM, 0, None, last=True)
    assert time.monotonic() - start < 30  # unstopped it would take years
    assert bounded(r"b=(\d)", "b=1 b=2", 0, None, last=True) == "2"
    assert bounded(r"b=(\d)", "b=1 b=2", 0, None, last=False) == "1"


def test_the_scorer_abstains_from_a_runaway_pattern_and_says_why() -> None:
    scorer = regex()
    judgement = scorer(item(pattern=RUNAWAY), VICTIM)
    scorer.close()  # type: ignore[attr-defined]
    assert judgement.abstained
    assert "was stopped" in (judgement.explanation or "")


def test_a_search_holds_up_no_other_thread(bounded: BoundedSearch) -> None:
    ended = threading.Event()

    def search() -> None:
        with pytest.raises(RunawayError):
            bounded(RUNAWAY, VICTIM, 0, None, last=True)
        ended.set()

    thread = threading.Thread(target=search)
    thread.start()
    turns = 0
    while not ended.wait(0.001):
        turns += 1
    thread.join()
    assert turns > 3  # a matcher in this process would keep the lock, and this loop from turning


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_child_that_was_killed_is_replaced(bounded: BoundedSearch) -> None:
    assert bounded("a", "a", 0, None, last=True) == "a"
    child = bounded._child
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert bounded("b", "b", 0, None, last=True) == "b"


def test_odd_patterns_and_groups_are_errors_of_the_pattern(bounded: BoundedSearch) -> None:
    for pattern, group in (("(", None), ("a", 1), ("(?P<n>a)", "m"), ("a{99999999999}", None)):
        with pytest.raises(ValueError, match=r"pattern|group"):
            bounded(pattern, "a", 0, group, last=True)
    assert bounded("(x)|(a)", "a", 0, None, last=True) == "a"
    assert bounded("a", "b", 0, None, last=True) is None
    assert bounded("\ud800", "\ud800", 0, None, last=True) == "\ud800"


def test_a_schema_reaches_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        where = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        judgement = schema()(item(schema={"$ref": where}), "{}")
        assert judgement.abstained
        assert "Unresolvable" in (judgement.explanation or "")
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_runaway_pattern_in_a_schema_is_stopped() -> None:
    scorer = schema()
    judgement = scorer(item(schema={"items": {"pattern": RUNAWAY}}), json.dumps([VICTIM]))
    scorer.close()  # type: ignore[attr-defined]
    assert judgement.abstained


def test_faults_are_named_by_their_place() -> None:
    wanted = {"type": "object", "properties": {"a": {"items": {"type": "integer"}}}}
    judgement = schema()(item(schema=wanted), '{"a": [1, "2"]}')
    assert judgement.value == 0
    assert judgement.detail["faults"] == ["$.a[1]: '2' is not of type 'integer'"]


def test_without_its_package_the_scorer_names_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(MissingExtraError, match=r"perwatt\[scoring\]"):
        schema()
