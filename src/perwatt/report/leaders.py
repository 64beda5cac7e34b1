"""Which pairs are drawn where all of them would be too many to tell apart."""

from __future__ import annotations

from perwatt.report.view import View

__all__ = ["DRAWN", "leaders", "leaders_note"]

DRAWN = 8
"""Pairs in one figure whose marks lie beside each other; tables always have all."""

ORDER = (
    ("ipj", "the most right answers per joule"),
    ("accuracy", "the most right answers"),
)


def leaders(view: View, most: int = DRAWN) -> list[int]:
    """Indices of at most `most` pairs, in the run's own order; all where they are no more."""
    everyone = list(range(len(view.pairs)))
    if len(everyone) <= most:
        return everyone
    metric = _metric(view)
    if metric is None:
        return everyone[:most]
    best = sorted(everyone, key=lambda n: -(_value(view, n, metric[0]) or 0.0))
    return sorted(best[:most])


def leaders_note(view: View, most: int = DRAWN) -> str:
    """What `leaders` left out and by which rule; nothing where it left out nobody."""
    if len(view.pairs) <= most:
        return ""
    metric = _metric(view)
    rule = f"the {most} pairs with {metric[1]}" if metric else f"the first {most} pairs"
    return f" Drawn are {rule}, of {len(view.pairs)}; the table has all."


def _metric(view: View) -> tuple[str, str] | None:
    """The first of ORDER that any pair has."""
    everyone = range(len(view.pairs))
    return next(
        (each for each in ORDER if any(_value(view, n, each[0]) is not None for n in everyone)),
        None,
    )


def _value(view: View, n: int, metric: str) -> float | None:
    estimate = view.pairs[n].metrics.get(metric)
    return None if estimate is None else estimate.value
