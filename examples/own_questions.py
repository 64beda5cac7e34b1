"""Your own questions, in one JSON line each, and your own rule of what is right.

Needs: pip install 'perwatt[local]'
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import perwatt
from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.core.registry import registry


@registry("scorer").register("mentions")
def mentions() -> Scorer:
    """Right when the reference is mentioned anywhere in the answer."""

    def judge(item: Item, text: str) -> Judgement:
        found = item.reference if item.reference.lower() in text.lower() else None
        return Judgement(value=float(found is not None), extracted=found)

    return judge


QUESTIONS = {
    "What is the capital of France?": "Paris",
    "Which planet do we live on?": "Earth",
    "What do bees make?": "honey",
}

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "mine.jsonl")
    with file.open("w", encoding="utf-8") as out:
        for number, (question, answer) in enumerate(QUESTIONS.items()):
            item = {
                "id": f"mine-{number}",
                "kind": "general",
                "messages": [{"role": "user", "content": f"{question} Answer in one sentence."}],
                "reference": answer,
                "scorer": "mentions",
                "max_tokens": 24,
            }
            out.write(json.dumps(item) + "\n")

    summary = perwatt.run(
        model=["smollm2-135m"], workload=str(file), idle_s=0.5, out=f"{folder}/run"
    )

print(summary.headline)
for verdict in summary.verdicts:
    print(f"[{verdict.code}] {verdict.sentence}")
