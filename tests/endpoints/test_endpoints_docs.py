"""docs/endpoints.md names every failure and every server."""

from __future__ import annotations

from pathlib import Path

from perwatt.endpoints.failures import KINDS
from perwatt.endpoints.quirks_table import QUIRKS

PAGE = (Path(__file__).parents[2] / "docs" / "endpoints.md").read_text(encoding="utf-8")


def test_the_page_has_every_kind_of_failure_in_our_words() -> None:
    assert [k for k, means in KINDS.items() if f"| `{k}` | {means} |" not in PAGE] == []


def test_the_page_has_every_server_with_its_source() -> None:
    assert [q.engine for q in QUIRKS if f"| {q.engine} |" not in PAGE or q.source not in PAGE] == []
