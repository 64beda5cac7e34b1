"""An option that a scorer does not read is refused, and not left at its default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from perwatt.core.errors import SpecError
from perwatt.core.records import Item, Judgement, Message
from perwatt.core.registry import registry
from perwatt.runner.score import check_scorers
from perwatt.scoring.known_options import check_options
from perwatt.workloads.load import load


def item(scorer: str, **options: Any) -> Item:
    messages = (Message(role="user", content="?"),)
    return Item(id="q1", kind="k", messages=messages, reference="1", scorer=scorer, options=options)


@pytest.fixture
def own_scorer() -> Iterator[str]:
    """Somebody's plug-in, which says nothing of options."""
    name = "known-options-own"
    registry("scorer").register(name)(lambda: lambda item, text: Judgement(value=1.0))
    yield name
    del registry("scorer")._code[name]


def test_a_misspelt_option_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(SpecError) as told:
        check_scorers([item("none"), item("numeric", tolerance=0.1, tolerence=0.1)])
    assert told.value.message == (
        "The item 'q1' has the option 'tolerence', which the scorer numeric does not know."
    )
    assert str(told.value.mend).startswith("Did you mean tolerance")


def test_where_none_is_near_all_are_named() -> None:
    with pytest.raises(SpecError, match=r"Known: casefold, extra, partial\."):
        check_options([item("json", zzz=1)])


def test_what_a_scorer_does_not_say_is_not_asked(own_scorer: str) -> None:
    check_options([item(own_scorer, anything=1), item("none", anything=1)])


def test_choices_are_kept_with_any_item() -> None:
    check_options([item("exact", choices=["a", "b"]), item("judge", choices=["a"])])


def test_the_built_in_suite_passes() -> None:
    items = load("core").items
    assert any(each.options for each in items)
    check_options(items)


@pytest.mark.parametrize("name", [p.name for p in registry("scorer") if p.origin[:8] == "perwatt "])
def test_every_option_that_is_taken_is_in_the_scorers_own_words(name: str) -> None:
    factory = registry("scorer").get(name)
    module = import_module(factory.__module__)
    words = "".join(getattr(each, "__doc__", None) or "" for each in vars(module).values())
    for option in vars(factory).get("options", ()):
        assert re.search(rf"\b{option}\b", words), option
