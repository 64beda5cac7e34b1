"""Which options a scorer reads: one that is misspelt would else be left at its default, unsaid."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from perwatt.core.errors import SpecError, UnknownNameError
from perwatt.core.records import Item
from perwatt.core.registry import registry

__all__ = ["check_options", "takes"]

F = TypeVar("F", bound=Callable[..., Any])

EVERYBODYS = frozenset({"choices"})
"""What a suite writes for whichever scorer, since probes and judges read it too."""


def takes(*names: str) -> Callable[[F], F]:
    """Say which of an item's options this factory's scorer reads; it sets `factory.options`.

    A factory without them is asked nothing: its items may have any.
    """

    def marked(factory: F) -> F:
        vars(factory)["options"] = frozenset(names)
        return factory

    return marked


def check_options(items: Iterable[Item]) -> None:
    """Does each item's scorer know all of its options? Raises SpecError, UnknownNameError."""
    known: dict[str, frozenset[str] | None] = {}
    for item in items:
        if not item.options:
            continue
        if item.scorer not in known:
            own = getattr(registry("scorer").get(item.scorer), "options", None)
            known[item.scorer] = None if own is None else frozenset(own) | EVERYBODYS
        names = known[item.scorer]
        if names is None or names.issuperset(item.options):
            continue
        name = next(name for name in item.options if name not in names)
        msg = f"The item {item.id!r} has the option {name!r}, which the scorer {item.scorer}"
        near = UnknownNameError("option", name, names - EVERYBODYS or {"no option"})
        raise SpecError(f"{msg} does not know.", near.mend)
