"""A run scored on a real Ray cluster: made there, kept here, written by the head."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.cluster.connect import Connection
from perwatt.cluster.score import score_on_cluster
from perwatt.core.errors import SpecError
from perwatt.core.records import Item, Message
from perwatt.runner.events import Event, Note, Stage
from perwatt.runner.rescore import Rescoring, rescore
from perwatt.store.items import write_items
from perwatt.store.tables import read_table

pytestmark = pytest.mark.filterwarnings(
    # Ray leaves pipes and sockets of the workers it started to the collector.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


def written(directory: Path) -> Path:
    """Sums, two of three answered rightly; no score is known yet."""
    answers = [
        Answered(
            pair=pair, item=f"q{n}", score=None, energy_j=1.0, text=f"${n} + {1 + (n % 3 == 0)}$"
        )
        for pair in ("one", "two")
        for n in range(48)
    ]
    write_run_directory(directory, answers)
    messages = (Message(role="user", content="?"),)
    write_items(
        directory,
        [
            Item(
                id=f"q{n}", kind="knowledge", messages=messages, reference=f"{n + 1}", scorer="math"
            )
            for n in range(48)
        ],
    )
    return directory


def test_it_is_scored_as_one_machine_would(
    ray_cluster: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("math_verify")
    monkeypatch.setenv("PERWATT_SCORE_CACHE", str(tmp_path / "scores.sqlite"))
    heard: list[Event] = []
    shared = score_on_cluster(written(tmp_path / "a"), Rescoring(), "auto", heard.append)
    assert any(isinstance(e, Stage) and "96 answers in 2 shards" in e.text for e in heard)
    assert (shared.scored, shared.cached) == (96, 96)  # the head itself made none
    monkeypatch.setenv("PERWATT_SCORE_CACHE", "none")
    alone = rescore(written(tmp_path / "b"), Rescoring(), heard.append)
    assert (alone.scored, alone.cached) == (96, 0)
    tables = [read_table(tmp_path / name / "requests.parquet") for name in ("a", "b")]
    assert tables[0]["score"] == tables[1]["score"]
    assert sum(tables[0]["score"]) == 64


def test_without_a_cache_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cache of scores"):
        score_on_cluster(tmp_path, Rescoring(cache=False), "auto", lambda _: None)


def test_where_no_node_has_a_cpu_the_head_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself would wait for one without end."""
    pytest.importorskip("math_verify")
    monkeypatch.setenv("PERWATT_SCORE_CACHE", str(tmp_path / "scores.sqlite"))
    ray = SimpleNamespace(cluster_resources=lambda: {"memory": 1.0})
    monkeypatch.setattr("perwatt.cluster.score.connected", lambda _: nullcontext(Connection(ray)))
    heard: list[Event] = []
    scored = score_on_cluster(written(tmp_path / "a"), Rescoring(), "auto", heard.append)
    assert scored.scored == 96
    assert any(isinstance(e, Note) and "has a CPU to give" in e.text for e in heard)
