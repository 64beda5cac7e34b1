"""Plug-ins by name: a decorator for code at hand, entry points for everything installed.

Nothing is imported until `get` asks for it, so an extra that is not installed costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points, version
from typing import Any, Generic, TypeVar

import msgspec

from perwatt.core.errors import MissingExtraError, PerwattError, UnknownNameError

__all__ = ["KINDS", "Plugin", "Registry", "registry"]

F = TypeVar("F", bound=Callable[..., Any])

KINDS = ("endpoint", "sensor", "workload", "scorer", "attribution")


class Plugin(msgspec.Struct, frozen=True, kw_only=True):
    """A name, where its factory lives, and which distribution brought it."""

    kind: str
    name: str
    target: str
    """`package.module:attribute`."""
    origin: str
    """`perwatt 0.1.0`, another distribution, or `registered in code`."""


class Registry(Generic[F]):
    """All plug-ins of one kind. Entry points are read from the group `perwatt.<kind>s`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._code: dict[str, F] = {}
        self._installed: dict[str, EntryPoint] | None = None

    def register(self, name: str) -> Callable[[F], F]:
        """Decorator: `@registry("scorer").register("mine")`. A name taken twice is an error."""

        def add(factory: F) -> F:
            if name in self._code:
                msg = f"The {self.kind} {name!r} is registered twice."
                raise PerwattError(msg, "Rename one of them.")
            self._code[name] = factory
            return factory

        return add

    def get(self, name: str) -> F:
        """The factory. Raises UnknownNameError, or MissingExtraError for an absent dependency."""
        if name in self._code:
            return self._code[name]
        point = self._points().get(name)
        if point is None:
            raise UnknownNameError(self.kind, name, self.names())
        try:
            factory: F = point.load()
        except ModuleNotFoundError as error:
            package = error.name or point.module
            raise MissingExtraError(package, None, f"The {self.kind} {name!r}") from error
        return factory

    def names(self) -> list[str]:
        return sorted({*self._code, *self._points()})

    def __iter__(self) -> Iterator[Plugin]:
        for name in self.names():
            if name in self._code:
                factory = self._code[name]
                target = f"{factory.__module__}:{getattr(factory, '__qualname__', name)}"
                own = factory.__module__.startswith("perwatt.")
                # Another's metric is loaded from its entry point and then registers itself.
                point = self._points().get(name)
                origin = f"perwatt {version('perwatt')}" if own else _origin(point)
            else:
                point = self._points()[name]
                target, origin = point.value, _origin(point)
            yield Plugin(kind=self.kind, name=name, target=target, origin=origin)

    def _points(self) -> dict[str, EntryPoint]:
        if self._installed is None:
            self._installed = {p.name: p for p in entry_points(group=f"perwatt.{self.kind}s")}
        return self._installed


def _origin(point: EntryPoint | None) -> str:
    if point is None:
        return "registered in code"
    return f"{point.dist.name} {point.dist.version}" if point.dist else "?"


_REGISTRIES: dict[str, Registry[Any]] = {kind: Registry(kind) for kind in KINDS}


def registry(kind: str) -> Registry[Any]:
    """The registry of one kind: `endpoint`, `sensor`, `workload`, `scorer` or `attribution`."""
    try:
        return _REGISTRIES[kind]
    except KeyError:
        raise UnknownNameError("plug-in kind", kind, KINDS) from None
