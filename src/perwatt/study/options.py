"""What a user may tell a study besides its runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from perwatt.study.assumed_router import AssumedRouter

__all__ = ["StudyOptions"]


class StudyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """All have a default; files are read by the tables that need them."""

    facts: Path | None = None
    """Models, devices and category weights over the built-in ones (see `predict.facts`)."""
    tariffs: Path | None = None
    """Grid intensities and prices over the built-in ones."""
    trace: Path | None = None
    """Arrivals that routing savings are simulated on."""
    router: AssumedRouter = AssumedRouter()
    """What the real router of the savings tables gets wrong and uses."""
    sets: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """Named sets of pairs, each by its `pair_id`, model or `key`, for coverage."""
    seed: int = 0
    check: bool = True
    """Hash every table against run.json."""
    only: tuple[str, ...] = ()
    """Names of the tables wanted; empty: all."""
