"""What a load needs beyond its words, checked before anything is started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from perwatt.core.errors import SpecError
from perwatt.core.load import Stage
from perwatt.core.records import Item, Workload
from perwatt.core.spec import RunSpec
from perwatt.runner.plan import Traces
from perwatt.workloads.traces import read_arrivals

__all__ = ["check_load", "traces_for"]


def check_load(spec: RunSpec, items: Sequence[Item]) -> None:
    """Raises SpecError for options that cannot go together."""
    load = spec.parsed_load
    if spec.per_query and any(item.turns for item in items):
        msg = f"--per-query: the workload {spec.workload} holds conversations."
        raise SpecError(msg, "Leave it out, or choose a workload of single questions.")
    if spec.workers > 1:
        most = load.most_in_flight or spec.max_in_flight
        if most is not None and spec.workers > most:
            msg = f"--workers {spec.workers} is more than the {most} that may be in flight."
            raise SpecError(msg, f"Give {most} workers at most.")
    for stage in load.stages:
        _check_times(spec, stage)


def traces_for(spec: RunSpec, workload: Workload, items: Sequence[Item]) -> Traces:
    """The arrivals that the load's trace stages need.

    Raises SpecError where the workload has none, FileError for a trace file that cannot be read.
    """
    traces = [stage for stage in spec.parsed_load.stages if stage.kind == "trace"]
    files = {stage.trace: read_arrivals(Path(stage.trace)) for stage in traces if stage.trace}
    own: dict[str, float] = {}
    for stage in traces:
        if stage.trace is not None:
            continue
        if not workload.arrivals_s:
            msg = f"--load {stage.text}: the workload {spec.workload} does not say when to ask."
            raise SpecError(msg, "Name a trace file, such as --load trace:FILE.")
        if spec.rounds > 1:
            msg = f"--rounds: with --load {stage.text} each item has its own time."
            raise SpecError(msg, "Leave --rounds at 1, or name a trace file.")
        times = zip(workload.items, workload.arrivals_s, strict=True)
        due_s = {item.id: at_s for item, at_s in times}
        own = {item.id: due_s[item.id] for item in items}
    return Traces(files=files, items=own)


def _check_times(spec: RunSpec, stage: Stage) -> None:
    left_out_s = spec.warmup_s + spec.cooldown_s
    if stage.for_s is not None and left_out_s >= stage.for_s:
        msg = (
            f"--load {stage.text}: with --warmup-s {spec.warmup_s:g} and --cooldown-s"
            f" {spec.cooldown_s:g} nothing of it is left to count."
        )
        raise SpecError(msg, "Give the stage a longer time.")
    if stage.for_s is None and spec.cooldown_s:
        msg = f"--cooldown-s: nobody knows beforehand when {stage.text} ends."
        raise SpecError(msg, f"Give it a time limit, such as {stage.text}@30s.")
