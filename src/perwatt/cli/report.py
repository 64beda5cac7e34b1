"""`perwatt report DIR… -o report.html`, and `--as TOOL`: the same requests in another's words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from perwatt.core.errors import SpecError

if TYPE_CHECKING:
    from perwatt.report.build import ReportRun

__all__ = ["load_run", "report"]

Tool = Literal["vllm", "guidellm", "aiperf", "inference-perf"]
PAGE = Path("report.html")


def report(
    *directories: Annotated[Path, Parameter(help="Directories of finished runs.")],
    output: Annotated[
        Path | None,
        Parameter(
            name=["--output", "-o"], help=f"File to write. [default: {PAGE}]", show_default=False
        ),
    ] = None,
    as_: Annotated[
        Tool | None,
        Parameter(
            name="--as",
            help="Print the figures that this tool would report of the same requests, under its"
            " own names and by its own formulas, instead of writing a page.",
        ),
    ] = None,
    json: Annotated[
        bool, Parameter(help="With --as: print them as JSON.", negative="", show_default=False)
    ] = False,
) -> None:
    """Write one self-contained HTML report of one or more runs. No network is used or needed."""
    from perwatt.report.build import write_report

    if not directories:
        msg = "`perwatt report` was given no run directory."
        raise SpecError(msg, "Name one or more, such as: perwatt report runs/demo -o report.html")
    if json and as_ is None:
        msg = "--json prints what another tool would report, and no tool was named."
        raise SpecError(msg, "Name one, such as --as vllm; perwatt's own figures are in the page.")
    runs = [load_run(directory) for directory in directories]
    if as_ is not None:
        from perwatt.cli.show import stdout_console
        from perwatt.cli.show_reported import print_reported

        console = stdout_console()
        shown = [(run.directory, run.summary) for run in runs]
        print_reported(shown, as_, console, json=json)
    if as_ is None or output is not None:
        page = output or PAGE
        write_report(runs, page)
        if as_ is None:
            print(page)


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
