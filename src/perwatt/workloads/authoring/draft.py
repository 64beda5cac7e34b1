"""What a template is given and what it gives back."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from perwatt.workloads.authoring.domains import NAMES, Domain

__all__ = ["Draft", "Slot"]


class Slot(NamedTuple):
    """One place in the suite: its category's words, its level, its variant and its own dice."""

    domain: Domain
    level: int
    number: int
    """Counts the items of one kind."""
    dice: random.Random

    def names(self, count: int) -> list[str]:
        return self.dice.sample(NAMES, count)

    def things(self) -> list[str]:
        return self.dice.sample(self.domain.things, 3)


class Draft(NamedTuple):
    """An item before it has an id, kind, level and category."""

    prompt: str
    reference: str
    scorer: str
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    max_tokens: int = 16
    stop: tuple[str, ...] = ("\n",)
    shots: tuple[tuple[str, str], ...] = ()
    """Solved turns that are part of the item itself: they show the form, never the answer."""
