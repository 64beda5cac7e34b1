from __future__ import annotations

from pathlib import Path

import pytest

from perwatt.core.errors import FileError, SpecError, UnknownNameError
from perwatt.core.spec import RunSpec


def test_command_line_goes_over_file_goes_over_default(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    file.write_text('model = ["a", "b"]\nlimit = 5\nseed = 3\n')
    spec = RunSpec.resolve({"limit": 7}, file)
    assert (spec.model, spec.limit, spec.seed, spec.repeats) == (("a", "b"), 7, 3, 1)


def test_one_model_needs_no_brackets(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    file.write_text('model = "a"\n')
    assert RunSpec.resolve({}, file).model == ("a",)


def test_the_resolved_spec_can_be_run_again() -> None:
    spec = RunSpec.resolve({"model": ["a"], "load": "closed:4", "out": Path("x")})
    assert RunSpec.resolve(spec.to_json()) == spec
    assert spec.parallel == 4


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "--model is missing"),
        ({"model": ["a"], "limit": 0}, "--limit 0 is not usable"),
        ({"model": ["a"], "load": "open:3"}, "--load 'open:3' cannot be read"),
        ({"model": ["a"], "require_grade": "E"}, "--require-grade 'E' is not usable"),
        ({"model": ["a"], "top_p": 1.5}, "--top-p 1.5 is not usable"),
        ({"model": []}, "--model [] is not usable"),
    ],
)
def test_a_wrong_option_is_named_with_its_meaning(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        RunSpec.resolve(given)
    assert sentence in str(caught.value)
    assert caught.value.mend


def test_an_unknown_option_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean limit"):
        RunSpec.resolve({"model": ["a"], "limmit": 3})


def test_a_wrong_value_in_a_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    file.write_text('model = "a"\nlimit = -1\n')
    with pytest.raises(SpecError, match=f"limit in {file} -1 is not usable"):
        RunSpec.resolve({}, file)


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="There is no spec file"):
        RunSpec.resolve({}, tmp_path / "none.toml")
    with pytest.raises(FileError, match="cannot be read"):
        RunSpec.resolve({}, tmp_path)
    broken = tmp_path / "broken.toml"
    broken.write_text('model = "a\n')
    with pytest.raises(SpecError, match=r"not valid TOML.*line 1"):
        RunSpec.resolve({}, broken)


def test_a_pasted_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(SpecError, match="not the key itself") as caught:
        RunSpec.resolve({"model": ["a"], "api_key_env": "sk-verysecret"})
    assert "verysecret" not in str(caught.value)
