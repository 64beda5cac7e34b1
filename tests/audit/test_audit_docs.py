"""docs/audit.md: its example runs and says what the page says, and no rule or claim is left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from perwatt.audit.claims import Claim
from perwatt.audit.engine import audit_publication, rule_names
from perwatt.audit.finding import AuditReport
from perwatt.audit.load import load_files
from perwatt.audit.units import ROLES

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")


def audited(text: str, path: Path) -> AuditReport:
    path.write_text(text, encoding="utf-8")
    (publication,) = load_files([path])
    return audit_publication(publication)


@pytest.fixture
def example() -> str:
    (found,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_example_holds_and_a_changed_digit_does_not(example: str, tmp_path: Path) -> None:
    report = audited(example, tmp_path / "mine.toml")
    assert (report.checks, report.held) == (11, 11)
    changed = audited(example.replace("70.0", "61.0"), tmp_path / "changed.toml")
    assert [finding.rule for finding in changed.findings] == ["coverage-bound", "denominator"]
    assert "large, one of them, alone solves 65.0%" in changed.findings[0].sentence
    assert "neither mean of its 2 parts" in changed.findings[1].sentence


def test_every_rule_claim_and_role_is_on_the_page() -> None:
    kinds = [kind.__struct_config__.tag for kind in get_args(Claim)]
    named = [*rule_names(), *kinds]
    assert [name for name in named if f"`{name}`" not in PAGE] == []
    assert [role for role in ROLES if role not in PAGE] == []
