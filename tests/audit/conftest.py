"""A made-up study that is consistent, since every number in it comes from the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from perwatt.audit.engine import audit_publication
from perwatt.audit.finding import AuditReport
from perwatt.audit.load import publications

Document = dict[str, Any]
LOCAL, CLOUD = ("small", "medium", "large"), ("vast", "huge")
DEVICES = ("laptop", "server")
BENCHMARKS, CATEGORIES = ("chat", "exam"), ("law", "art", "food")


def digits(value: float, many: int) -> str:
    """`value` with `many` significant digits and no exponent, as a table prints it."""
    exact = f"{value:.{many - 1}e}"
    places = max(0, many - 1 - int(exact.partition("e")[2]))
    return f"{float(exact):.{places}f}"


class MadeUp:
    """Answers of five models, watts and seconds of each pair, and tables printed from them.

    `many` digits of what is measured are printed.
    """

    def __init__(self, seed: int, many: int = 4) -> None:
        rng = random.Random(seed)
        self.many = many
        self.items = {
            (b, c): rng.randint(60, 200) * (3 if b == "chat" else 1)
            for b in BENCHMARKS
            for c in CATEGORIES
        }
        skills = sorted(rng.uniform(0.4, 0.8) for _ in range(5))
        skill = dict(zip((*LOCAL, *CLOUD), skills, strict=True))
        self.right = {
            (m, *place): {i for i in range(n) if rng.random() < skill[m]}
            for m in skill
            for place, n in self.items.items()
        }
        self.watts = {
            (m, d): rng.uniform(30, 50) * (1 + k) * (4 if d == "server" else 1)
            for k, m in enumerate(LOCAL)
            for d in DEVICES
        }
        self.seconds = {pair: rng.uniform(1, 8) for pair in self.watts}
        self.rating = {d: 2 * max(w for (_, e), w in self.watts.items() if e == d) for d in DEVICES}

    def accuracy(self, model: str, benchmark: str | None = None) -> float:
        return self.coverage((model,), benchmark)

    def coverage(
        self, models: tuple[str, ...], benchmark: str | None = None, category: str | None = None
    ) -> float:
        places = [
            p
            for p in self.items
            if (benchmark is None or p[0] == benchmark) and (category is None or p[1] == category)
        ]
        solved = sum(len(set().union(*(self.right[m, *p] for m in models))) for p in places)
        return solved / sum(self.items[p] for p in places)

    def ipw(self, pair: tuple[str, str]) -> float:
        return self.accuracy(pair[0]) / self.watts[pair]

    def document(self) -> Document:
        return {
            "source": {"id": "made up"},
            "tables": [
                self._pairs(),
                self._again(),
                self._ratings(),
                self._singles(),
                self._categories(),
                self._sets(),
                self._routing(),
                self._both(),
            ],
            "sets": [
                {"id": "local", "members": list(LOCAL)},
                {"id": "cloud", "members": list(CLOUD)},
            ],
            "claims": self._claims(),
            "statements": [
                {"about": "the judge", "says": "a rule", "where": "§2"},
                {"about": "the judge", "says": "A rule", "where": "Appendix"},
            ],
        }

    def _pairs(self) -> Document:
        rows = []
        for pair, watts in self.watts.items():
            share, seconds = self.accuracy(pair[0]), self.seconds[pair]
            cells = (100 * share, watts, seconds, watts * seconds / 1000)
            ratios = (1e3 * share / watts, 1e5 * share / (watts * seconds))
            rows.append([*pair, *(digits(value, self.many) for value in (*cells, *ratios))])
        return {
            "id": "Pairs",
            "where": "Table 1",
            "keys": ["model", "device"],
            "columns": [
                {"name": "accuracy", "role": "accuracy", "unit": "%"},
                {"name": "power", "role": "power_w", "unit": "W"},
                {"name": "time", "role": "seconds", "unit": "s"},
                {"name": "energy", "role": "energy_j", "unit": "kJ"},
                {"name": "IPW", "role": "ipw", "unit": "1e-3/W"},
                {"name": "IPJ", "role": "ipj", "unit": "1e-5/J"},
            ],
            "rows": rows,
        }

    def _again(self) -> Document:
        return {
            "id": "Again",
            "where": "Table 2",
            "keys": ["model", "device"],
            "columns": [
                {"name": "accuracy", "role": "accuracy", "unit": "%"},
                {"name": "IPW", "role": "ipw", "unit": "1e-3/W"},
            ],
            "rows": [
                [
                    *p,
                    *(
                        digits(x, min(3, self.many))
                        for x in (100 * self.accuracy(p[0]), 1e3 * self.ipw(p))
                    ),
                ]
                for p in self.watts
            ],
        }

    def _ratings(self) -> Document:
        return {
            "id": "Devices",
            "where": "Table 3",
            "keys": ["device"],
            "columns": [{"name": "power", "role": "rated_w", "unit": "W"}],
            "rows": [[d, f"{w:.0f}"] for d, w in self.rating.items()],
        }

    def _singles(self) -> Document:
        return {
            "id": "Singles",
            "where": "Table 4",
            "keys": ["model"],
            "columns": [
                {"name": b, "role": "accuracy", "unit": "%", "keys": {"benchmark": b}}
                for b in BENCHMARKS
            ],
            "rows": [
                [m, *(f"{100 * self.accuracy(m, b):.1f}" for b in BENCHMARKS)]
                for m in (*LOCAL, *CLOUD)
            ],
        }

    def _categories(self) -> Document:
        rows = []
        for c in (*CATEGORIES, "TOTAL"):
            one = None if c == "TOTAL" else c
            many = sum(n for (b, k), n in self.items.items() if b == "chat" and one in (None, k))
            every = sum(n for (b, _), n in self.items.items() if b == "chat")
            share = f"{100 * many / every:.1f}" if one else "–"
            rows.append([c, many, share, f"{100 * self.coverage(LOCAL, 'chat', one):.1f}"])
        return {
            "id": "Categories",
            "where": "Table 5",
            "given": {"benchmark": "chat"},
            "keys": ["category"],
            "columns": [
                {"name": "queries", "role": "count", "unit": "count"},
                {"name": "share", "role": "share", "unit": "%"},
                {"name": "solved", "role": "coverage", "unit": "%", "keys": {"set": "local"}},
            ],
            "rows": rows,
        }

    def _sets(self) -> Document:
        return {
            "id": "Sets",
            "where": "Figure 1",
            "keys": ["benchmark"],
            "columns": [
                {"name": s, "role": "coverage", "unit": "%", "keys": {"set": s}}
                for s in ("local", "cloud")
            ],
            "rows": [
                [b, *(f"{100 * self.coverage(s, b):.1f}" for s in (LOCAL, CLOUD))]
                for b in BENCHMARKS
            ],
        }

    def _routing(self) -> Document:
        share = self.coverage(LOCAL, "chat")
        saved = {"energy": 0.9 * share, "cost": 0.8 * share}
        return {
            "id": "Routing",
            "where": "§4",
            "given": {"benchmark": "chat", "set": "local"},
            "keys": ["router"],
            "columns": [
                {"name": r, "role": "saving", "unit": "%", "keys": {"resource": r}} for r in saved
            ],
            # A router costs 2% of everything, and its wrong turns a tenth of what they save.
            "rows": [
                [p, *(f"{100 * (s * (float(p) - 0.1 * (1 - float(p))) - 0.02):.1f}"
                      for s in saved.values())]
                for p in ("1.0", "0.8", "0.6")
            ],
        }  # fmt: skip

    def _both(self) -> Document:
        """What the oracle saves on each benchmark, and on both: 3 parts chat, 7 exam."""
        parts = {b: self.coverage(LOCAL, b) for b in BENCHMARKS}
        parts["both"] = 0.3 * parts["chat"] + 0.7 * parts["exam"]
        return {
            "id": "Both",
            "where": "§5",
            "given": {"largest": "large"},
            "keys": ["benchmark"],
            "columns": [
                {"name": r, "role": "saving", "unit": "%", "keys": {"resource": r}}
                for r in ("energy", "cost")
            ],
            "rows": [[b, f"{90 * share:.2f}", f"{70 * share:.2f}"] for b, share in parts.items()],
        }

    def _claims(self) -> list[Document]:
        a, b = ("small", "laptop"), ("large", "server")
        change = self.ipw(b) / self.ipw(a)
        model = self.ipw(("large", "laptop")) / self.ipw(a)
        of = {"table": "Pairs", "column": "IPW", "model": "large", "device": "server"}
        to = {"table": "Pairs", "column": "IPW", "model": "small", "device": "laptop"}
        ratios = [self.ipw((m, "laptop")) / self.ipw((m, "server")) for m in LOCAL]
        total = {"table": "Categories", "column": "solved", "category": "TOTAL"}
        parts = {"table": "Categories", "column": "solved"}
        counts = {"table": "Categories", "column": "queries"}
        best = max(LOCAL, key=lambda m: self.accuracy(m, "exam"))
        wins = sum(
            round(1000 * self.coverage(LOCAL, k)) > round(1000 * self.coverage(CLOUD, k))
            for k in BENCHMARKS
        )
        text = {"where": "§3", "says": "as the tables have it"}
        return [
            {"id": "ratio", "kind": "ratio", "across": ["device"],
             "of": to | {"model": list(LOCAL)}, "to": of | {"model": list(LOCAL)},
             "printed": f"{digits(min(ratios), 3)}–{digits(max(ratios), 3)}", **text},
            {"id": "product", "kind": "product", "printed": digits(change, 3),
             "factors": [digits(model, 3), digits(change / model, 3)], **text},
            {"id": "shares", "kind": "decomposition", "printed": digits(change, 3), "of": of,
             "to": to, "factors": {"model": digits(model, 3), "device": digits(change / model, 3)},
             **text},
            {"id": "total", "kind": "mean", "printed": total, "of": parts, "weights": counts,
             **text},
            {"id": "both", "kind": "mixture", "over": "benchmark", "by": "resource",
             "printed": {"table": "Both", "benchmark": "both"},
             "of": {"table": "Both", "benchmark": list(BENCHMARKS)}, **text},
            {"id": "queries", "kind": "sum", "of": counts,
             "printed": {**counts, "category": "TOTAL"}, **text},
            {"id": "best", "kind": "extreme", "winner": {"model": best},
             "printed": f"{100 * self.accuracy(best, 'exam'):.1f}",
             "of": {"table": "Singles", "column": "exam", "model": list(LOCAL)}, **text},
            {"id": "benchmarks", "kind": "count", "printed": len(BENCHMARKS),
             "of": {"table": "Singles"}, "distinct": "benchmark", **text},
            {"id": "who wins", "kind": "comparison", "by": "benchmark", "wins": wins,
             "rows": len(BENCHMARKS), "left": {"table": "Sets", "column": "local"},
             "right": {"table": "Sets", "column": "cloud"}, "left_set": "local",
             "right_set": "cloud", "singles": {"table": "Singles"}, **text},
        ]  # fmt: skip


@pytest.fixture(scope="session")
def made_up() -> Callable[..., MadeUp]:
    return MadeUp


@pytest.fixture(scope="session")
def audit() -> Callable[[Document], AuditReport]:
    """The report on one document."""

    def of_document(document: Document) -> AuditReport:
        (publication,) = publications([("made-up.toml", deepcopy(document))])
        return audit_publication(publication)

    return of_document
