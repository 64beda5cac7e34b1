"""`perwatt run --cluster`: what came back from the nodes, and what to do with it."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from rich.table import Table

from perwatt.cli.show import ProgressView, stdout_console
from perwatt.core.spec import RunSpec

__all__ = ["resume_on_cluster", "run_on_cluster", "show_cluster"]


def run_on_cluster(
    spec: RunSpec, address: str, spread: str, *, share_machine: bool, json: bool
) -> None:
    """Measure on the nodes of a Ray cluster, and list the runs that came back."""
    from perwatt.cluster.run import start, to_spread

    with ProgressView(json=json) as view:
        out = start(spec, address, view, spread=to_spread(spread), share_machine=share_machine)
    show_cluster(out, json=json)


def resume_on_cluster(out: Path, *, json: bool) -> None:
    """Go on with the jobs of such a run that are not complete."""
    from perwatt.cluster.run import resume

    with ProgressView(json=json) as view:
        resume(out, view)
    show_cluster(out, json=json)


def show_cluster(out: Path, *, json: bool) -> None:
    """cluster.json as it is, or a line for each run."""
    from perwatt.cluster.record import read_cluster

    cluster = read_cluster(out)
    if json:
        sys.stdout.write(msgspec.json.encode(cluster).decode() + "\n")
        return
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
