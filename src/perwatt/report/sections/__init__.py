"""The parts of the report in the order a reader meets them. A new one: a file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from perwatt.report.sections.answers import answers
from perwatt.report.sections.client import client
from perwatt.report.sections.comparisons import comparisons
from perwatt.report.sections.definitions import definitions
from perwatt.report.sections.domains import domains
from perwatt.report.sections.joules import joules_section
from perwatt.report.sections.judge import judge
from perwatt.report.sections.latency import latency
from perwatt.report.sections.limits import limits
from perwatt.report.sections.power import power
from perwatt.report.sections.provenance import provenance
from perwatt.report.sections.published import published
from perwatt.report.sections.repeats import repeats
from perwatt.report.sections.reported import reported
from perwatt.report.sections.results import results
from perwatt.report.sections.scoring import scoring
from perwatt.report.sections.slices import slices
from perwatt.report.sections.stages import stages
from perwatt.report.sections.tradeoff import tradeoff
from perwatt.report.view import Section, View

__all__ = ["SECTIONS", "UNASKED"]

SECTIONS: tuple[Callable[[View], Section | None], ...] = (
    published,
    results,
    comparisons,
    tradeoff,
    stages,
    power,
    latency,
    joules_section,
    limits,
    slices,
    scoring,
    judge,
    repeats,
    domains,
    client,
    answers,
    reported,
    definitions,
    provenance,
)

UNASKED: tuple[Callable[[View], Section | None], ...] = (published, definitions, provenance)
"""Those of a run that holds published figures and not one request: the rest have nothing to say."""
