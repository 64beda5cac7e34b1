"""`perwatt run`: one spec in; a run directory, a table and a report out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from perwatt.cli.options import CLUSTER, OUTPUT, with_spec_options
from perwatt.cli.show import ProgressView, print_summary, stdout_console
from perwatt.core.errors import FailuresError, SpecError
from perwatt.core.spec import RunSpec
from perwatt.core.summary import RunSummary

__all__ = ["run", "run_and_show", "show_result"]

Json = Annotated[
    bool,
    Parameter(help="Print the summary as JSON on stdout.", negative="", show_default=False),
]
FailOnErrors = Annotated[
    bool, Parameter(help="Exit 1 when any request failed.", negative="", show_default=False)
]
SpecFile = Annotated[
    Path | None, Parameter(help="TOML file of these same options; options given here go over it.")
]

Cluster = Annotated[
    str | None,
    Parameter(
        help="Measure on the nodes of a Ray cluster, each with its own sensors: auto, HOST:PORT, or"
        " local:N to try it here.",
        group=CLUSTER,
    ),
]
Spread = Annotated[
    str | None,
    Parameter(
        help="What the nodes of --cluster share out: pairs, items (over nodes that are alike), or"
        " replicas: every node does everything. [default: pairs]",
        group=CLUSTER,
    ),
]
ShareMachine = Annotated[
    bool,
    Parameter(
        help="Let nodes of one machine measure at the same time; each sees the others' joules.",
        group=CLUSTER,
        negative="",
        show_default=False,
    ),
]


@with_spec_options
def run(
    given: dict[str, Any],
    spec: SpecFile = None,
    /,
    *,
    json: Annotated[Json, Parameter(group=OUTPUT)] = False,
    fail_on_errors: Annotated[FailOnErrors, Parameter(group=OUTPUT)] = False,
    cluster: Cluster = None,
    spread: Spread = None,
    share_machine: ShareMachine = False,
) -> None:
    """Ask a workload of one or more pairs; measure, score and report."""
    if cluster is None and (spread is not None or share_machine):
        option = "--share-machine" if spread is None else "--spread"
        msg = f"{option} says how the nodes of a cluster share the work, and none was named."
        raise SpecError(msg, f"Name it with --cluster auto, or leave {option} out.")
    resolved = RunSpec.resolve(given, spec)
    if cluster is not None:
        from perwatt.cli.run_cluster import run_on_cluster

        run_on_cluster(
            resolved,
            cluster,
            spread or "pairs",
            share_machine=share_machine,
            json=json,
            fail_on_errors=fail_on_errors,
        )
        return
    run_and_show(resolved, json=json, fail_on_errors=fail_on_errors)


def run_and_show(spec: RunSpec, *, json: bool, fail_on_errors: bool = False) -> None:
    """Start a run, show its progress, then its result. Shared by `run` and `demo`."""
    from perwatt.runner.start import start

    with ProgressView(json=json) as view:
        directory = start(spec, view)
    show_result(directory, json=json, fail_on_errors=fail_on_errors)


def show_result(
    directory: Path,
    *,
    json: bool,
    fail_on_errors: bool = False,
    also: Mapping[str, Any] | None = None,
) -> None:
    """Summarise a finished run, write its report.html and print both where they belong.

    `also`: what else the JSON is to hold, beside the summary's own fields.
    """
    from perwatt.report.build import write_report
    from perwatt.report.load import load_run

    loaded = load_run(directory)
    page = directory / "report.html"
    write_report([loaded], page)
    if json:
        told = msgspec.to_builtins(loaded.summary) | msgspec.to_builtins(dict(also or {}))
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    else:
        console = stdout_console()
        print_summary(loaded.summary, console)
        console.print(f"\nRun directory: {directory}", soft_wrap=True)
        console.print(f"Report:        {page}", soft_wrap=True)
    if fail_on_errors:
        _fail_on_errors(loaded.summary)


def _fail_on_errors(summary: RunSummary) -> None:
    failed = sum(pair.failed for pair in summary.pairs)
    if failed:
        asked = sum(pair.attempted for pair in summary.pairs)
        msg = f"{failed} of {asked} requests failed, and --fail-on-errors was given."
        raise FailuresError(msg, "Their reasons are in requests.parquet, column `error`.")
