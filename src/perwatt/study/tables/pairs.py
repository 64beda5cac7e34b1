"""Each model on each device under each load: right answers, joules, and the two together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyPair, StudyTable
from perwatt.stats.moments import Moments
from perwatt.study.cells import rolled
from perwatt.study.claims import claim
from perwatt.study.figures import MAIN, PERPLEXITY, figure_columns, figures, unrankable
from perwatt.study.study import Study

__all__ = ["pairs_table"]

Row = dict[str, StudyCell]

_COLUMNS = (
    StudyColumn(name="pair", title="Pair"),
    StudyColumn(name="model", title="Model"),
    StudyColumn(name="precision", title="Precision"),
    StudyColumn(name="device", title="Device"),
    StudyColumn(name="load", title="Load"),
    StudyColumn(name="items", title="Items", what="independent items; repeats of one count as one"),
    StudyColumn(name="answers", title="Answers", what="answers asked for, repeats among them"),
    StudyColumn(name="failed", title="Failed", what="answers that failed; each scores 0"),
)
_LAST = (
    StudyColumn(
        name="grade",
        title="Grade",
        what="of the joules: A wall meter, B counter, C sampled gauge, D estimate",
    ),
    StudyColumn(name="boundary", title="Boundary", what="what the joules cover"),
)


def pairs_table(study: Study) -> StudyTable | None:
    """A row for each pair, most right answers per joule first within one boundary and grade."""
    cells = study.cells()
    whole = rolled(cells)
    if not whole:
        return None
    surprised = any(m.missing.get("perplexity", 0) < m.served for m in whole.values())
    names = (*MAIN, *PERPLEXITY) if surprised else MAIN
    rows = [(study.pairs[pair], _row(study.pairs[pair], m, names)) for (pair,), m in whole.items()]
    rows.sort(key=lambda found: _place(*found))
    unlike = _unlike_items(study)
    return StudyTable(
        name="pairs",
        drawn=("ipj",),
        title="Pairs",
        what="One model on one device under one load: IPW = mean aᵢ / mean Pᵢ, IPJ = mean aᵢ /"
        " mean Eᵢ, J per correct = Σ Eᵢ / Σ aᵢ over all items asked (arXiv 2511.07885 §2).",
        columns=(*_COLUMNS, *figure_columns(names), *_LAST),
        rows=tuple(row for _, row in rows),
        finding=_finding(rows, unlike),
        notes=(
            "A failed answer scores 0 and keeps its joules. One without a value makes the figure"
            " missing, never a mean over the rest.",
            "Latency is of whole answers that were served, turns of a conversation summed, warm-up"
            " among them.",
            *([unlike] if unlike else ()),
        ),
    )


def _row(pair: StudyPair, moments: Moments, names: Sequence[str]) -> Row:
    about: Row = {
        "pair": pair.label,
        "model": pair.model,
        "precision": pair.precision,
        "device": pair.device,
        "load": pair.load,
        "items": moments.clusters,
        "answers": moments.answers,
        "failed": moments.answers - moments.served,
    }
    return {
        **about,
        **figures(moments, pair, names),
        "grade": pair.grade,
        "boundary": pair.boundary,
    }


def _place(pair: StudyPair, row: Row) -> tuple[object, ...]:
    found = row["ipj"]
    value = found.value if isinstance(found, Estimate) else None
    return (pair.boundary or "~", pair.grade or "~", value is None, -(value or 0.0), pair.label)


def _unlike_items(study: Study) -> str | None:
    """A sentence where pairs were not asked the same workloads, by their hashes, as often."""
    asked: dict[int, list[tuple[str, int]]] = {}
    for (pair, workload), moments in rolled(study.cells(), ("pair", "workload")).items():
        asked.setdefault(pair, []).append((str(workload), moments.clusters))
    whole = {
        (
            tuple(sorted(found)),
            frozenset(study.runs[run].workload_sha256 for run in study.pairs[pair].runs),
        )
        for pair, found in asked.items()
    }
    if len(whole) < 2:
        return None
    return "Pairs were not asked the same items, so their rows are not put in one order of merit."


def _finding(rows: Sequence[tuple[StudyPair, Row]], unlike: str | None) -> str:
    known: Mapping[str, Estimate] = {
        pair.label: row["ipj"]
        for pair, row in rows
        if isinstance(row["ipj"], Estimate) and row["ipj"].value is not None
    }
    if len(rows) == 1:
        label, row = rows[0][0].label, rows[0][1]
        told = f", {row['ipj']} right answers per joule" if known else ""
        return claim(f"{label}: {row['accuracy']} right{told}.", row["accuracy"])
    if unlike:
        return unlike
    if why := unrankable([pair for pair, _ in rows]):
        return f"Pairs are not ranked per joule: {why}."
    if not known:
        return "No pair has a figure of right answers per joule."
    # Rows are in order within one boundary and grade, and there is but one.
    (best, most), *others = known.items()
    if not others:
        return f"{best} alone has right answers per joule: {most}."
    second, next_most = others[0]
    if not most.value:
        return "No pair answered anything right."
    if most.value == next_most.value:
        return f"{best} and {second} answer as many per joule: {most} and {next_most}."
    sentence = f"{best} answers most per joule: {most}; next is {second}: {next_most}"
    if most.low is None or next_most.high is None:
        return f"{sentence}; without intervals, this may be chance."
    return f"{sentence}." if most.low > next_most.high else f"{sentence}; their intervals overlap."
