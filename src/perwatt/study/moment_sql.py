"""The sums behind `Moments` as SQL, and rows of their results as Moments.

A sum is named by the columns multiplied in it: `("score", "energy_gross_j")`. Where each answer is
a cluster of its own, most of them are one and the same sum, and are asked for once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from perwatt.stats.moments import COLUMNS, PRODUCTS, Moments, moments_about
from perwatt.stats.sample import Floats, Ints

__all__ = ["MEASURED", "Query", "centres_of", "clusters_of", "columns_of", "filled_of", "sums_of"]

MEASURED = tuple(COLUMNS)[2:]
"""Those that are values; the first two are counts."""

Product = tuple[str, ...]

_VALUES = {
    "score": "score",
    "power_gross_w": "CASE WHEN seconds > 0 THEN energy_gross_j / seconds END",
    "power_net_w": "CASE WHEN seconds > 0 THEN energy_net_j / seconds END",
    "energy_gross_j": "energy_gross_j",
    "energy_net_j": "energy_net_j",
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    "latency_s": "seconds",
    "perplexity": "perplexity",
}


def centres_of(least: Sequence[Mapping[str, float]]) -> list[float]:
    """What values are counted from, in MEASURED's order: the smallest in any file, by its footer.

    It takes a common offset out, and is never farther from the mean than 0 is; a variance keeps
    16 − 2 log₁₀((mean − centre) / σ) digits. Scores, times and watts are counted from 0.
    """
    return [min((found.get(name, 0.0) for found in least), default=0.0) for name in MEASURED]


_FROM: dict[str, tuple[str, ...]] = {
    name: (name,)
    for name in ("score", "energy_gross_j", "energy_net_j", "prompt_tokens", "completion_tokens")
}
_FROM["latency_s"] = ("dispatched_ns", "last_chunk_ns")
"""Columns of requests.parquet that are all there if the value is; watts also want time to pass."""


def filled_of(columns: Iterable[frozenset[str]]) -> frozenset[str]:
    """Those of MEASURED that no row lacks, from the full columns of each file."""
    full = frozenset.intersection(*columns)
    return frozenset(name for name, sources in _FROM.items() if full.issuperset(sources))


def columns_of(centres: Sequence[float]) -> str:
    """SQL of `served`, MEASURED less their centres, and `graded`, of rows of answers."""
    parts = ["CAST(ok AS DOUBLE) AS served"]
    for (name, value), centre in zip(_VALUES.items(), centres, strict=True):
        less = f"{value} - {centre!r}::DOUBLE" if centre else value
        if COLUMNS[name] == "served":
            less = f"CASE WHEN ok THEN {less} END"
        parts.append(f"{less} AS {name}")
    return ", ".join([*parts, "CAST(score > 0 AND score < 1 AS INTEGER) AS graded"])


class Query(msgspec.Struct, frozen=True):
    """What to ask, and what the answer means."""

    once: bool
    """Is each row an answer that is a cluster of its own? Else it is a cluster, with `gone_…`."""
    perplexity: bool
    """Is there any? It is the dearest column to read, and mostly absent."""
    filled: frozenset[str] = frozenset()
    """Those of MEASURED that no answer lacks, so that none is counted: a count costs as much as a
    sum."""

    @property
    def select(self) -> str:
        """Aggregates over rows of `columns_of`, or of clusters of them."""
        return ", ".join([*self._counts(), *self._asked().values()])

    def moments(self, row: Sequence[Any], centres: Sequence[float]) -> Moments:
        """Of one row that `select` gave; a sum over nothing is NULL there."""
        plan = _plan(self)
        values = np.array([*(value or 0.0 for value in row[plan.counts :]), 0.0])
        second = np.zeros((len(COLUMNS), len(COLUMNS)))
        second[plan.pairs] = second[plan.pairs[::-1]] = values[plan.second]
        clusters, clusters_served, answers, served, largest, graded, *gone = (
            int(value or 0) for value in row[: plan.counts]
        )
        missing = dict.fromkeys(self.filled, 0)
        missing |= zip(self._counted(), gone, strict=True)
        if not self.perplexity:
            missing["perplexity"] = served
        return moments_about(
            np.array([0.0, 0.0, *centres]),
            values[plan.first],
            second,
            values[plan.third],
            clusters=clusters,
            clusters_served=clusters_served,
            answers=answers,
            served=served,
            largest=largest,
            graded=graded,
            missing=missing,
        )

    def _counts(self) -> list[str]:
        counted = self._counted()
        if self.once:
            counts = ["count(*)", "sum(served)", "count(*)", "sum(served)", "1", "sum(graded)"]
            return [*counts, *map(_gone, counted)]
        counts = [
            "count(*)",
            "count(*) FILTER (served > 0)",
            "sum(asked)",
            "sum(served)",
            "max(asked)",
            "sum(graded)",
        ]
        return [*counts, *(f"sum(gone_{name})" for name in counted)]

    def _counted(self) -> list[str]:
        return [name for name in MEASURED if self._kept(name) and name not in self.filled]

    def _asked(self) -> dict[Product, str]:
        """Each sum once, by its plain name."""
        wanted: dict[Product, str] = {}
        for product in self._products():
            plain = self._plain(product)
            wanted.setdefault(plain, f"sum({' * '.join(plain)})" if plain else "count(*)")
        return wanted

    def _products(self) -> Iterator[Product]:
        for name in MEASURED:
            if self._kept(name):
                yield (name,)
        yield from self._pairs()
        for name, base in COLUMNS.items():
            # Nobody asks a share for its skew.
            if self._kept(name) and name != "score":
                yield from ((name,) * power + (base,) * (3 - power) for power in (3, 2, 1, 0))

    def _pairs(self) -> Iterator[tuple[str, str]]:
        """Entries of the second moments that are read, and those that a shift needs."""
        yield from (("asked", "asked"), ("asked", "served"), ("served", "served"))
        for name in MEASURED:
            if self._kept(name):
                yield from ((COLUMNS[name], name), (name, name))
        for a, b in sorted(PRODUCTS):
            if self._kept(a) and self._kept(b):
                yield a, b
                if COLUMNS[a] != COLUMNS[b]:
                    yield from ((COLUMNS[a], b), (COLUMNS[b], a))

    def _kept(self, name: str) -> bool:
        return self.perplexity or name != "perplexity"

    def _plain(self, product: Product) -> Product:
        """The same product in its shortest words, in order."""
        if not self.once:
            return tuple(sorted(product))
        left = [name for name in product if name != "asked"]
        values = sorted(name for name in left if name != "served")
        # A value over those served is missing where none was, so the count adds nothing to it.
        if "served" in left and not any(COLUMNS[name] == "served" for name in values):
            return ("served", *values)
        return tuple(values)


class _Plan(msgspec.Struct, frozen=True):
    """Where each moment is in a row; the place after the last is of those that were not asked."""

    counts: int
    first: Ints
    """(c,) for c columns."""
    pairs: tuple[Ints, Ints]
    """Row and column of each second moment."""
    second: Ints
    third: Ints
    """(c, 4): the powers 3 to 0 of each column, filled up with its base."""


@lru_cache(maxsize=8)
def _plan(query: Query) -> _Plan:
    place = {product: n for n, product in enumerate(query._asked())}
    names = list(COLUMNS)

    def places(products: Iterable[Product]) -> Ints:
        found = [place.get(query._plain(product), len(place)) for product in products]
        return np.array(found, dtype=np.int64)

    pairs = list(query._pairs())
    cubes = [
        (*(name,) * power, *(base,) * (3 - power))
        for name, base in COLUMNS.items()
        for power in (3, 2, 1, 0)
    ]
    ends = [np.array([names.index(pair[end]) for pair in pairs], dtype=np.int64) for end in (0, 1)]
    return _Plan(
        counts=len(query._counts()),
        first=places((name,) for name in names),
        pairs=(ends[0], ends[1]),
        second=places(pairs),
        third=places(cubes).reshape(len(names), 4),
    )


def _gone(name: str) -> str:
    """How many rows lack a value that they should have."""
    return f"{'count(*)' if COLUMNS[name] == 'asked' else 'sum(served)'} - count({name})"


def clusters_of(rows: str, keys: Sequence[str], perplexity: bool) -> str:
    """SQL that sums rows of `columns_of` within each cluster; `keys` are kept apart."""
    sums = [f"coalesce(sum({name}), 0) AS {name}" for name in MEASURED]
    gone = [f"{_gone(name)} AS gone_{name}" for name in MEASURED]
    if not perplexity:
        sums, gone = sums[:-1], gone[:-1]
    by = ", ".join(keys)
    return (
        f"SELECT {by}, CAST(count(*) AS DOUBLE) AS asked,"
        f" sum(served) AS served, sum(graded) AS graded, {', '.join([*sums, *gone])}"
        f" FROM ({rows}) GROUP BY {by}"
    )


def sums_of(found: Mapping[str, Any]) -> Floats:
    """(k, n) from columns of clusters, as `moments_of` wants it."""
    size = len(found["asked"])
    return np.stack([np.asarray(found.get(name, np.zeros(size)), dtype=float) for name in COLUMNS])
