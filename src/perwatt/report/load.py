"""A finished run as the report shows it, computed afresh from its tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.records import Phase, Verdict
from perwatt.report.view import ReportRun
from perwatt.runner.summary import summarise_run
from perwatt.store.integrity import changed_file
from perwatt.store.load import load_tables
from perwatt.store.published import read_published

__all__ = ["load_run", "phases_of"]


def load_run(directory: Path) -> ReportRun:
    """Everything the report shows of one finished run. Raises RunDirError."""
    tables = load_tables(directory)
    summary = summarise_run(tables)
    if changed := changed_file(directory, tables.run):
        first = _tampered(directory.resolve().name, changed)
        summary = msgspec.structs.replace(summary, verdicts=(first, *summary.verdicts))
    return ReportRun(
        directory=directory.resolve().name,
        summary=summary,
        requests=tables.requests,
        power=tables.power,
        phases=phases_of(tables.run),
        published=read_published(directory),
    )


def _tampered(name: str, file: str) -> Verdict:
    return Verdict(
        code="tampered",
        severity="invalid",
        sentence=f"{file} in {name} is not the file that perwatt wrote: its hash differs.",
        mend="Make it again: `perwatt score` for a run, `perwatt import` for another tool's.",
    )


def phases_of(run: Mapping[str, Any]) -> tuple[Phase, ...]:
    """run.json's phases that ended, by their start; what is no phase is left out."""
    found = []
    for each in run.get("phases") or ():
        try:
            phase = msgspec.convert(each, Phase)
        except msgspec.ValidationError:  # another version's: the page is made without it
            continue
        if phase.end_ns is not None and phase.end_ns > phase.start_ns:
            found.append(phase)
    return tuple(sorted(found, key=lambda phase: phase.start_ns))
