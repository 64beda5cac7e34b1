"""Facts in words that are told twice, differently."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.claims import Statement
from perwatt.audit.finding import Check, Finding
from perwatt.audit.tables import Publication

__all__ = ["Statements"]


class Statements:
    """Statements about one thing must say the same."""

    name = "statement"
    recomputes = "facts in words that are stated in more than one place"
    formula = "same subject, same words"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        about: dict[str, list[Statement]] = {}
        for statement in publication.statements:
            about.setdefault(statement.about, []).append(statement)
        for subject, told in about.items():
            if len(told) < 2:
                continue
            if len({statement.says.casefold() for statement in told}) == 1:
                yield Check()
                continue
            each = "; ".join(f"{s.where}: {s.says}" for s in told)
            yield Check(
                Finding(
                    rule=self.name,
                    severity="contradiction",
                    sentence=f"{subject[0].upper()}{subject[1:]} is told differently: {each}.",
                    cells=(),
                    recomputed=None,
                    tolerance="none: words",
                    consistent="one of them, in both places",
                )
            )
