"""Figures that others published, as they published them, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from perwatt.core.errors import FileError
from perwatt.core.estimate import Estimate, worst_grade
from perwatt.core.records import PairIdentity
from perwatt.core.study import Published, StudyCell, StudyColumn, StudyTable
from perwatt.core.units import format_value
from perwatt.store.published import read_published
from perwatt.study.study import Study
from perwatt.study.tables.published_metrics import QUANTITIES, in_unit

__all__ = ["published"]

Key = tuple[int, str, str, str]
"""Run, pair, workload, load."""
Row = dict[str, StudyCell]
OFF = 0.005
"""A published product that is further from its factors than this is named: more than rounding."""
DERIVED = "derived by perwatt from this row's figures"


def published(study: Study) -> StudyTable | None:
    """None where no run holds published figures."""
    rows: list[Row] = []
    notes: list[str] = []
    others: set[str] = set()
    shown = {said.metric for quantity in QUANTITIES for said in quantity.said}
    for number, run in enumerate(study.open_runs):
        try:
            figures = _by_key(number, read_published(run.path))
        except FileError as error:
            notes.append(f"{run.about.directory} is left out: {error.message}")
            continue
        for key, own in figures.items():
            rows.append(_row(run.identities.get(key[1]), key, run.about.imported_from, own))
            others |= set(own) - shown
    if not rows and not notes:
        return None
    return StudyTable(
        name="published",
        title="As published",
        what="A row is a pair under a load on a workload, as another tool published it: its own"
        " definitions, unchanged but for the unit; perwatt measured none of it.",
        columns=_columns(rows),
        rows=tuple(rows),
        finding=_finding(rows),
        notes=(*notes, *_checks(rows), *_about(rows, others)),
    )


def _by_key(number: int, figures: tuple[Published, ...]) -> dict[Key, dict[str, Estimate]]:
    found: dict[Key, dict[str, Estimate]] = {}
    for row in figures:
        key = (number, row.pair_id, row.workload, row.load)
        found.setdefault(key, {})[row.metric] = row.estimate
    return found


def _row(
    identity: PairIdentity | None, key: Key, tool: str | None, figures: Mapping[str, Estimate]
) -> Row:
    _, pair_id, workload, load = key
    row: Row = {
        "pair": identity.label if identity else pair_id,
        "workload": workload,
        "load": load,
        "tool": tool,
        "device": identity.device if identity else None,
    }
    row |= {quantity.name: in_unit(quantity, figures) for quantity in QUANTITIES}
    token, length = _value(row, "j_per_output_token"), _value(row, "output_tokens")
    rate = _value(row, "output_tokens_per_s")
    if token is not None:
        row["j_per_request_derived"] = _derived(row, "J", token, length)
        row["power_w_derived"] = _derived(row, "W", token, rate)
    energy = [e for e in figures.values() if e.grade is not None]
    row["grade"] = worst_grade([e.grade for e in energy if e.grade])
    row["boundary"] = ", ".join(sorted({e.boundary for e in energy if e.boundary})) or None
    return row


def _value(row: Row, name: str) -> float | None:
    cell = row.get(name)
    return cell.value if isinstance(cell, Estimate) else None


def _derived(row: Row, unit: str, token: float, times: float | None) -> Estimate | None:
    if times is None:
        return None
    cell = row["j_per_output_token"]
    assert isinstance(cell, Estimate)
    return Estimate(
        value=token * times,
        unit=unit,
        method=f"{DERIVED}, without an interval",
        grade=cell.grade,
        boundary=cell.boundary,
    )


def _columns(rows: list[Row]) -> tuple[StudyColumn, ...]:
    derived = {
        "j_per_request_derived": (
            "J/request*",
            "Derived: joules per output token × mean output length.",
        ),
        "power_w_derived": ("W*", "Derived: joules per output token × output tokens a second."),
    }
    texts = ("pair", "workload", "load", "tool", "device")
    columns = [StudyColumn(name=name, title=name.capitalize()) for name in texts]
    columns += [StudyColumn(name=q.name, title=q.title, what=q.what) for q in QUANTITIES]
    columns += [
        StudyColumn(name=name, title=title, what=what) for name, (title, what) in derived.items()
    ]
    columns += [
        StudyColumn(name="grade", title="Grade", what="The worst of the row's energy figures."),
        StudyColumn(name="boundary", title="Boundary", what="Those of the row's energy figures."),
    ]
    return tuple(c for c in columns if any(row.get(c.name) is not None for row in rows))


def _finding(rows: list[Row]) -> str:
    known = [(value, row) for row in rows if (value := _value(row, "j_per_output_token"))]
    kinds = {(row["grade"], row["boundary"]) for _, row in known}
    if not known:
        return f"{len(rows)} published configurations, none with joules per output token."
    if len(kinds) > 1:
        return (
            f"{len(known)} of {len(rows)} published configurations have joules per output token;"
            " their boundaries or grades differ, so they are not ranked."
        )
    least, most = (pick(known, key=lambda each: each[0]) for pick in (min, max))
    grade, boundary = next(iter(kinds))
    return (
        f"{len(known)} published configurations take from {format_value(least[0], 'J')}"
        f" ({_place(least[1])}) to {format_value(most[0], 'J')} ({_place(most[1])}) per output"
        f" token; boundary {boundary}, grade {grade}, published without intervals."
    )


def _place(row: Row) -> str:
    return f"{row['pair']}, {row['workload']}, {row['load']}"


def _checks(rows: list[Row]) -> Iterator[str]:
    """Do published products agree with their published factors?"""
    for given, derived, words in (
        ("j_per_request", "j_per_request_derived", "J/request = J/token × tokens out"),
        ("power_w", "power_w_derived", "W = J/token × tok/s"),
    ):
        ratios = [
            (one / other - 1, row)
            for row in rows
            if (one := _value(row, given)) is not None and (other := _value(row, derived))
        ]
        if not ratios:
            continue
        worst = max(abs(ratio) for ratio, _ in ratios)
        off = [(ratio, row) for ratio, row in ratios if abs(ratio) > OFF]
        twice = "" if off else ": one measurement printed twice, not a second one"
        yield (
            f"{words} holds within {OFF:.1%} in {len(ratios) - len(off)} of {len(ratios)} rows"
            f" (furthest: {worst:.2g}){twice}."
        )
        for ratio, row in off[:10]:
            yield f"It does not hold by {ratio:+.1%} for {_place(row)}."
        if len(off) > 10:
            yield f"… nor in {len(off) - 10} more rows."


def _about(rows: list[Row], others: set[str]) -> Iterator[str]:
    if any(_value(row, "j_per_request_derived") is not None for row in rows):
        yield "* derived by perwatt, from published figures alone."
    bare = sum(
        isinstance(cell, Estimate) and cell.low is None for row in rows for cell in row.values()
    )
    if bare:
        yield f"{bare} figures have no interval, because their source gives none."
    if others:
        yield f"{len(others)} more of the tools' metrics are in published.parquet alone."
