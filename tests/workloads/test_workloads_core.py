"""The built-in suite: as large, as spread, as right and as unchanged as it claims to be."""

from __future__ import annotations

import ast
import re
import statistics
from collections import Counter
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

from perwatt.core.records import Item
from perwatt.core.registry import registry
from perwatt.workloads.authoring.__main__ import main
from perwatt.workloads.authoring.domains import DOMAINS
from perwatt.workloads.authoring.logic import _GROUPS
from perwatt.workloads.core import core
from perwatt.workloads.load import load

WORKLOAD = core()
ITEMS = WORKLOAD.items


def question(item: Item) -> str:
    return item.messages[-1].content


def test_it_is_large_and_spread() -> None:
    assert len(ITEMS) >= 400
    kinds = Counter(item.kind for item in ITEMS)
    assert len(kinds) >= 8
    cells = Counter((item.kind, item.level) for item in ITEMS)
    assert set(cells) == {(kind, level) for kind in kinds for level in (1, 2, 3)}
    assert min(cells.values()) >= 14
    categories = Counter(item.category for item in ITEMS)
    assert set(categories) == {domain.category for domain in DOMAINS}
    assert len(categories) == 22
    assert min(categories.values()) >= 20


def test_ids_and_questions_are_all_different() -> None:
    assert len({item.id for item in ITEMS}) == len(ITEMS)
    assert len({item.messages for item in ITEMS}) == len(ITEMS)


def test_it_is_short_to_ask_and_to_answer() -> None:
    words = [sum(len(m.content.split()) for m in item.messages) for item in ITEMS]
    assert statistics.median(words) <= 60
    assert max(words) <= 120
    assert max(item.max_tokens for item in ITEMS) <= 64


def test_the_data_file_is_what_the_authoring_gives(tmp_path: Path) -> None:
    main(tmp_path)
    data = files("perwatt.workloads") / "data"
    for made in tmp_path.iterdir():
        assert made.read_bytes() == (data / made.name).read_bytes(), made.name


def test_name_and_hash_are_those_of_the_registry() -> None:
    assert load("core").sha256 == WORKLOAD.sha256
    assert WORKLOAD.licence == "CC0-1.0"


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_the_reference_scores_one_and_an_empty_answer_zero(item: Item) -> None:
    scorer = registry("scorer").get(item.scorer)()
    assert scorer(item, item.reference).value == 1
    assert scorer(item, "").value == 0
    if item.kind != "instruction-following":
        assert scorer(item, question(item)).value == 0  # to repeat the question is no answer


def test_each_choice_has_one_right_letter_and_the_letters_are_balanced() -> None:
    chosen = [item for item in ITEMS if item.scorer == "choice"]
    letters = Counter(item.reference for item in chosen)
    assert set(letters) == set("ABCD")
    assert max(letters.values()) - min(letters.values()) <= 1
    groups = {word: group for group, words in _GROUPS.items() for word in words}
    assert len(groups) == sum(map(len, _GROUPS.values()))  # no word in two groups
    for item in chosen:
        options = item.options["choices"]
        assert len(set(options)) == 4
        text = question(item)
        if word := re.search(r"word '(\w+)'", text):
            right = [option for option in options if option == groups[word[1]]]
        elif group := re.search(r"is not (an? [\w ]+)\?", text):
            right = [option for option in options if groups[option] != group[1]]
        else:
            found = re.search(r"is (an? [\w ]+)\?", text)
            assert found, text
            right = [option for option in options if groups[option] == found[1]]
        assert right == [options["ABCD".index(item.reference)]], item.id


FACTORS = {
    "minutes/hour": 60,
    "centimeters/meter": 100,
    "grams/kilogram": 1000,
    "seconds/minute": 60,
    "meters/kilometer": 1000,
    "days/week": 7,
    "hours/day": 24,
    "milliliters/liter": 1000,
}


def solve(text: str) -> float | None:
    """An independent reading of the generated questions: numbers and verbs, not the templates."""
    n = [int(x) for x in re.findall(r"\d+", text)]
    if found := re.search(r"What is (.+?)\?", text):
        sum_text = found[1].replace("×", "*").replace("times", "*")
        return float(eval(compile(ast.parse(sum_text, mode="eval"), "sum", "eval")))
    if found := re.search(r"How many (\w+) are in (one|\d+) (\w+?)s?\?", text):
        return FACTORS[f"{found[1]}/{found[3]}"] * (1 if found[2] == "one" else n[0])
    if found := re.search(r"How many (\w+)s are \d+ (\w+)\?", text):
        return n[0] / FACTORS[f"{found[2]}/{found[1]}"]
    if "cost $" in text:
        return n[2] - n[0] * n[1]
    if "boxes of" in text:
        return n[0] * n[1] - n[2]
    if "and loses" in text:
        return n[0] + n[1] - n[2]
    if "boxes holds" in text:
        return n[0] * n[1]
    if re.search(r"gives away|and sells", text):
        return n[0] - n[1]
    if re.search(r"gets|bought|outside", text):
        return n[0] + n[1]
    if "queue" in text:
        return n[0] - n[1] - 1
    return None


def test_every_numeric_reference_is_derived_anew() -> None:
    numeric = [item for item in ITEMS if item.scorer == "numeric"]
    assert len(numeric) >= 88
    for item in numeric:
        assert solve(question(item)) == float(item.reference), (item.id, question(item))


DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December"]  # fmt: skip


def test_short_reasoning_is_derived_anew() -> None:
    asked = [item for item in ITEMS if item.kind == "reasoning" and item.scorer == "exact"]
    assert len(asked) >= 30
    for item in asked:
        text = question(item)
        last = text.rstrip("?").split()[-1]
        n = [int(x) for x in re.findall(r"\d+", text)]
        if "Which day" in text:
            expected = DAYS[(DAYS.index(last) + 1) % 7]
        elif "Which month" in text:
            expected = MONTHS[(MONTHS.index(last) + 1) % 12]
        elif "Today is" in text:
            today = text.split()[2].rstrip(".")
            expected = DAYS[(DAYS.index(today) + n[0]) % 7]
        elif "Continue" in text:
            assert n[1] - n[0] == n[2] - n[1] == n[3] - n[2]
            expected = str(2 * n[3] - n[2])
        elif "badge" in text:
            expected = "yes"
        elif found := re.match(r"(\w+) has more \w+ than (\w+)\. The one with fewer", text):
            expected = found[2]
        elif found := re.match(r"(\w+) has \d+ \w+, (\w+) has \d+ \w+\. The one with more", text):
            expected = found[1] if n[0] > n[1] else found[2]
        else:
            found = re.match(
                r"(\w+) is older than (\w+)\. \2 is older than (\w+)\. The youngest", text
            )
            assert found, text
            expected = found[3]
        assert item.reference == expected, item.id


def test_answers_stand_in_the_text_where_they_should_and_only_there() -> None:
    for item in ITEMS:
        if item.kind in {"reading", "extraction"}:
            assert item.reference in question(item), item.id
        if item.kind == "knowledge":
            for answer in (item.reference, *item.options["accept"]):
                assert not re.search(rf"\b{re.escape(answer)}\b", question(item), re.I), item.id


def test_swaps_in_level_3_reading_are_followed_rightly() -> None:
    asked = [item for item in ITEMS if item.kind == "reading" and item.level == 3]
    for item in asked:
        text = question(item)
        found = re.search(
            r"(\w+) looks after the (\w+), (\w+) after the (\w+) and (\w+) after the (\w+)\.", text
        )
        assert found
        a, _, b, tb, c, tc = found.groups()
        assert f"{b} and {c} traded" in text
        now = {tb: c, tc: b}
        thing = re.search(r"after the (\w+) now", text)
        assert item.reference == (now[thing[1]] if thing else a)


def test_examples_are_no_items_and_are_right() -> None:
    asked = {question(item) for item in ITEMS}
    with_shots = {item.kind for item in ITEMS if len(item.messages) > 1}
    assert set(WORKLOAD.examples) | with_shots == {item.kind for item in ITEMS}
    for turns in WORKLOAD.examples.values():
        assert [turn.role for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        assert not {turn.content for turn in turns} & asked


def test_an_altered_file_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from perwatt.core.errors import FileError

    monkeypatch.setattr("perwatt.workloads.core.SHA256", "0" * 64)
    with pytest.raises(FileError, match="Reinstall"):
        core()


def test_items_survive_json() -> None:
    encoded = msgspec.json.encode(ITEMS)
    assert msgspec.json.decode(encoded, type=tuple[Item, ...]) == ITEMS
