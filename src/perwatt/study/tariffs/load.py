"""Tariffs: perwatt's own, or a user's tables in their place.

[[grid]]         name, g_per_kwh, year, source
[[electricity]]  name, per_kwh, currency, year, source
[[api]]          name (of the model), usd_per_m_input, usd_per_m_output, year, source
[[pue]]          name, value, year, source

A file's [[grid]], [[electricity]] and [[pue]] replace all of perwatt's of that kind: they are
columns of a table. Its [[api]] prices go before perwatt's, model by model.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import msgspec

from perwatt.core.decoding import prepare
from perwatt.core.errors import SpecError, UnknownNameError
from perwatt.predict.catalogue import entries, find, read_toml
from perwatt.predict.models import model_key

__all__ = ["ApiPrice", "Electricity", "Grid", "Pue", "Tariffs", "load_tariffs"]

Amount = Annotated[float, msgspec.Meta(ge=0)]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """What all of them carry."""

    name: str
    aliases: tuple[str, ...] = ()
    year: int
    source: str


class Grid(Fact, frozen=True):
    g_per_kwh: Amount
    """Grams of CO2-equivalent, location-based yearly average."""


class Electricity(Fact, frozen=True):
    per_kwh: Amount
    currency: str


class ApiPrice(Fact, frozen=True):
    usd_per_m_input: Amount
    usd_per_m_output: Amount


class Pue(Fact, frozen=True):
    value: Annotated[float, msgspec.Meta(ge=1)]


prepare(Grid, Electricity, ApiPrice, Pue)
_KINDS: dict[str, type[Fact]] = {
    "grid": Grid,
    "electricity": Electricity,
    "api": ApiPrice,
    "pue": Pue,
}


class Tariffs(msgspec.Struct, frozen=True, kw_only=True):
    grids: tuple[Grid, ...]
    electricity: tuple[Electricity, ...]
    api: tuple[ApiPrice, ...]
    """The user's first."""
    pue: tuple[Pue, ...]

    def price(self, model: str) -> ApiPrice | None:
        """Of a model by any of its names; the user's own before perwatt's."""
        mine = {model_key(price.name): price for price in reversed(self.api)}
        return find(model, mine.values(), model_key)


def load_tariffs(path: Path | None = None) -> Tariffs:
    """FileError where the file cannot be read, SpecError for a key or a value in it."""
    own = _built_in()
    given = _tables(read_toml(path, "tariffs"), path) if path is not None else {}
    return Tariffs(
        grids=given.get("grid") or own["grid"],
        electricity=given.get("electricity") or own["electricity"],
        api=(*given.get("api", ()), *own["api"]),
        pue=given.get("pue") or own["pue"],
    )


@cache
def _built_in() -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for name in ("grids.toml", "electricity.toml", "api.toml"):
        text = files("perwatt.study.tariffs").joinpath(name).read_text(encoding="utf-8")
        found |= _tables(tomllib.loads(text), Path(name))
    return found


def _tables(doc: dict[str, Any], path: Path) -> dict[str, tuple[Any, ...]]:
    for key in doc:
        if key not in _KINDS:
            msg = f"{path} has an unknown table {key!r}."
            raise SpecError(msg, UnknownNameError("table", key, _KINDS).mend)
    found = {kind: entries(rows, _KINDS[kind], kind, path) for kind, rows in doc.items()}
    for kind, facts in found.items():
        names = [fact.name for fact in facts]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            msg = f"{path} has two [[{kind}]] named {twice!r}."
            raise SpecError(msg, "Leave one of them, or name them apart.")
    return found
