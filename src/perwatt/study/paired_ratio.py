"""How many times one pair's mean is another's, over the items that both were asked."""

from __future__ import annotations

import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.study.asked import tries
from perwatt.study.estimates import Factor, log_ratio
from perwatt.study.footing import Footing
from perwatt.study.study import Study

__all__ = ["paired_ratio"]


def paired_ratio(
    study: Study, above: int, below: int, column: str, noun: str, footing: Footing | None = None
) -> Estimate:
    """Mean of `column` (of `asked.tries`) of pair `above` over that of pair `below`.

    `footing`: of joules, their sensor and its error; a gain of (1, 1) where one sensor measured
    both, so that what it is off by cancels. One item without a value makes the ratio None.
    """
    a, b = (tries(study, f"pair = {index}") for index in (above, below))
    found = study.db.execute(
        f"SELECT coalesce(a.{column}, 'nan'::DOUBLE) AS a,"
        f" coalesce(b.{column}, 'nan'::DOUBLE) AS b,"
        f" dense_rank() OVER (ORDER BY workload, a.cluster) - 1 AS cluster"
        f" FROM {a} AS a JOIN {b} AS b USING (workload, item_id)"
    ).fetchnumpy()
    return log_ratio(
        (
            Factor(np.asarray(found["a"], dtype=np.float64), 1, noun, footing),
            Factor(np.asarray(found["b"], dtype=np.float64), -1, noun, footing),
        ),
        np.asarray(found["cluster"], dtype=np.int64),
    )
