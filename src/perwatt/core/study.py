"""What a study comes to: tables of Estimates, and what a reader must know before quoting them."""

from __future__ import annotations

from typing import Literal

import msgspec

from perwatt.core.estimate import Estimate, Grade
from perwatt.core.summary import MetricInfo

__all__ = [
    "Published",
    "StudyCell",
    "StudyColumn",
    "StudyFault",
    "StudyPair",
    "StudyRun",
    "StudySummary",
    "StudyTable",
]

StudyCell = Estimate | str | int | None
"""A published number is an Estimate; words and counts stand as they are; None: not applicable."""


class StudyRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run directory as the study read it."""

    run_id: str
    """`run.json`'s own, such as `20261121-093000-core`; unique within the study."""
    directory: str
    """The directory's own name; never a path of the machine it was made on."""
    started: str
    perwatt_version: str
    workload: str
    workload_sha256: str
    requests: int
    imported_from: str | None = None
    """The tool that measured it, where perwatt only read its files."""


class StudyPair(msgspec.Struct, frozen=True, kw_only=True):
    """A pair on one device under one load, over all runs that asked it."""

    key: str
    """Unique within the study: `qwen3-8b@q4_k_m · M4 Max · closed:8`."""
    label: str
    """The shortest name that still tells it from the study's other pairs."""
    pair_id: str
    model: str
    engine: str
    device: str
    load: str
    """In words, such as `closed:8`."""
    precision: str | None = None
    parameters: int | None = None
    model_bytes: int | None = None
    asked: dict[str, str] = {}
    """How, where the run said: `temperature`, `thinking` …; without it two pairs are no precisions
    of one thing."""
    boundary: str | None = None
    """None: no energy, or unlike ones in its runs; a fault then says which."""
    grade: Grade | None = None
    gain_low: float = 1.0
    """The sensor's own error as a factor on all joules, 95%."""
    gain_high: float = 1.0
    runs: tuple[int, ...] = ()
    """Indices into `StudySummary.runs`."""
    requests: int = 0


class StudyColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a table, with its definition for hover and for machines."""

    name: str
    title: str
    what: str = ""
    """Its definition in words and symbols."""


class StudyTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table that stands alone: who reads it needs nothing else."""

    name: str
    """`pairs`, `categories`, `coverage` … : also the file name of its CSV."""
    title: str
    what: str
    """One sentence: what a row is, and by which definition (paper, section, equation)."""
    columns: tuple[StudyColumn, ...]
    """The first one names the rows."""
    rows: tuple[dict[str, StudyCell], ...]
    """By column name; a missing key is None."""
    finding: str = ""
    """One sentence a person can quote, with its interval."""
    notes: tuple[str, ...] = ()
    """Assumptions, sources of facts, and why something is missing."""
    drawn: tuple[str, ...] = ()
    """Columns of Estimates worth a figure: each row's value and interval as a dot and a line."""


class StudyFault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a run that was given; the rest of the study is made all the same."""

    code: Literal[
        "unfinished",
        "mixed-versions",
        "no-energy",
        "duplicate-run",
        "tampered",
        "unreadable",
        "unlike-workload",
        "unlike-energy",
        "not-hashed",
    ]
    run: str
    """The directory's own name."""
    sentence: str
    mend: str | None = None
    left_out: bool = False
    """Is the run (or what it touches) left out of the tables?"""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One aggregate of a pair that somebody else measured: a row of `published.parquet`."""

    pair_id: str
    """A key of run.json's `pairs`."""
    workload: str
    load: str
    """In perwatt's words where it can be said in them, such as `closed:64`; else the source's."""
    metric: str
    """perwatt's name where the definition is the same, such as `energy_gross_j`; else its own,
    prefixed by the tool's: `mlenergy.j_per_out_token`."""
    estimate: Estimate
    source: str
    """File and row, so that it can be looked up."""


class StudySummary(msgspec.Struct, frozen=True, kw_only=True):
    """All of it: what `--json` prints, the report shows and CSV holds."""

    name: str
    perwatt_version: str
    headline: str
    runs: tuple[StudyRun, ...]
    pairs: tuple[StudyPair, ...]
    tables: tuple[StudyTable, ...]
    faults: tuple[StudyFault, ...]
    metrics: tuple[MetricInfo, ...] = ()
