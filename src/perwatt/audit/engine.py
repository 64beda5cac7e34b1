"""Every rule over every publication."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perwatt.audit.finding import AuditReport, Finding, RuleTally
from perwatt.audit.rules import RULES
from perwatt.audit.tables import Publication
from perwatt.core.errors import FileError, UnknownNameError

__all__ = ["audit_publication", "rule_names"]


def rule_names() -> tuple[str, ...]:
    return tuple(rule.name for rule in RULES)


def audit_publication(publication: Publication, only: Sequence[str] = ()) -> AuditReport:
    """Run all rules, or those named in `only`.

    Raises UnknownNameError for a rule that is not there, and FileError for a claim that names no
    number or several where one is wanted.
    """
    for name in only:
        if name not in rule_names():
            raise UnknownNameError("audit rule", name, rule_names())
    about = publication.source
    source = about.id if about.version is None else f"{about.id} {about.version}"
    findings: list[Finding] = []
    tallies = []
    for rule in RULES:
        if only and rule.name not in only:
            continue
        try:
            checks = list(rule(publication))
        except LookupError as error:
            msg = f"{source}: {error.args[0]}."
            raise FileError(msg, "docs/audit.md shows what a claim may name.") from None
        found = [check.finding for check in checks if check.finding is not None]
        findings += [msgspec.structs.replace(finding, source=source) for finding in found]
        held = sum(check.held for check in checks)
        tallies.append(RuleTally(rule.name, rule.recomputes, rule.formula, len(checks), held))
    return AuditReport(
        source=source,
        title=about.title,
        read=about.read,
        cells=len(publication.cells),
        tallies=tuple(tallies),
        findings=tuple(findings),
    )
