"""Published tables, read from TOML. One file, or several of one source; this is all they may say.

    [source]                             # files of one id are audited together
    id = "arXiv:2511.07885"
    version = "v4"
    read = "text of v4, 21 May 2026"     # which text, and when

    [[tables]]
    id = "Table 13"
    where = "Table 13, Appendix E"
    complete = false                     # rows were left out: nothing is counted or added up
    given = { batch = 1 }                # keys that every row has
    keys = ["model", "device"]           # a row's first values are these; TOTAL is over all of a
                                         # key, and a key with _ first is only a label …
    columns = [                          # … and the rest its cells, in the digits printed
      { name = "success", role = "accuracy", unit = "%" },
      { name = "IPW", role = "ipw", unit = "1e-3/W", keys = { framework = "vLLM" } },
    ]
    rows = [["Qwen3-8B", "M4 Max", 57.5, 1.63]]   # 500K, "~12", "3.7–3.8", "23.2±1.9", "–"

    [[sets]]                             # what a coverage is over (key `set` of its cells)
    id = "local"
    members = ["Qwen3-8B"]               # those named; more can only raise a coverage
    same_as = "any ≤20B"                 # another set that the text makes the same …
    why = "§2: local is ≤20B active"     # … and its words

    [[claims]]                           # kinds and fields: perwatt.audit.claims
    id = "M4 against B200"
    kind = "ratio"                       # product decomposition mean mixture sum extreme count
    where = "§4.2"                       # comparison
    says = "local accelerators have at least 1.4x lower IPW"
    printed = 1.40
    of = { table = "Table 13", column = "IPW", device = "B200" }
    to = { table = "Table 13", column = "IPW", device = "M4 Max" }
    across = ["device"]

    [[statements]]                       # words: two that differ about one thing contradict
    about = "judge"
    says = "GPT-4o"
    where = "Appendix B.1"

Roles and their units: `units.ROLES`. Numbers keep the digits they are written with: 1.40 is known
to half a hundredth, 1.4 to half a tenth, and every tolerance follows from that.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from perwatt.audit.claims import Claim, Statement
from perwatt.audit.printed import Printed, in_column, parse_printed
from perwatt.audit.tables import Cell, Publication, Source, Subset, Table
from perwatt.audit.units import scale_of
from perwatt.audit.wellformed import require_sound
from perwatt.core.errors import FileError

__all__ = ["load_builtin", "load_files", "publications"]

_MEND = "docs/audit.md shows what a file of published tables may say."

_DIGITS = (
    "Write the digits alone, the unit being the column's: 50.0, 1.2e3, 500K, ~12, 3.7–3.8, "
    "23.2±1.9, 480 (PSU), or – for nothing."
)


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: a key that is not known is an error."""


class _Source(_Strict, frozen=True):
    id: str
    version: str | None = None
    title: str | None = None
    read: str | None = None


class _Column(_Strict, frozen=True):
    name: str
    role: str
    unit: str
    keys: dict[str, str | int] = {}


class _Table(_Strict, frozen=True):
    id: str
    where: str
    keys: list[str]
    columns: list[_Column]
    rows: list[list[str | int]]
    title: str = ""
    note: str | None = None
    complete: bool = True
    given: dict[str, str | int] = {}


class _Set(_Strict, frozen=True):
    id: str
    members: list[str]
    same_as: str | None = None
    why: str | None = None


class _Document(_Strict, frozen=True):
    source: _Source
    tables: list[_Table] = []
    sets: list[_Set] = []
    claims: list[Claim] = []
    statements: list[Statement] = []


def load_builtin() -> list[Publication]:
    """The study that perwatt brings along."""
    folder = files("perwatt.audit").joinpath("published")
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return publications((f.name, _parse(f.name, f.read_text(encoding="utf-8"))) for f in found)


def load_files(paths: Sequence[Path]) -> list[Publication]:
    """The publications in `paths`, one for each source. Raises FileError naming file and key."""
    documents = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}."
            raise FileError(msg, "Name a TOML file of published tables.") from None
        documents.append((str(path), _parse(str(path), text)))
    return publications(documents)


def publications(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Publication]:
    """Documents as TOML gives them (floats as text), by (file name, content)."""
    by_source: dict[str, list[tuple[str, _Document]]] = {}
    for name, content in documents:
        document = _convert(name, content)
        by_source.setdefault(document.source.id, []).append((name, document))
    return [_publication(found) for found in by_source.values()]


def _parse(name: str, text: str) -> dict[str, Any]:
    try:
        # A float's digits are its precision: 1.40 must not become 1.4.
        return tomllib.loads(text, parse_float=str)
    except tomllib.TOMLDecodeError as error:
        msg = f"{name} is not TOML: {error}."
        raise FileError(msg, _MEND) from None


def _convert(name: str, content: Mapping[str, Any]) -> _Document:
    try:
        return msgspec.convert(content, _Document)
    except msgspec.ValidationError as error:
        msg = f"{name}: {_placed(str(error), content)}."
        raise FileError(msg, _MEND) from None


def _placed(text: str, content: Mapping[str, Any]) -> str:
    """msgspec's `$.tables[3].columns[0]` with the table's own id beside it."""
    found = re.search(r"\$\.(tables|sets|claims)\[(\d+)\]", text)
    if found is None:
        return text
    entry = content[found[1]][int(found[2])]
    named = entry.get("id") if isinstance(entry, Mapping) else None
    return text if named is None else f"{text} ({named})"


def _publication(found: Sequence[tuple[str, _Document]]) -> Publication:
    about = _source([document.source for _, document in found])
    tables: dict[str, Table] = {}
    for name, document in found:
        for table in document.tables:
            if table.id in tables:
                msg = f"{name}: {table.id} is there twice."
                raise FileError(msg, "Give each table an id of its own.")
            tables[table.id] = _table(name, table)
    documents = [document for _, document in found]
    made = Publication(
        source=about,
        tables=tuple(tables.values()),
        sets=tuple(
            Subset(s.id, tuple(s.members), s.same_as, s.why) for d in documents for s in d.sets
        ),
        claims=tuple(claim for d in documents for claim in d.claims),
        statements=tuple(s for d in documents for s in d.statements),
    )
    require_sound(((name, claim) for name, d in found for claim in d.claims), made)
    return made


def _source(told: Sequence[_Source]) -> Source:
    """What any of the files says; the first that says it, where several do."""

    def first(name: str) -> str | None:
        return next((v for v in (getattr(one, name) for one in told) if v is not None), None)

    return Source(told[0].id, first("version"), first("title"), first("read"))


def _table(name: str, table: _Table) -> Table:
    place = f"{name}: {table.id}"
    for column in table.columns:
        _require_once(f"{place}, column {column.name!r}", (*table.given, *table.keys, *column.keys))
    printed = _printed(place, table)
    cells = []
    for number, row in enumerate(table.rows):
        labels = [str(value) for value in row[: len(table.keys)]]
        for column in table.columns:
            cell = printed[column.name][number]
            if cell is None:
                continue
            given = {**table.given, **dict(zip(table.keys, labels, strict=True)), **column.keys}
            cells.append(
                Cell(
                    table=table.id,
                    row=", ".join(labels),
                    column=column.name,
                    role=column.role,
                    keys={key: str(value) for key, value in given.items()},
                    printed=cell,
                    scale=scale_of(column.role, column.unit),
                    unit=column.unit,
                    complete=table.complete,
                )
            )
    return Table(table.id, table.title, table.where, table.complete, tuple(cells))


def _require_once(place: str, keys: Sequence[str]) -> None:
    for key in keys:
        if keys.count(key) > 1:
            msg = f"{place}: the key {key!r} is given twice."
            raise FileError(msg, "Give it once: for the table, for each row, or for the column.")


def _printed(place: str, table: _Table) -> dict[str, tuple[Printed | None, ...]]:
    """By column, what each row prints there. Raises FileError, naming row and column."""
    width = len(table.keys) + len(table.columns)
    for number, row in enumerate(table.rows, start=1):
        if len(row) != width:
            msg = f"{place}: row {number} has {len(row)} values, and {width} are named."
            raise FileError(msg, "A row is its keys and then one cell a column; an empty one is –.")
    found = {}
    for at, column in enumerate(table.columns, start=len(table.keys)):
        if column.name in found:
            msg = f"{place}: two columns are named {column.name!r}."
            raise FileError(msg, "Give each its own name: a claim names a column by it.")
        try:
            scale_of(column.role, column.unit)
        except ValueError as error:
            msg = f"{place}, column {column.name!r}: {error}."
            raise FileError(msg, _MEND) from None
        cells: list[Printed | None] = []
        for number, row in enumerate(table.rows, start=1):
            try:
                cells.append(parse_printed(row[at]))
            except ValueError as error:
                msg = f"{place}, row {number}, column {column.name!r}: {error}."
                raise FileError(msg, _DIGITS) from None
        found[column.name] = in_column(column.role, cells)
    return found
