from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

from perwatt.core.errors import MissingExtraError, PerwattError, UnknownNameError
from perwatt.core.registry import KINDS, Registry, registry


def test_decorator_registers_and_names_its_origin() -> None:
    scorers: Registry[Callable[[], str]] = Registry("test-kind")

    @scorers.register("mine")
    def mine() -> str:
        return "made"

    assert scorers.get("mine")() == "made"
    (plugin,) = scorers
    assert (plugin.name, plugin.origin) == ("mine", "registered in code")
    assert plugin.target.endswith("mine")


def test_a_name_is_taken_once() -> None:
    scorers: Registry[Callable[[], str]] = Registry("test-kind")
    scorers.register("x")(lambda: "a")
    with pytest.raises(PerwattError, match="twice"):
        scorers.register("x")(lambda: "b")


def test_unknown_name_offers_the_nearest_installed() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean numeric"):
        registry("scorer").get("numerik")


def test_unknown_kind() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean sensor"):
        registry("senser")


def test_absent_dependency_becomes_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    things: Registry[Callable[[], str]] = Registry("test-kind")
    point = EntryPoint("gone", "no_such_module_for_perwatt:thing", "perwatt.test-kinds")
    monkeypatch.setattr(things, "_installed", {"gone": point})
    with pytest.raises(MissingExtraError, match="no_such_module_for_perwatt"):
        things.get("gone")


def test_listing_imports_no_plugin() -> None:
    before = set(sys.modules)
    names = [plugin.name for kind in KINDS for plugin in registry(kind)]
    assert {"core", "rapl", "choice", "openai", "time"} <= set(names)
    new = {name for name in set(sys.modules) - before if name.startswith("perwatt.")}
    assert not {name for name in new if name.split(".")[1] in {"sensors", "endpoints", "scoring"}}


@pytest.mark.parametrize("kind", KINDS)
def test_every_declared_plugin_loads(kind: str) -> None:
    for name in registry(kind).names():
        assert callable(registry(kind).get(name))


def test_what_registers_itself_when_its_entry_point_is_loaded_is_its_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    things: Registry[Callable[[], str]] = Registry("test-kind")
    point = next(p for p in registry("scorer")._points().values() if p.dist is not None)
    monkeypatch.setattr(things, "_installed", {"mine": point})
    things.register("mine")(lambda: "made")
    (plugin,) = things
    assert point.dist is not None
    assert plugin.origin == f"{point.dist.name} {point.dist.version}"
