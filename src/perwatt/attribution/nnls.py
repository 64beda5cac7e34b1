"""Non-negative least squares for a handful of columns, exactly: every set of columns is tried."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["nnls"]

Floats = NDArray[np.float64]


def nnls(gram: Floats, moment: Floats, price: float = 0.0) -> tuple[Floats, float]:
    """(x, gain) with x ≥ 0 (d,) that minimises |Ax − b|², from `gram` AᵀA (d, d), `moment` Aᵀb.

    `gain` is by how much |b|² falls. With a `price`, a column is used only where it explains more
    than that beyond what fewer columns do. Of all sets of columns whose least squares are positive,
    the one that explains most is the optimum, since the problem is convex (Lawson & Hanson 1974,
    ch. 23, Kuhn–Tucker): with d ≤ 6 that is at most 64 small systems. Columns that are nothing but
    others' sums are left out.
    """
    d = len(moment)
    scale = np.sqrt(np.maximum(np.diag(gram), 0.0))
    usable = [j for j in range(d) if scale[j] > 0]
    best, explained, worth = np.zeros(d), 0.0, 0.0
    for size in range(1, len(usable) + 1):
        for chosen in combinations(usable, size):
            of = list(chosen)
            unit = scale[of]
            matrix = gram[np.ix_(of, of)] / np.outer(unit, unit)
            right = moment[of] / unit
            widths = np.linalg.eigvalsh(matrix)
            if widths[0] < 1e-10 * widths[-1]:
                continue
            x = np.linalg.solve(matrix, right)
            gain = float(x @ right)
            if (x > 0).all() and gain - price * size > worth:
                best = np.zeros(d)
                best[of], explained, worth = x / unit, gain, gain - price * size
    return best, explained
