"""Put the suite together: the same items, to the byte, on every machine."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from perwatt.core.records import Item, Message
from perwatt.workloads.authoring.domains import DOMAINS, Domain
from perwatt.workloads.authoring.draft import Draft, Slot
from perwatt.workloads.authoring.facts import FACTS
from perwatt.workloads.authoring.form import editing, instruction_following
from perwatt.workloads.authoring.labels import classification
from perwatt.workloads.authoring.logic import choice, reasoning
from perwatt.workloads.authoring.numbers import arithmetic_units, word_problem
from perwatt.workloads.authoring.passages import extraction, reading
from perwatt.workloads.authoring.tools import tool_call

__all__ = ["KINDS", "build_examples", "build_items"]

SEED = 2511_07885

KINDS: dict[str, Callable[[Slot], Draft]] = {
    "reading": reading,
    "extraction": extraction,
    "classification": classification,
    "arithmetic-units": arithmetic_units,
    "word-problem": word_problem,
    "instruction-following": instruction_following,
    "editing": editing,
    "reasoning": reasoning,
    "choice": choice,
    "tool-call": tool_call,
}


def build_items() -> tuple[Item, ...]:
    """Knowledge: 3 items a category, one a level. Other kinds: 2 a category, levels in turn."""
    items: list[Item] = []
    for domain in DOMAINS:
        for level, row in enumerate(FACTS[domain.category], 1):
            items.append(_item("knowledge", len(items), level, domain.category, _fact(row)))
    for kind, template in KINDS.items():
        seen: set[str] = set()
        for number in range(2 * len(DOMAINS)):
            domain = DOMAINS[number // 2]
            level = 1 + (number + number // 6) % 3
            draft = _fresh(kind, template, domain, level, number, seen)
            items.append(_item(kind, number, level, domain.category, draft))
    return tuple(items)


def _fresh(
    kind: str,
    template: Callable[[Slot], Draft],
    domain: Domain,
    level: int,
    number: int,
    seen: set[str],
) -> Draft:
    # A repeated prompt would be one item counted twice; and where the answer is among the numbers
    # given, a model that repeats the question would be right.
    for attempt in range(1000):
        dice = random.Random(f"{SEED}/{kind}/{number}/{attempt}")
        draft = template(Slot(domain, level, number, dice))
        given = re.findall(r"\d+", draft.prompt)
        echoes = draft.scorer == "numeric" and draft.reference in given
        if draft.prompt not in seen and not echoes:
            seen.add(draft.prompt)
            return draft
    msg = f"the template of {kind} level {level} has too few variants"
    raise ValueError(msg)


def build_examples() -> dict[str, tuple[Message, ...]]:
    """Two solved turns a kind, outside the suite, for models without a chat template.

    A kind whose items carry solved turns of their own needs none.
    """
    used = {item.messages[-1].content for item in build_items()}
    examples = {"knowledge": _turns([_fact(row) for row in _EXAMPLE_FACTS])}
    for kind, template in KINDS.items():
        drafts: list[Draft] = []
        attempt = 0
        while len(drafts) < 2:
            dice = random.Random(f"{SEED}/example/{kind}/{attempt}")
            number = 2 * attempt + len(drafts)
            draft = template(
                Slot(DOMAINS[(7 + attempt) % len(DOMAINS)], 1 + len(drafts), number, dice)
            )
            if draft.prompt not in used:
                drafts.append(draft)
            attempt += 1
        if not any(draft.shots for draft in drafts):
            examples[kind] = _turns(drafts)
    return examples


_EXAMPLE_FACTS = ("What is the capital of Italy?|Rome", "How many legs does a spider have?|eight|8")


def _fact(row: str) -> Draft:
    question, answer, *others = row.split("|")
    prompt = f"{question} Answer in a few words."
    return Draft(prompt, answer, "exact", {"match": "contains", "accept": others}, 20)


def _item(kind: str, number: int, level: int, category: str, draft: Draft) -> Item:
    return Item(
        id=f"{kind}-{number + 1:03d}",
        kind=kind,
        messages=(*_shots(draft), Message(role="user", content=draft.prompt)),
        reference=draft.reference,
        scorer=draft.scorer,
        options=draft.options,
        level=level,
        category=category,
        max_tokens=draft.max_tokens,
        stop=draft.stop,
    )


def _shots(draft: Draft) -> list[Message]:
    turns: list[Message] = []
    for question, answer in draft.shots:
        turns.append(Message(role="user", content=question))
        turns.append(Message(role="assistant", content=answer))
    return turns


def _turns(drafts: list[Draft]) -> tuple[Message, ...]:
    turns: list[Message] = []
    for draft in drafts:
        turns.append(Message(role="user", content=draft.prompt))
        turns.append(Message(role="assistant", content=draft.reference))
    return tuple(turns)
