"""Items of a .jsonl file that are conversations, or ask for a length."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perwatt.core.errors import FileError
from perwatt.workloads.load import load

GOOD = {
    "id": "a",
    "kind": "k",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
    "reference": "yes",
    "scorer": "exact",
}


def write(folder: Path, *lines: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_turns_and_a_length_are_read_and_are_part_of_the_hash(tmp_path: Path) -> None:
    talk = {**GOOD, "turns": ["And then?", "Why?"], "prompt_tokens": 40}
    whole = load(write(tmp_path, talk))
    (item,) = whole.items
    assert (item.turns, item.prompt_tokens) == (("And then?", "Why?"), 40)
    assert load(write(tmp_path, {**talk, "turns": ["Why?"]})).sha256 != whole.sha256
    assert load(write(tmp_path, {**talk, "prompt_tokens": 41})).sha256 != whole.sha256


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"turns": ["And?", "  "]}, "has an empty turn"),
        ({"turns": "And?"}, "is no item"),
        ({"turns": ["And?"], "messages": [GOOD["messages"][0]]}, "the last .* must be the user's"),
        ({"prompt_tokens": 0}, "has prompt_tokens 0, and 1 is the least"),
        ({"prompt_tokens": 9, "messages": [GOOD["messages"][0]]}, "but no user message"),
        ({"prompt_tokens": "9"}, "is no item"),
    ],
)
def test_a_conversation_that_cannot_be_asked_is_named(
    tmp_path: Path, more: dict[str, object], said: str
) -> None:
    path = write(tmp_path, GOOD, {**GOOD, "id": "b", **more})
    with pytest.raises(FileError, match=f"Line 2 of .*{said}") as caught:
        load(path)
    assert caught.value.mend
