"""Agreement with a labelled list: variants by construction, and hard ones labelled by hand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.records import Item
from perwatt.core.registry import registry

GOLD: list[dict[str, Any]] = [
    json.loads(line)
    for line in Path(__file__).with_name("gold.jsonl").read_text(encoding="utf-8").splitlines()
]
COUNTS = Counter(row["scorer"] for row in GOLD)


def test_the_list_is_large_and_holds_both_verdicts() -> None:
    assert len(GOLD) >= 400
    assert set(COUNTS) == {"choice", "numeric", "exact", "json"}
    for name in COUNTS:
        verdicts = Counter(row["verdict"] for row in GOLD if row["scorer"] == name)
        assert min(verdicts[0], verdicts[1]) >= 20, (name, verdicts)


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_agreement_is_at_least_99_percent(name: str) -> None:
    scorer = registry("scorer").get(name)()
    misses = []
    for row in GOLD:
        if row["scorer"] != name:
            continue
        options = row.get("options", {})
        item = Item(
            id="g", kind="g", messages=(), reference=row["reference"], scorer=name, options=options
        )
        judgement = scorer(item, row["text"])
        if judgement.value != row["verdict"]:
            misses.append((row, judgement))
    assert len(misses) <= COUNTS[name] * 0.01, misses
