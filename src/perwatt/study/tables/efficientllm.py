"""The six metrics of EfficientLLM (arXiv 2505.13840 §5.1), for inference."""

from __future__ import annotations

from collections.abc import Sequence

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyPair, StudyTable
from perwatt.predict.models import model_key
from perwatt.stats.intervals import Interval
from perwatt.stats.moments import Moments, mean_interval
from perwatt.study.paired_ratio import paired_ratio
from perwatt.study.pairs import loads_of
from perwatt.study.per_correct import estimate_of, pair_moments, scaled
from perwatt.study.power_window import Watched, watched
from perwatt.study.study import Study

__all__ = ["efficientllm"]

Measured = tuple[StudyPair, Moments]


def efficientllm(study: Study) -> StudyTable | None:
    """None where no pair was asked anything."""
    found = pair_moments(study)
    if not found:
        return None
    rows: list[dict[str, StudyCell]] = []
    for pair, moments in found:
        seen = watched(study, pair)
        latency = mean_interval(moments, "latency_s")
        tokens = mean_interval(moments, "completion_tokens")
        rows.append(
            {
                "pair": pair.label,
                "amu": seen.memory_bytes,
                "amu_share": _share(study, pair, seen),
                "pcu": seen.utilization,
                "al": estimate_of(latency, "s"),
                "it": scaled(
                    estimate_of(_quotient(tokens, latency, "its latency is zero"), "1/s"),
                    # Tokens are a mean over all asked, seconds over those served.
                    moments.answers / max(1, moments.served),
                    "1/s",
                ),
                "aec": _mean_power(study, pair),
                "mcr": _compression(study, (pair, moments), found),
            }
        )
    return StudyTable(
        name="efficientllm",
        title="EfficientLLM's six metrics",
        what="A row is a pair; definitions of arXiv 2505.13840 §5.1, eq. 1 to 9, by equation in"
        " each column.",
        columns=_COLUMNS,
        rows=tuple(rows),
        notes=(
            "Token and sample throughput per parameter (eq. 4 and 5) are of training and"
            " fine-tuning, which perwatt does not measure.",
            "A driver's utilization is the share of time with any work on the device, not of its"
            " peak arithmetic; its memory counts every process on it.",
            "Compression is against the widest copy of the model in this study on the same"
            " device and load, by bytes of its files.",
        ),
    )


_COLUMNS = (
    StudyColumn(name="pair", title="Pair"),
    StudyColumn(
        name="amu",
        title="AMU",
        what="Average memory utilization (eq. 1): device memory in use under load, time-averaged.",
    ),
    StudyColumn(
        name="amu_share", title="AMU share", what="The same over the memory the device has (eq. 1)."
    ),
    StudyColumn(
        name="pcu",
        title="PCU",
        what="Peak compute utilization (eq. 2): utilization over its peak of 1, time-averaged.",
    ),
    StudyColumn(name="al", title="AL", what="Average latency of a request (eq. 3)."),
    StudyColumn(
        name="it",
        title="IT",
        what="Inference throughput (eq. 6): Σ output tokens / Σ seconds of requests served.",
    ),
    StudyColumn(
        name="aec",
        title="AEC",
        what="Average energy consumption (eq. 7 and 8), which is a power: device joules / seconds.",
    ),
    StudyColumn(
        name="mcr",
        title="MCR",
        what="Model compression rate (eq. 9): size of the widest copy / size of this one, times"
        " this one's accuracy / the widest one's.",
    ),
)


def _share(study: Study, pair: StudyPair, seen: Watched) -> Estimate:
    used = seen.memory_bytes
    if used.value is None:
        return Estimate(value=None, unit="share", reason=used.reason)
    device = study.facts.device(pair.device)
    if device is None or device.memory_gb is None:
        why = f"the memory of {pair.device} is not known: --facts FILE.toml can tell"
        return Estimate(value=None, unit="share", reason=why)
    whole = device.memory_gb * 1e9 * seen.devices
    return Estimate(
        value=used.value / whole,
        low=None if used.low is None else used.low / whole,
        high=None if used.high is None else used.high / whole,
        unit="share",
        method=used.method,
        n=used.n,
        reason=used.reason,
    )


def _mean_power(study: Study, pair: StudyPair) -> Estimate:
    if pair.boundary is None:
        why = "no joules of one boundary are known of it"
        return Estimate(value=None, unit="W", reason=why)
    joules = seconds = 0.0
    for number in pair.runs:
        run = study.open_runs[number]
        ledger = run.ledgers.get(pair.pair_id)
        if ledger is None:
            return Estimate(value=None, unit="W", reason="one of its runs measured no energy")
        if len(loads_of(run.run)) > 1:
            why = "its run had several loads, and its ledger is of all of them"
            return Estimate(value=None, unit="W", reason=why)
        joules += ledger.device_j
        seconds += ledger.window_s
    if seconds <= 0:
        return Estimate(value=None, unit="W", reason="it was under load for no time")
    value = joules / seconds
    low, high = (value * gain for gain in (pair.gain_low, pair.gain_high))
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        unit="W",
        method="of the sensor's own error alone: all its joules were counted",
        n=len(pair.runs),
        grade=pair.grade,
        boundary=pair.boundary,
    )


def _compression(study: Study, of: Measured, found: Sequence[Measured]) -> Estimate:
    pair, moments = of
    n = moments.clusters
    if pair.model_bytes is None:
        return Estimate(value=None, n=n, reason="the size of its weights was not recorded")
    copies = [
        other
        for other in found
        if model_key(other[0].model) == model_key(pair.model)
        and (other[0].device, other[0].load) == (pair.device, pair.load)
        and other[0].model_bytes is not None
    ]
    widest, _ = max(copies, key=lambda other: other[0].model_bytes or 0)
    if len(copies) == 1:
        return Estimate(value=None, n=n, reason="no other copy of this model was measured here")
    size = (widest.model_bytes or 0) / pair.model_bytes
    if widest is pair:
        return Estimate(value=1.0, low=1.0, high=1.0, n=n, method="by definition: the widest copy")
    index = {other.key: number for number, other in enumerate(study.pairs)}
    kept = paired_ratio(study, index[pair.key], index[widest.key], "score", "score")
    return Estimate(
        value=None if kept.value is None else size * kept.value,
        low=None if kept.low is None else size * kept.low,
        high=None if kept.high is None else size * kept.high,
        n=kept.n,
        method=kept.method,
        reason=kept.reason,
    )


def _quotient(above: Interval, below: Interval, zero: str) -> Interval:
    """A ratio whose parts may be correlated in any way: their bounds at their worst."""
    for part in (above, below):
        if part.value is None:
            return Interval(value=None, n=part.n, reason=part.reason)
    if not below.value or above.value is None:
        return Interval(value=None, n=below.n, reason=zero)
    value = above.value / below.value
    if above.low is None or above.high is None or not below.low or below.high is None:
        why = above.reason or below.reason or "no interval: the divisor may as well be zero"
        return Interval(value=value, n=above.n, reason=why)
    return Interval(
        value=value,
        low=above.low / below.high,
        high=above.high / below.low,
        n=above.n,
        method="bounds of both parts put together at their worst",
    )
