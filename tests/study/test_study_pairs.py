"""Which rows of which runs are one pair: its name is no identity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.core.records import PairIdentity
from perwatt.study.closed_loads import closed_groups
from perwatt.study.study import open_study

PLAIN: dict[str, Any] = {
    "pair_id": "m",
    "label": "M",
    "model": "m",
    "engine": "vLLM",
    "device": "Box",
    "precision": "bf16",
    "model_sha256": "aa" * 32,
    "settings": {"threads": 2, "parallel": 1},
}


def run_of(directory: Path, joules: float, load: str = "closed:1", **other: Any) -> Path:
    answers = [Answered(pair="m", item=f"q{n}", score=1.0, energy_j=joules) for n in range(4)]
    identity = PairIdentity(**{**PLAIN, **other})
    return write_run_directory(directory, answers, identities=[identity], load=load)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"engine": "llama.cpp"}, ("engine vLLM", "engine llama.cpp")),
        ({"precision": "q4_0"}, ("precision bf16", "precision q4_0")),
        ({"model_sha256": "bb" * 32}, ("weights aaaaaaaa", "weights bbbbbbbb")),
        ({"model_sha256": None}, ("weights aaaaaaaa", "weights default")),
        ({"settings": {"threads": 8}}, ("threads 2", "threads 8")),
    ],
)
def test_namesakes_that_differ_are_pairs_of_their_own(
    tmp_path: Path, other: dict[str, Any], told: tuple[str, str]
) -> None:
    run_of(tmp_path / "a", 1.0)
    run_of(tmp_path / "b", 9.0, **other)
    with open_study([tmp_path]) as study:
        assert [pair.label for pair in study.pairs] == [f"M · {each}" for each in told]
        assert len({pair.key for pair in study.pairs}) == 2
        sql = "SELECT pair, avg(energy_gross_j) FROM answers GROUP BY 1 ORDER BY 1"
        assert study.db.execute(sql).fetchall() == [(0, 1.0), (1, 9.0)]


def test_how_a_run_was_asked_tells_pairs_apart(tmp_path: Path) -> None:
    run_of(tmp_path / "a", 1.0)
    thinking = run_of(tmp_path / "b", 9.0) / "run.json"
    run = json.loads(thinking.read_text())
    run["spec"]["thinking"] = True
    thinking.write_text(json.dumps(run))
    with open_study([tmp_path]) as study:
        assert [pair.label for pair in study.pairs] == [
            "M · thinking default",
            "M · thinking True",
        ]


def with_cap(run_dir: Path, max_tokens: int | None, workload: str = "known") -> None:
    run = json.loads((run_dir / "run.json").read_text())
    run["spec"]["max_tokens"] = max_tokens
    run["workload"]["name"] = workload
    (run_dir / "run.json").write_text(json.dumps(run))


def test_one_workload_with_unlike_max_tokens_makes_two_pairs(tmp_path: Path) -> None:
    for name, cap, load in (("a", 64, "closed:1"), ("b", 512, "closed:1"), ("c", None, "closed:8")):
        with_cap(run_of(tmp_path / name, 1.0, load), cap)
    with open_study([tmp_path]) as study:
        assert [(pair.label, pair.runs) for pair in study.pairs] == [
            ("M · max tokens 64 · closed:1", (0,)),
            ("M · max tokens 512 · closed:1", (1,)),
            ("M · max tokens by item · closed:8", (2,)),
        ]
        assert [len(group) for group in closed_groups(study)] == [1, 1, 1]
        assert [pair.asked for pair in study.pairs] == [
            {"max_tokens": "64"},
            {"max_tokens": "512"},
            {},
        ]


def test_unlike_workloads_may_have_unlike_max_tokens(tmp_path: Path) -> None:
    for name, cap in (("short", 64), ("long", 512)):
        with_cap(run_of(tmp_path / name, 1.0), cap, workload=name)
    with open_study([tmp_path]) as study:
        (pair,) = study.pairs
        assert (pair.label, pair.runs, pair.asked) == ("M", (0, 1), {})


def test_two_pairs_of_one_name_alone_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    answers = [Answered(pair=p, item="q", score=1.0, energy_j=1.0) for p in ("a", "b")]
    identities = [PairIdentity(**{**PLAIN, "pair_id": p}) for p in ("a", "b")]
    write_run_directory(tmp_path / "r", answers, identities=identities)
    with open_study([tmp_path]) as study:
        assert [pair.label for pair in study.pairs] == ["M · a", "M · b"]


def test_runs_of_one_pair_are_put_together(tmp_path: Path) -> None:
    run_of(tmp_path / "a", 1.0)
    run_of(tmp_path / "b", 3.0, settings={"threads": 2, "parallel": 16, "not_sent": ["top_k"]})
    with open_study([tmp_path]) as study:
        (pair,) = study.pairs
        assert (pair.key, pair.label, pair.runs) == ("m · Box · closed:1", "M", (0, 1))


def test_loads_of_namesakes_stay_with_their_pair(tmp_path: Path) -> None:
    for engine in ("vLLM", "llama.cpp"):
        for load in ("closed:1", "closed:8"):
            run_of(tmp_path / f"{engine}-{load[-1]}", 1.0, load, engine=engine)
    with open_study([tmp_path]) as study:
        groups = [[each.pair.key for each in group] for group in closed_groups(study)]
    assert sorted(groups) == [
        [f"m · Box · engine {engine} · closed:{n}" for n in (1, 8)]
        for engine in ("llama.cpp", "vLLM")
    ]
