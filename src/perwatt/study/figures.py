"""A pair's published figures from its moments: the metrics' own definitions and intervals."""

from __future__ import annotations

from collections.abc import Sequence

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyColumn, StudyPair
from perwatt.metrics.footing import Footing
from perwatt.metrics.glossary import all_metrics
from perwatt.metrics.metric import METRICS
from perwatt.stats.intervals import Interval
from perwatt.stats.moments import Moments, inverse_product_interval, mean_interval, ratio_interval

__all__ = ["MAIN", "PERPLEXITY", "figure", "figure_columns", "figures", "unrankable"]

MAIN = (
    "accuracy",
    "ipw",
    "ipj",
    "j_per_correct",
    "energy_gross_j",
    "energy_net_j",
    "power_gross_w",
    "latency",
)
PERPLEXITY = ("perplexity", "ppw", "ppj")
"""Where log-probabilities were kept."""

_INVERSE = {"ppw": ("perplexity", "power_gross_w"), "ppj": ("perplexity", "energy_gross_j")}
_NONE_RIGHT = "no request was answered right"
_NO_NET = "the net energy is not positive: the load drew no more than idle"


def figures(moments: Moments, pair: StudyPair, names: Sequence[str]) -> dict[str, Estimate]:
    """Each metric of `names`; see `figure`."""
    return {name: figure(name, moments, pair) for name in names}


def figure(name: str, moments: Moments, pair: StudyPair) -> Estimate:
    """One metric of the glossary: a mean, a ratio of means in `moments.PRODUCTS`, PPW or PPJ.

    Raises KeyError for another one, UnknownNameError for none. A figure with joules is None where
    the pair's runs have none, or have them of unlike boundaries or grades.
    """
    metric = METRICS.get(name)
    footing = _footing(pair)
    if metric.energy and footing.reason:
        interval = Interval(value=None, n=moments.clusters, reason=footing.reason)
    elif name in _INVERSE:
        interval = inverse_product_interval(
            moments, *_INVERSE[name], footing.gain, zero="the energy is zero"
        )
    else:
        if metric.means is None:
            raise KeyError(name)
        above, below = metric.means
        gain = footing.gain if metric.energy else (1.0, 1.0)
        if below is None:
            interval = mean_interval(moments, above, gain)
        else:
            interval = ratio_interval(moments, above, below, gain, zero=_zero(below))
    return footing.estimate(interval, metric.info.unit, energy=metric.energy)


def figure_columns(names: Sequence[str]) -> tuple[StudyColumn, ...]:
    """Their columns, each with the metric's own formula."""
    known = all_metrics()
    return tuple(
        StudyColumn(name=name, title=known[name].info.short, what=known[name].info.formula)
        for name in names
    )


def unrankable(pairs: Sequence[StudyPair]) -> str | None:
    """Why the joules of these must not be put in one order; None: they may be."""
    metered = [pair for pair in pairs if pair.boundary is not None]
    boundaries = sorted({str(pair.boundary) for pair in metered})
    grades = sorted({str(pair.grade) for pair in metered})
    if not metered:
        return "no pair has joules of one boundary and grade"
    if len(boundaries) > 1:
        return f"their joules cover unlike boundaries ({', '.join(boundaries)})"
    if len(grades) > 1:
        return f"their joules are of unlike grades ({', '.join(grades)})"
    return None


def _footing(pair: StudyPair) -> Footing:
    reason = None
    if pair.grade is None:
        reason = "no energy was measured"
    elif pair.boundary is None:
        reason = "its runs measured joules of unlike boundaries or grades"
    return Footing(pair.grade, pair.boundary, (pair.gain_low, pair.gain_high), reason)


def _zero(below: str) -> str:
    if below == "score":
        return _NONE_RIGHT
    return _NO_NET if "_net_" in below else "the energy is zero"
