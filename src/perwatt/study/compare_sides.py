"""The two sides of a comparison: which pair of which run directory, with its rows and items."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.errors import RunDirError, SpecError, UnknownNameError
from perwatt.core.records import Columns, Item, PairIdentity, Phase
from perwatt.core.summary import EnergyLedger
from perwatt.metrics.columns import attempted_rows, of_pair, take
from perwatt.runner.queries import one_row_each, with_windows
from perwatt.store.exchange.request_rows import OWN_SPLIT
from perwatt.store.integrity import changed_file
from perwatt.store.items import read_items
from perwatt.store.load import check_fields
from perwatt.store.rundir import read_run
from perwatt.store.tables import read_table

__all__ = ["Side", "open_sides"]


_SHOWN = 8
"""Pairs named where one has to be chosen."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One pair of one run."""

    directory: str
    """The directory's own name."""
    run: dict[str, Any]
    """run.json."""
    identity: PairIdentity
    ledger: EnergyLedger | None
    requests: Columns
    """The pair's attempted rows."""
    contents: dict[str, str] | None
    """Hash of what each item asks and how it is scored; None: the run did not keep its items."""

    @property
    def run_id(self) -> str:
        return str(self.run.get("run_id") or f"{self.run['started']}/{self.run['name']}")


class _Opened(msgspec.Struct, frozen=True):
    path: Path
    run: dict[str, Any]
    requests: Columns
    items: tuple[Item, ...] | None
    identities: dict[str, PairIdentity]


def open_sides(
    a: str, b: str, pair_a: str | None = None, pair_b: str | None = None
) -> tuple[Side, Side]:
    """`a`, `b`: a run directory, or `DIR:pair` or `DIR#pair`; pairs by id or label.

    A pair need not be named where its run has one, or where exactly one has the same name in both.
    Raises SpecError, UnknownNameError; RunDirError for a run that is none, unfinished, damaged or
    changed.
    """
    (path_a, pair_a), (path_b, pair_b) = _split(a, pair_a, "a"), _split(b, pair_b, "b")
    opened_a = _open(path_a)
    opened_b = opened_a if path_b == path_a else _open(path_b)
    named_a, named_b = _named(opened_a, pair_a), _named(opened_b, pair_b)
    chosen_a, chosen_b = _chosen(opened_a, opened_b, named_a, named_b)
    return _side(opened_a, chosen_a), _side(opened_b, chosen_b)


def _split(text: str, pair: str | None, side: str) -> tuple[Path, str | None]:
    """`DIR:pair` apart: the longest directory that exists, since either part may have a colon."""
    if Path(text).exists():
        return Path(text), pair
    for place in range(len(text) - 1, 0, -1):
        if text[place] in ":#" and Path(text[:place]).is_dir():
            own = text[place + 1 :]
            if pair is not None and own != pair:
                msg = f"{text} names the pair {own!r} and --pair-{side} {pair!r}."
                raise SpecError(msg, "Name it once.")
            return Path(text[:place]), own
    return Path(text), pair


def _open(path: Path) -> _Opened:
    run = read_run(path)
    requests = read_table(path / "requests.parquet")
    if changed := changed_file(path, run):
        msg = f"{changed} in {path} is not the file that perwatt wrote: its hash differs."
        again = "Import it again." if "imported" in run else f"Make it again: perwatt score {path}"
        raise RunDirError(msg, again)
    check_fields(path, run)
    identities = msgspec.convert(run["pairs"], dict[str, PairIdentity])
    return _Opened(path, run, requests, read_items(path), identities)


def _named(opened: _Opened, pair: str | None) -> str | None:
    if pair is None:
        return None
    for pair_id, identity in opened.identities.items():
        if pair in (pair_id, identity.label):
            return pair_id
    raise UnknownNameError(f"pair in {opened.path}", pair, opened.identities)


def _chosen(a: _Opened, b: _Opened, named_a: str | None, named_b: str | None) -> tuple[str, str]:
    if named_a is not None and named_b is not None:
        return named_a, named_b
    if named_a is None and named_b is None:
        if len(a.identities) == len(b.identities) == 1:
            return next(iter(a.identities)), next(iter(b.identities))
        both = [pair for pair in a.identities if pair in b.identities]
        if len(both) == 1 and a is not b:
            return both[0], both[0]
        if a is b and len(a.identities) == 2:
            one, other = a.identities
            return one, other
    return named_a or _only(a, named_b, "a"), named_b or _only(b, named_a, "b")


def _only(opened: _Opened, other: str | None, side: str) -> str:
    """The pair of a run of which none was named."""
    if len(opened.identities) == 1:
        return next(iter(opened.identities))
    if other in opened.identities:
        return str(other)
    names = ", ".join(list(opened.identities)[:_SHOWN]) or "none"
    names += ", …" if len(opened.identities) > _SHOWN else ""
    msg = f"{opened.path} has {len(opened.identities)} pairs: {names}."
    raise SpecError(msg, f"Say which: --pair-{side} PAIR, or {opened.path}:PAIR")


def _side(opened: _Opened, pair_id: str) -> Side:
    run = opened.run
    phases = msgspec.convert(run.get("phases", []), list[Phase])
    rows = of_pair(with_windows(opened.requests, phases), pair_id)
    rows = take(rows, attempted_rows(rows))
    if run["spec"].get("per_query"):
        rows = one_row_each(rows)
    ledger = run["ledgers"].get(pair_id)
    told = run.get("imported", {}).get("energy", {}).get(pair_id)
    contents = None
    if opened.items is not None:
        contents = {item.id: _content_sha256(item) for item in opened.items}
    return Side(
        directory=opened.path.resolve().name,
        run=run,
        identity=opened.identities[pair_id],
        ledger=msgspec.convert(ledger, EnergyLedger) if ledger else _own(pair_id, told),
        requests=rows,
        contents=contents,
    )


def _own(pair_id: str, told: dict[str, Any] | None) -> EnergyLedger | None:
    """Another tool's joules: their boundary and grade are known, and not what the device drew."""
    if told is None:
        return None
    unknown = math.nan
    return EnergyLedger(
        pair_id=pair_id,
        device_j=unknown,
        requests_j=unknown,
        idle_j=unknown,
        unattributed_j=unknown,
        prefill_j=unknown,
        decode_j=unknown,
        idle_power_w=None,
        window_s=unknown,
        domains=(),
        boundary=told["boundary"],
        grade=told["grade"],
        gain_low=1.0,
        gain_high=1.0,
        attribution=OWN_SPLIT,
    )


_NOT_ASKED = ("id", "kind", "level", "category", "group", "weight", "max_tokens", "stop")
"""Of an item, what neither the model nor its scorer sees; limits are told as decoding settings."""


def _content_sha256(item: Item) -> str:
    fields = msgspec.structs.asdict(item)
    asked = {name: value for name, value in fields.items() if name not in _NOT_ASKED}
    return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()
