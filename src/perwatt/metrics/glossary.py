"""All metrics in the order people read them, and the glossary's table made from them."""

from __future__ import annotations

from perwatt.core.summary import MetricInfo

# Importing a module registers its metrics.
from perwatt.metrics import accuracy, energy, joint, latency, throughput
from perwatt.metrics.metric import METRICS, Metric

__all__ = ["all_metrics", "metric_infos", "metric_table"]

_OWN = (accuracy, joint, energy, latency, throughput)


def all_metrics() -> dict[str, Metric]:
    """Every metric by name: accuracy, joint, energy, latency, throughput, then plug-ins by name."""
    own = _own_metrics()
    plugins = {name: METRICS.get(name) for name in METRICS.names() if name not in own}
    return own | plugins


def metric_infos() -> tuple[MetricInfo, ...]:
    """Every metric's own description, in the same order."""
    return tuple(metric.info for metric in all_metrics().values())


def metric_table() -> str:
    """perwatt's own metrics as docs/glossary.md shows them; a test keeps the page in step."""
    lines = [
        "| Name | Title | Unit | Definition | Better | Elsewhere called |",
        "|---|---|---|---|---|---|",
    ]
    for info in (metric.info for metric in _own_metrics().values()):
        cells = (
            f"`{info.name}`",
            info.title,
            info.unit,
            info.formula,
            info.better,
            "; ".join(info.aliases) or "–",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _own_metrics() -> dict[str, Metric]:
    return {
        thing.info.name: thing
        for module in _OWN
        for thing in vars(module).values()
        if isinstance(thing, Metric)
    }
