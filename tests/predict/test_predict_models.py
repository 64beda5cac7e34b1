"""The model catalogue and a user's facts over it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from perwatt.core.errors import FileError, SpecError
from perwatt.predict.facts import Facts, load_facts
from perwatt.predict.models import ModelFacts, find_model, model_key, models

KNOWN = [
    ("Qwen/Qwen3-8B", "Qwen3-8B"),
    ("qwen3:8b", "Qwen3-8B"),
    ("qwen3-8b@q4_k_m", "Qwen3-8B"),
    ("Qwen3-8B-IQ4_XS.gguf", "Qwen3-8B"),
    ("mlx-community/Qwen3-4B-4bit", "Qwen3-4B"),
    ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "Qwen3-235B-A22B-2507"),
    ("gemma-3-4b-it-qat-q4_0", "Gemma 3 4B"),
    ("gemma3-270m@q4_k_m", "Gemma 3 270M"),
    ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M"),
    ("meta-llama/Meta-Llama-3.1-8B-Instruct", "Llama-3.1-8B"),
    ("mistralai/Mixtral-8x7B-Instruct-v0.1", "Mixtral-8x7B-v0.1"),
    ("gpt-oss:20b", "gpt-oss-20b"),
    ("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5"),
]
UNKNOWN = [
    "qwen3",
    "gemma-34b",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
    "gpt-5-mini",
    "small",
    "",
]


@pytest.mark.parametrize(("text", "name"), KNOWN)
def test_a_hubs_or_files_name_finds_its_model(text: str, name: str) -> None:
    found = find_model(text)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("text", UNKNOWN)
def test_a_family_or_a_fine_tune_finds_none(text: str) -> None:
    assert find_model(text) is None


def test_no_two_models_share_a_spelling_and_each_has_its_source() -> None:
    keys = Counter(key for m in models() for key in {model_key(n) for n in (m.name, *m.aliases)})
    assert [key for key, count in keys.items() if count > 1 or not key] == []
    assert all(m.source and m.year for m in models())
    assert all(m.attention.source for m in models() if m.attention)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("gpt-oss-120b", "local"),
        ("Qwen3-14B", "local"),
        ("Qwen3-32B", None),
        ("Qwen3-235B-A22B", "cloud"),
        ("Gemini 2.5 Pro", "cloud"),
        ("DeepSeek-V3", "cloud"),
    ],
)
def test_local_and_cloud_by_the_studys_rule(text: str, place: str | None) -> None:
    found = find_model(text)
    assert found is not None
    assert found.place == place


FILE = """
[[model]]
name = "Qwen3-8B"
released = "2026"
active_b = 8
source = "mine"

[[device]]
name = "Emulated 80GB"
place = "cloud"
year = 2025
source = "emulated"

[gdp]
"Legal" = 2
"""


def test_a_users_facts_go_before_ours(tmp_path: Path) -> None:
    file = tmp_path / "facts.toml"
    file.write_text(FILE)
    facts = load_facts(file)
    own, ours = facts.model("qwen3-8b@q4_0"), facts.model("qwen3:4b")
    assert own is not None
    assert (own.year, own.source) == (2026, "mine")
    assert ours is not None
    assert ours.name == "Qwen3-4B"
    device = facts.device("NVIDIA Emulated 80GB")
    assert device is not None
    assert device.place == "cloud"
    assert facts.gdp == {"Legal": 2.0}
    assert Facts().model("Qwen3-8B") == find_model("Qwen3-8B")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[model]]\nname='a'\nsource='b'\nactiv_b=3", "unknown key 'activ_b' in [[model]] 'a'"),
        ("[[model]]\nname='a'\nsource='b'\nreleased='May'", "bad value in [[model]] 'a'"),
        ("[[model]]\nname='a'\nsource='b'\nactive_b=3\nparameters_b=2", "more than"),
        ("[[device]]\nname='a'", "[[device]] 'a': Object missing required field `source`"),
        ("[[device]]\nname='a'\nsource='b'\ntdp_w=-1", "tdp_w"),
        ("[[device]]\nsource='b'", "[[device]] number 1"),
        ("[device]\nname='a'", "a single table [device]"),
        ("[gdp]\nLegal=0", "'Legal' in [gdp] the weight 0"),
        ("gdp=3", "gdp that is no table"),
        ("[[model]]\nname='a 1'\nsource='b'\n[[model]]\nname='A-1'\nsource='b'", "two entries"),
        ("[models]", "unknown table 'models'"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "facts.toml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_facts(file)
    assert "facts.toml" in str(caught.value)
    assert said in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no file of facts"):
        load_facts(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff = 1")
    with pytest.raises(FileError, match="not TOML"):
        load_facts(tmp_path / "bad.toml")


def test_sizes_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="active_b of x"):
        ModelFacts(name="x", parameters_b=1, active_b=2, source="me")
