"""`perwatt audit [FILE.toml …]`: recompute published tables, and say where they do not hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from cyclopts import Parameter

from perwatt.cli.run import Json
from perwatt.core.errors import FailuresError

if TYPE_CHECKING:
    from rich.console import Console

    from perwatt.audit.finding import AuditReport, Finding

__all__ = ["audit"]

_STYLES = {"contradiction": "bold red", "unsupported": "yellow", "note": "dim"}
_RANK = {"contradiction": 0, "unsupported": 1, "note": 2}


def audit(
    *files: Annotated[
        Path,
        Parameter(help="TOML files of published tables. [default: the study perwatt builds on]"),
    ],
    rule: Annotated[
        list[str] | None,
        Parameter(help="Run this rule alone; repeat it to add one.", negative=""),
    ] = None,
    json: Json = False,
    fail_on: Annotated[
        Literal["contradiction", "unsupported", "note"] | None,
        Parameter(help="Exit with 1 on a finding of this severity, or a graver one."),
    ] = None,
) -> None:
    """Recompute published tables from their own numbers, and say where they do not hold."""
    from perwatt.audit.engine import audit_publication
    from perwatt.audit.load import load_builtin, load_files

    publications = load_files(files) if files else load_builtin()
    reports = [audit_publication(publication, rule or ()) for publication in publications]
    if json:
        sys.stdout.write(msgspec.json.encode([_as_json(report) for report in reports]).decode())
        sys.stdout.write("\n")
    else:
        from perwatt.cli.show import stdout_console

        console = stdout_console()
        for report in reports:
            _show(report, console)
    if fail_on is not None:
        found = [f for report in reports for f in report.findings]
        grave = [f for f in found if _RANK[f.severity] <= _RANK[fail_on]]
        if grave:
            are = "finding is" if len(grave) == 1 else "findings are"
            graver = "" if fail_on == "contradiction" else " or graver"
            msg = f"{len(grave)} {are} of severity {fail_on}{graver}."
            raise FailuresError(msg)


def _as_json(report: AuditReport) -> dict[str, object]:
    return {**msgspec.structs.asdict(report), "checks": report.checks, "held": report.held}


def _show(report: AuditReport, console: Console) -> None:
    console.print()
    console.print(f"{report.source}{f'  {report.title}' if report.title else ''}", style="bold")
    if report.read:
        console.print(f"read from: {report.read}", style="dim")
    for tally in report.tallies:
        found = [finding for finding in report.findings if finding.rule == tally.rule]
        if not found:
            continue
        console.print()
        console.print(f"{tally.rule}: {tally.recomputes}", style="bold")
        console.print(f"  {tally.formula}; {tally.held} of {tally.checks} hold", style="dim")
        for finding in found:
            _show_finding(finding, console)
    if whole := [tally for tally in report.tallies if tally.checks and tally.held == tally.checks]:
        console.print()
        parts = ", ".join(f"{tally.rule} {tally.checks}" for tally in whole)
        console.print(f"Hold throughout: {parts}.")
    if not report.checks:
        console.print()
        console.print(
            "Nothing could be recomputed by these rules: no printed numbers have to do with each "
            "other by their roles, their keys or a claim. docs/audit.md has an example."
        )
    counts = {
        severity: sum(finding.severity == severity for finding in report.findings)
        for severity in _STYLES
    }
    console.print()
    console.print(
        f"{report.checks} recomputations over {report.cells} printed numbers: {report.held} hold, "
        f"{len(report.findings)} do not ({counts['contradiction']} contradictions, "
        f"{counts['unsupported']} unsupported, {counts['note']} notes).",
        style="bold",
    )


def _show_finding(finding: Finding, console: Console) -> None:
    from rich.padding import Padding
    from rich.text import Text

    line = Text("• ").append(finding.severity, style=_STYLES[finding.severity])
    console.print(Padding(line.append(f"  {finding.sentence}"), (0, 0, 0, 2), expand=False))
    lines = [f"tolerance: {finding.tolerance}.", f"consistent: {finding.consistent}."]
    if leaning := [claim for claim in finding.leaning if claim not in finding.sentence]:
        more = f", and {len(leaning) - 2} more" if len(leaning) > 2 else ""
        lines.append(f"used for: {'; '.join(leaning[:2])}{more}.")
    for text in lines:
        console.print(Padding(Text(text, style="dim"), (0, 0, 0, 4), expand=False))
