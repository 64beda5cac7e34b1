"""Text of a wanted length from 1,024 common English words, by seed.

Each word, with the blank before it, is one token to the tokenizers of SmolLM2 and Gemma 3, so a
text of n words is about n tokens to most. `runner.prompt_length` makes it exact where it can count.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from random import Random

__all__ = ["Words"]

_POOL_WORDS = 65536


class Words:
    """Texts of one seed. The same seed and name give the same text, whatever else is asked for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._list = _words()
        rng = Random(f"words:{seed}")  # a text seeds by its hash: the same on every machine
        self._order = sorted(self._list, key=lambda _: rng.random())
        pool = [self._list[int(rng.random() * len(self._list))] for _ in range(_POOL_WORDS)]
        self._pool = " ".join(pool)
        self._starts = [0]
        for word in pool:
            self._starts.append(self._starts[-1] + len(word) + 1)

    def text(self, name: str, number: int, count: int) -> str:
        """`count` words. Texts with other numbers begin differently: a prefix cache has nothing.

        First words differ up to 1,024 numbers, pairs of first words up to a million.
        """
        size = len(self._order)
        head = [self._order[number % size], self._order[number // size % size]][:count]
        return " ".join([*head, *self._body(f"{name}:{number}", count - len(head))])

    def _body(self, name: str, count: int) -> list[str]:
        """Stretches of the pool, each from a place that `name` decides."""
        rng = Random(f"{self.seed}:{name}")
        pieces = []
        while count > 0:
            start = int(rng.random() * _POOL_WORDS)
            taken = min(count, _POOL_WORDS - start)
            pieces.append(self._pool[self._starts[start] : self._starts[start + taken] - 1])
            count -= taken
        return pieces


@cache
def _words() -> tuple[str, ...]:
    data = files("perwatt.workloads") / "data" / "words.txt"
    return tuple(data.read_text(encoding="ascii").split())
