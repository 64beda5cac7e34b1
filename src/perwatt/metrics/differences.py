"""Two pairs' difference in one metric, item by item: what every paired test is made on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from perwatt.stats.sample import Column, Floats
from perwatt.stats.score_interval import Means

__all__ = ["paired_differences"]


def paired_differences(
    a: Mapping[str, Column], b: Mapping[str, Column], clusters: int, means: Means
) -> Floats:
    """(clusters,) differences whose mean is zero exactly where a and b have the same metric.

    For a mean x̄ = Σx/Σn, or a ratio Σx/Σy of two columns:

        d_i = (x_ai − x_bi) / (X_a + X_b) − (y_ai − y_bi) / (Y_a + Y_b),   X, Y the sums

    as (X_a − X_b)/(X_a + X_b) = (Y_a − Y_b)/(Y_a + Y_b) exactly where X_a/Y_a = X_b/Y_b. Which of
    the two is called a only turns the sign, so the test by flips (`stats.compare`) is exact where
    the pairs are alike. Without right answers on either side all are zero.

    Each side's columns are first divided by its number of answers, so that items asked four times
    of one side and once of the other are paired mean with mean: sums would put the spread between
    items into every difference.
    """
    above, below = means
    answers = [max(1, int((~np.isnan(side[above].values)).sum())) for side in (a, b)]
    parts = []
    for name in (above, below):
        one, other = (
            _sums(side, name, above, clusters) / n for side, n in zip((a, b), answers, strict=True)
        )
        total = float(one.sum() + other.sum())
        parts.append((one - other) / total if total else np.zeros(clusters))
    return np.asarray(parts[0] - parts[1], dtype=np.float64)


def _sums(side: Mapping[str, Column], name: str | None, above: str, clusters: int) -> Floats:
    """Each cluster's sum of the column; of None, how many values the other column has."""
    column = side[name or above]
    present = ~np.isnan(column.values)
    values = column.values[present] if name else np.ones(int(present.sum()))
    sums = np.bincount(column.cluster[present], weights=values, minlength=clusters)
    return np.asarray(sums, dtype=np.float64)
