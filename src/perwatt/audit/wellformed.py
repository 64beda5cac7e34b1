"""What a publication's parts must have to do with each other before any rule can run.

A claim of keys that no cell has, a set that no file names or a mean of watts and percentages would
otherwise hold because nothing was compared, or fail without saying why.
"""

from __future__ import annotations

from collections.abc import Iterable

from perwatt.audit.claims import Claim, Comparison, Mean, Selector
from perwatt.audit.tables import Publication
from perwatt.audit.units import ROLES
from perwatt.core.errors import FileError

__all__ = ["require_sound"]


def require_sound(claims: Iterable[tuple[str, Claim]], made: Publication) -> None:
    """`claims` by the name of their file. Raises FileError, naming the file or source."""
    _something(made)
    _sets(made)
    for name, claim in claims:
        place = f"{name}: claim {claim.id!r}"
        _cells(place, claim, made)
        _keys(place, claim, made)
        _one_unit(place, claim, made)
        if isinstance(claim, Comparison):
            for side in (claim.left_set, claim.right_set):
                _known_set(place, side, made)


def _something(made: Publication) -> None:
    if not made.cells and not made.statements:
        msg = f"{made.source.id}: no table has a printed number, so there is nothing to audit."
        raise FileError(msg, "Give [[tables]] with rows; docs/audit.md has a whole example.")


def _sets(made: Publication) -> None:
    known = [one.id for one in made.sets]
    for one in made.sets:
        if known.count(one.id) > 1:
            msg = f"{made.source.id}: the set {one.id!r} is there twice."
            raise FileError(msg, "Name all of its members in one place.")
        if one.same_as is not None and one.same_as not in known:
            msg = f"{made.source.id}: the set {one.id!r} is same_as {one.same_as!r}, which is none."
            raise FileError(msg, f"Known sets: {', '.join(known)}.")
    for cell in made.of_role("coverage"):
        if "set" in cell.keys:
            _known_set(f"{made.source.id}: {cell.name}", cell.keys["set"], made)


def _known_set(place: str, named: str, made: Publication) -> None:
    if named not in {one.id for one in made.sets}:
        msg = f"{place} is of the set {named!r}, which is not given."
        raise FileError(msg, "Add [[sets]] with that id and its members, [] if none is named.")


def _cells(place: str, claim: Claim, made: Publication) -> None:
    """Of cells that are there, and of one where one is wanted."""
    for selector in claim.selectors():
        if not made.find(selector):
            msg = f"{place}: {_shown(selector)} names no cell."
            raise FileError(msg, "Check the table's id, the column and the keys.")
    for number in claim.numbers():
        try:
            made.value_of(number)
        except (LookupError, ValueError) as error:
            msg = f"{place}: {error.args[0]}."
            raise FileError(msg, "Name its table, column and keys in full.") from None


def _keys(place: str, claim: Claim, made: Publication) -> None:
    for selector, keys in claim.needs_keys():
        for cell in made.find(selector):
            missing = [key for key in keys if key not in cell.keys]
            if missing:
                msg = f"{place} is by the key {missing[0]!r}, which {cell.name} has not."
                raise FileError(msg, f"It has {', '.join(cell.keys) or 'none'}.")


def _one_unit(place: str, claim: Claim, made: Publication) -> None:
    roles = {
        ROLES[cell.role]: cell.role
        for selector in claim.needs_one_unit()
        for cell in made.find(selector)
    }
    if len(roles) > 1:
        msg = f"{place} compares {' with '.join(sorted(roles.values()))}."
        raise FileError(msg, "Name the column too, so that all cells are of one unit.")
    if isinstance(claim, Mean) and claim.weights is not None:
        wrong = [c for c in made.find(claim.weights) if c.role not in {"count", "share"}]
        if wrong:
            msg = f"{place} weighs by {wrong[0].name}, whose role is {wrong[0].role}."
            raise FileError(msg, "Weights are counts or shares.")


def _shown(selector: Selector) -> str:
    return f"{{{', '.join(f'{key} = {value!r}' for key, value in selector.items())}}}"
