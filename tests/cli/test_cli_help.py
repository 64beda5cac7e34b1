"""What a first user meets: each verb's help, and what is said of a slip of the pen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perwatt.cli import _VERBS, main
from perwatt.cli.examples import EXAMPLES
from perwatt.cli.options import _GROUPS
from perwatt.core.spec import RunSpec


def help_of(verb: str, capsys: pytest.CaptureFixture[str]) -> str:
    main([verb, "--help"])
    return capsys.readouterr().out


def told(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in argv])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("verb", _VERBS)
def test_each_verb_ends_its_help_with_an_example_of_options_that_it_has(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_of(verb, capsys)
    assert text.rstrip().endswith(EXAMPLES[verb].split()[-1])
    own = EXAMPLES[verb].partition(" -- ")[0]
    assert own.startswith(f"perwatt {verb}")
    for option in re.findall(r"(?<= )--?[a-z][a-z-]*", own):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", text.partition("Example:")[0]), option


def test_the_runs_options_stand_under_headings() -> None:
    assert set(_GROUPS) == set(RunSpec.model_fields) - {"out"}


@pytest.mark.parametrize("verb", ["run", "study", "score", "resume"])
def test_a_misspelt_option_names_the_verb_to_ask(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    err = told(capsys, verb, "--clustre", "auto")
    assert "Did you mean --cluster?" in err
    assert err.endswith(f"See `perwatt {verb} --help`.\n")


def test_what_is_of_clusters_alone_is_refused_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--spread says how" in told(capsys, "run", "--model", "m", "--spread", "items")
    assert "--share-machine says how" in told(capsys, "run", "--model", "m", "--share-machine")
    (tmp_path / "run.json").write_text("{}")
    assert "of this machine alone" in told(capsys, "resume", tmp_path, "--cluster", "auto")


def test_a_folder_of_a_clusters_runs_is_not_scored_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "node1-a").mkdir()
    (tmp_path / "node1-a" / "run.json").write_text("{}")
    (tmp_path / "cluster.json").write_text("{}")
    err = told(capsys, "score", tmp_path)
    assert err.endswith(f"such as: perwatt score {tmp_path / 'node1-a'}\n")
