"""Sums over clusters from which the score intervals of means and ratios follow, and that add up.

A cell's answers, however many, become a few hundred numbers: for each column its mean, and central
second and third moments over clusters of d = Σ(x − mean) within one cluster. Two cells are put
together by moving both to their common mean (Chan, Golub & LeVeque 1979), which takes differences
of means alone and so loses no digits to a large offset. `score_interval.part_interval` then gives
the very bounds that `score_intervals` finds from the answers themselves.

A cluster must not be in two cells that are added: the caller keeps such clusters apart.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from perwatt.core.summary import UNSCORED
from perwatt.stats.intervals import Gain, Interval
from perwatt.stats.sample import Floats
from perwatt.stats.score_interval import Part, part_interval
from perwatt.stats.student import t_quantile

__all__ = [
    "COLUMNS",
    "PRODUCTS",
    "Moments",
    "inverse_product_interval",
    "mean_interval",
    "moments_about",
    "moments_of",
    "ratio_interval",
    "together",
]

COLUMNS = {
    "asked": "asked",
    "served": "served",
    "score": "asked",
    "power_gross_w": "asked",
    "power_net_w": "asked",
    "energy_gross_j": "asked",
    "energy_net_j": "asked",
    "prompt_tokens": "asked",
    "completion_tokens": "asked",
    "latency_s": "served",
    "perplexity": "served",
}
"""Columns and what each is a mean over: all answers asked for, or those that were served. The
first two are those counts themselves, and their mean is 1."""

_INDEX = {name: k for k, name in enumerate(COLUMNS)}
_BASE = np.array([_INDEX[base] for base in COLUMNS.values()])
_SIZE = len(COLUMNS)
_SERVED = np.array([base == "served" for base in COLUMNS.values()])

PRODUCTS = frozenset(
    {("score", x) for x in ("power_gross_w", "power_net_w", "energy_gross_j", "energy_net_j")}
    | {("completion_tokens", x) for x in ("energy_gross_j", "energy_net_j")}
    | {("perplexity", x) for x in ("power_gross_w", "energy_gross_j")}
)
"""Pairs of columns whose ratio or product has an interval: their cross moments are kept."""

_SCALED = frozenset(name for name in COLUMNS if name.endswith(("_j", "_w")))
_NOUNS = {
    "score": "score",
    "perplexity": "log-probabilities",
    "latency_s": "last chunk",
    "prompt_tokens": "count of prompt tokens",
    "completion_tokens": "count of output tokens",
}


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """Of one cell's clusters. `a + b` is exact to rounding; arrays are indexed as COLUMNS is."""

    clusters: int
    clusters_served: int
    """Those with an answer that was served."""
    answers: int
    served: int
    largest: int
    """Answers of the largest cluster."""
    graded: int
    """Answers with a score that is neither 0 nor 1."""
    missing: Mapping[str, int]
    """Answers without a value, by column; columns of which none is missing are left out."""
    mean: Floats
    """(k,) over those present."""
    second: Floats
    """(k, k) Σ dᵢ dⱼ over clusters; only entries of PRODUCTS, the diagonal and the first two."""
    third: Floats
    """(k, 4) Σ d³, d²s, ds², s³ over clusters, s the cluster's size."""

    def __add__(self, other: Moments) -> Moments:
        return together((self, other))

    def of(self, column: str) -> float | None:
        """The mean of a column over all answers it should have; None where one has no value."""
        if self.reason(column) is not None:
            return None
        return float(self.mean[_INDEX[column]])

    def total(self, column: str) -> float | None:
        """The sum of a column; None where an answer has no value."""
        mean = self.of(column)
        return None if mean is None else mean * float(self.bases()[_INDEX[column]])

    def reason(self, column: str) -> str | None:
        """Why a column has no mean; None: it has."""
        gone = self.missing.get(column, 0)
        if not self.answers:
            return "no request was attempted"
        if column == "score" and gone:
            if gone >= self.served:
                return UNSCORED
            return f"{gone} of {self.served} answers could not be judged: their scorer abstained"
        base = self.served if COLUMNS[column] == "served" else self.answers
        if not base:
            return "no request was served"
        if column == "perplexity" and gone == base:
            return "no log-probabilities were kept (--logprobs)"
        if gone:
            return f"{gone} of {base} requests have no {_NOUNS.get(column, 'energy')}"
        return None

    def part(self, column: str) -> Part:
        """What `part_interval` wants of a column that has a mean."""
        k = _INDEX[column]
        over_served = COLUMNS[column] == "served"
        n = self.clusters_served if over_served else self.clusters
        size = float(self.bases()[k]) / n
        binary = column == "score" and not self.graded
        return Part(
            mean=float(self.mean[k]),
            variance=max(0.0, float(self.second[k, k])) / size**2 / max(1, n - 1),
            third=float(self.third[k, 0]) / size**3 / self.clusters,
            n=n,
            most=float(self.answers) if binary else math.inf,
            coins=binary and self.largest <= 1,
            share=column == "score",
            scaled=column in _SCALED,
        )

    def cross(self, a: str, b: str) -> float:
        """Σ of a's residual × b's. Raises KeyError for a pair that is not in PRODUCTS."""
        if (a, b) not in PRODUCTS and (b, a) not in PRODUCTS:
            msg = f"no cross moment of {a} and {b} is kept"
            raise KeyError(msg)
        bases, i, j = self.bases(), _INDEX[a], _INDEX[b]
        sizes = [
            bases[k] / (self.clusters_served if COLUMNS[name] == "served" else self.clusters)
            for name, k in ((a, i), (b, j))
        ]
        return float(self.second[i, j] / (sizes[0] * sizes[1]))

    def bases(self) -> Floats:
        """(k,) how many answers each column's mean is over, missing ones left out."""
        counts = np.where(_SERVED, float(self.served), float(self.answers))
        for name, gone in self.missing.items():
            counts[_INDEX[name]] -= gone
        return counts


def together(cells: Sequence[Moments]) -> Moments:
    """Those of all cells, at least one, none of whose clusters is in two of them.

    All are moved to the common mean at once (Chan, Golub & LeVeque 1979): it is found from
    differences to the first cell's, and so loses no digits to a large offset.
    """
    cells = [cell for cell in cells if cell.answers] or cells[:1]
    if len(cells) == 1:
        return cells[0]
    bases = np.stack([cell.bases() for cell in cells])
    means = np.stack([cell.mean for cell in cells])
    first = means[np.argmax(bases > 0, axis=0), np.arange(_SIZE)]
    apart = np.where(bases > 0, means - first, 0.0)
    total = bases.sum(0)
    shift = np.divide((bases * apart).sum(0), total, out=np.zeros(_SIZE), where=total > 0)
    delta = np.where(bases > 0, apart - shift, 0.0)
    delta[:, :2] = 0.0  # counts stay as they are
    second, third = moved(
        np.stack([cell.second for cell in cells]), np.stack([cell.third for cell in cells]), delta
    )
    missing: Counter[str] = Counter()
    for cell in cells:
        missing.update(cell.missing)
    return Moments(
        clusters=sum(cell.clusters for cell in cells),
        clusters_served=sum(cell.clusters_served for cell in cells),
        answers=sum(cell.answers for cell in cells),
        served=sum(cell.served for cell in cells),
        largest=max(cell.largest for cell in cells),
        graded=sum(cell.graded for cell in cells),
        missing=dict(missing),
        mean=first + shift,
        second=second.sum(0),
        third=third.sum(0),
    )


def _about(cell: Moments, mean: Floats) -> tuple[Floats, Floats]:
    """Second and third moments about another mean: d becomes d + δs."""
    delta = cell.mean - mean
    delta[:2] = 0.0  # counts stay as they are
    delta[cell.bases() <= 0] = 0.0
    return moved(cell.second, cell.third, delta)


def moved(second: Floats, third: Floats, delta: Floats) -> tuple[Floats, Floats]:
    """Moments of d + δs from those of d, s being the size that each column is a mean over.

    Shapes (…, k, k), (…, k, 4) and (…, k).
    """
    step = np.zeros((*delta.shape, _SIZE))
    step[..., np.arange(_SIZE), np.arange(_SIZE)] = 1.0
    step[..., np.arange(_SIZE), _BASE] += delta
    ddd, dds, dss, sss = np.moveaxis(third, -1, 0)
    return step @ second @ np.swapaxes(step, -1, -2), np.stack(
        (
            ddd + 3 * delta * dds + 3 * delta**2 * dss + delta**3 * sss,
            dds + 2 * delta * dss + delta**2 * sss,
            dss + delta * sss,
            sss,
        ),
        axis=-1,
    )


def moments_about(
    centre: Floats,
    totals: Floats,
    second: Floats,
    third: Floats,
    *,
    clusters: int,
    clusters_served: int,
    answers: int,
    served: int,
    largest: int,
    graded: int,
    missing: Mapping[str, int],
) -> Moments:
    """From sums of x − centre over answers, `totals` (k,), and the second (k, k) and third (k, 4)
    moments of its sums over clusters. A centre within a few standard deviations of the mean keeps
    all digits; those of the two counts are 0."""
    raw = Moments(
        clusters=clusters,
        clusters_served=clusters_served,
        answers=answers,
        served=served,
        largest=largest,
        graded=graded,
        missing={name: gone for name, gone in missing.items() if gone},
        mean=centre,
        second=second,
        third=third,
    )
    bases = raw.bases()
    mean = centre + np.divide(totals, bases, out=np.zeros(_SIZE), where=bases > 0)
    mean[:2] = 1.0
    about = _about(raw, mean)
    return msgspec.structs.replace(raw, mean=mean, second=about[0], third=about[1])


def moments_of(
    sums: Floats, centre: Floats, *, graded: int = 0, missing: Mapping[str, int] | None = None
) -> Moments:
    """From clusters in memory: `sums` (k, n) of x − centre within each, the first two its counts
    of answers and of those served."""
    size = sums[_BASE]
    totals = sums.sum(1)
    return moments_about(
        centre,
        totals,
        sums @ sums.T,
        np.stack(
            ((sums**3).sum(1), (sums**2 * size).sum(1), (sums * size**2).sum(1), (size**3).sum(1)),
            axis=1,
        ),
        clusters=int((sums[0] > 0).sum()),
        clusters_served=int((sums[1] > 0).sum()),
        answers=round(float(totals[0])),
        served=round(float(totals[1])),
        largest=round(float(sums[0].max(initial=0.0))),
        graded=graded,
        missing=missing or {},
    )


def mean_interval(m: Moments, column: str, gain: Gain = (1.0, 1.0)) -> Interval:
    """The mean of a column: Wilson's interval of a share, a skewness-corrected t of all else."""
    if why := m.reason(column):
        return Interval(value=None, n=m.clusters, reason=why)
    part = m.part(column)
    return part_interval(part.mean, part, clusters=m.clusters, gain=gain)


def ratio_interval(
    m: Moments, above: str, below: str, gain: Gain = (1.0, 1.0), *, zero: str = "it divides by zero"
) -> Interval:
    """Mean of `above` over mean of `below`, a pair of PRODUCTS in either order (KeyError else).

    `zero`: the reason where the divisor is not positive.
    """
    for column in (above, below):
        if why := m.reason(column):
            return Interval(value=None, n=m.clusters, reason=why)
    top, bottom = m.part(above), m.part(below)
    if not bottom.mean > 0:
        return Interval(value=None, n=m.clusters, reason=zero)
    value = top.mean / bottom.mean
    cross = m.cross(above, below)
    return part_interval(value, top, bottom, cross, clusters=m.clusters, gain=gain)


def inverse_product_interval(
    m: Moments, a: str, b: str, gain: Gain = (1.0, 1.0), *, zero: str = "it divides by zero"
) -> Interval:
    """1 / (mean a · mean b), as PPW is: the delta method on its logarithm, Student's t."""
    for column in (a, b):
        if why := m.reason(column):
            return Interval(value=None, n=m.clusters, reason=why)
    parts = m.part(a), m.part(b)
    if not min(part.mean for part in parts) > 0:
        return Interval(value=None, n=m.clusters, reason=zero)
    value = 1 / (parts[0].mean * parts[1].mean)
    n = min(part.n for part in parts)
    if n < 2:
        return Interval(value=value, n=m.clusters, reason="one item alone gives no interval")
    variance = sum(part.variance / part.n / part.mean**2 for part in parts)
    variance += 2 * m.cross(a, b) / (n - 1) / n / (parts[0].mean * parts[1].mean)
    half = t_quantile(0.975, n - 1) * math.sqrt(max(variance, 0.0))
    # Joules read too low make the inverse too large.
    middle, spread = -math.log(gain[0] * gain[1]) / 2, math.log(gain[1] / gain[0]) / 2
    reach = math.hypot(half, spread)
    return Interval(
        value=value,
        low=value * math.exp(middle - reach),
        high=value * math.exp(middle + reach),
        n=m.clusters,
        method="delta method on the logarithm, over items",
    )
