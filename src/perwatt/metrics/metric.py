"""A metric is one function over a Sample that carries its own description.

Registered in code with `@metric`, or by another distribution with an entry point in the group
`perwatt.metrics` that names such a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from perwatt.core.registry import Registry
from perwatt.core.summary import MetricInfo
from perwatt.stats.sample import Floats, Sample

__all__ = ["METRICS", "Metric", "metric"]


class Metric:
    """A described function from a Sample to one number for each draw, shape (b,)."""

    def __init__(
        self, function: Callable[[Sample], Floats], info: MetricInfo, energy: bool, sliced: bool
    ) -> None:
        self.info = info
        self.energy = energy
        """Are there joules or watts in it? Then its Estimate carries a grade and a boundary."""
        self.sliced = sliced
        """Is it also shown by kind, level and category?"""
        self._function = function
        self.__module__ = function.__module__
        self.__qualname__ = function.__qualname__
        self.__doc__ = function.__doc__

    def __call__(self, sample: Sample) -> Floats:
        return self._function(sample)


METRICS: Registry[Metric] = Registry("metric")
"""Every metric by name. perwatt's own are registered by importing `perwatt.metrics.glossary`."""


def metric(
    *,
    name: str,
    title: str,
    short: str,
    unit: str,
    formula: str,
    better: Literal["higher", "lower", "neither"],
    aliases: tuple[str, ...] = (),
    energy: bool = False,
    sliced: bool = False,
) -> Callable[[Callable[[Sample], Floats]], Metric]:
    """Decorator. Raises PerwattError for a name taken twice."""
    info = MetricInfo(
        name=name,
        title=title,
        short=short,
        unit=unit,
        formula=formula,
        better=better,
        aliases=aliases,
    )

    def describe(function: Callable[[Sample], Floats]) -> Metric:
        return METRICS.register(name)(Metric(function, info, energy, sliced))

    return describe
