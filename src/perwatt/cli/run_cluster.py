"""`perwatt run --cluster`: what came back from the nodes, and what to do with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.table import Table

from perwatt.cli.show import ProgressView, stdout_console
from perwatt.core.errors import FailuresError
from perwatt.core.spec import RunSpec

if TYPE_CHECKING:
    from perwatt.cluster.record import Cluster

__all__ = ["resume_on_cluster", "run_on_cluster", "show_cluster"]


def run_on_cluster(
    spec: RunSpec,
    address: str,
    spread: str,
    *,
    share_machine: bool,
    json: bool,
    fail_on_errors: bool = False,
) -> None:
    """Measure on the nodes of a Ray cluster, and list the runs that came back."""
    from perwatt.cluster.run import start, to_spread

    with ProgressView(json=json) as view:
        out = start(spec, address, view, spread=to_spread(spread), share_machine=share_machine)
    show_cluster(out, json=json, fail_on_errors=fail_on_errors)


def resume_on_cluster(
    out: Path, address: str | None, *, json: bool, fail_on_errors: bool = False
) -> None:
    """Go on with the jobs of such a run that are not complete; `address`: None is as before."""
    from perwatt.cluster.run import resume

    with ProgressView(json=json) as view:
        resume(out, view, address=address)
    show_cluster(out, json=json, fail_on_errors=fail_on_errors)


def show_cluster(out: Path, *, json: bool, fail_on_errors: bool = False) -> None:
    """cluster.json as it is, or a line for each run. Raises FailuresError where that is wanted."""
    from perwatt.cluster.record import read_cluster

    cluster = read_cluster(out)
    if json:
        sys.stdout.write(msgspec.json.encode(cluster).decode() + "\n")
    else:
        _show(cluster, out)
    if fail_on_errors:
        _fail_on_errors(cluster, out)


def _fail_on_errors(cluster: Cluster, out: Path) -> None:
    from perwatt.store.tables import read_table

    tables = [out / job.directory / "requests.parquet" for job in cluster.jobs if job.directory]
    states = [status for table in tables for status in read_table(table)["status"]]
    if failed := states.count("error"):
        asked = sum(status in {"ok", "error"} for status in states)
        msg = f"{failed} of {asked} requests failed, and --fail-on-errors was given."
        raise FailuresError(msg, "Their reasons are in each requests.parquet, column `error`.")


def _show(cluster: Cluster, out: Path) -> None:
    table = Table(header_style="bold", pad_edge=False)
    for title in ("run", "node", "host", "requests", "begun", "energy"):
        table.add_column(title, justify="right" if title in {"requests", "begun"} else "left")
    for job in cluster.jobs:
        attempt = job.attempts[-1] if job.attempts else None
        node = cluster.named(attempt.node) if attempt else None
        times = f"{len(job.attempts)} times" if len(job.attempts) > 1 else "once"
        grade = f"grade {node.grade}, {node.boundary}" if node and node.grade else "unknown"
        table.add_row(
            job.directory or f"{job.name}: {job.status}",
            node.name if node else "–",
            node.host if node else "–",
            str(job.requests),
            times,
            grade,
        )
    console = stdout_console()
    console.print(table)
    for sentence in cluster.sentences:
        console.print(f"• {sentence}", soft_wrap=True)
    console.print(f"\nStudy them with: perwatt study {out}", soft_wrap=True)
