"""`perwatt report DIR… -o report.html`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from perwatt.core.errors import SpecError

if TYPE_CHECKING:
    from perwatt.report.build import ReportRun

__all__ = ["load_run", "report"]


def report(
    *directories: Annotated[Path, Parameter(help="Directories of finished runs.")],
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="File to write.")] = Path(
        "report.html"
    ),
) -> None:
    """Write one self-contained HTML report of one or more runs. No network is used or needed."""
    from perwatt.report.build import write_report

    if not directories:
        msg = "`perwatt report` was given no run directory."
        raise SpecError(msg, "Name one or more, such as: perwatt report runs/demo -o report.html")
    write_report([load_run(directory) for directory in directories], output)
    print(output)


def load_run(directory: Path) -> ReportRun:
    """Everything the report shows of one finished run, computed afresh from its tables."""
    from perwatt.report.build import ReportRun
    from perwatt.runner.summary import summarise_run
    from perwatt.store.load import load_tables

    tables = load_tables(directory)
    return ReportRun(
        directory=directory.resolve().name,
        summary=summarise_run(tables),
        requests=tables.requests,
        power=tables.power,
    )
