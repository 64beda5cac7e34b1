"""`perwatt demo`: the spine on real models, with nothing to set up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from perwatt.cli.run import Json, run_and_show
from perwatt.core.spec import RunSpec

__all__ = ["DEMO_ITEMS", "demo"]

DEMO_ITEMS = 99
"""Items asked of each model, three of each kind and level: install included, under two minutes."""


def demo(
    *,
    limit: Annotated[int, Parameter(help="Items asked of each model.")] = DEMO_ITEMS,
    out: Annotated[Path | None, Parameter(help="Run directory.")] = None,
    json: Json = False,
) -> None:
    """Measure SmolLM2-135M as shipped and re-encoded to Q4_0, and compare them.

    Real weights in a real llama.cpp server on this machine, asked the built-in workload, each
    request with its joules and its score. Writes a run directory with report.html.
    """
    spec = RunSpec.resolve(
        {
            "model": ["smollm2-135m", "smollm2-135m@Q4_0"],
            "workload": "core",
            "limit": limit,
            "rounds": 2,  # the pairs take turns, so that a drifting machine favours neither
            "out": out,
        }
    )
    run_and_show(spec, json=json)
