"""The drawn tree is the tree; every error says what to do and exits with the right code."""

from __future__ import annotations

import re

import pytest

from perwatt.core import errors
from perwatt.core.errors import MissingExtraError, PerwattError, UnknownNameError


def test_docstring_draws_every_error_and_no_other() -> None:
    drawn = set(re.findall(r"\b(\w+Error)\b", errors.__doc__ or ""))
    assert drawn == set(errors.__all__)


def test_drawn_exit_codes_are_the_real_ones() -> None:
    assert {name: getattr(errors, name).exit_code for name in errors.__all__ if "Run" in name} == {
        "RunDirError": 2,
        "InterruptedRunError": 3,
    }
    assert errors.FailuresError.exit_code == 1
    assert PerwattError.exit_code == 2


@pytest.mark.parametrize(
    ("asked", "offered"),
    [("smolm2-135m", "smollm2-135m"), ("gema3-270m", "gemma3-270m"), ("zzz", "Known:")],
)
def test_unknown_name_offers_the_nearest(asked: str, offered: str) -> None:
    error = UnknownNameError("model", asked, ["smollm2-135m", "gemma3-270m"])
    assert offered in str(error)
    assert repr(asked) in str(error)


def test_unknown_name_with_nothing_installed_points_to_list() -> None:
    assert "perwatt list" in str(UnknownNameError("sensor", "x", []))


def test_missing_extra_gives_the_pip_command() -> None:
    error = MissingExtraError("xllamacpp", "local", "The embedded engine")
    assert str(error) == (
        "The embedded engine needs the package 'xllamacpp', which is not installed. "
        "Run: pip install 'perwatt[local]'"
    )
