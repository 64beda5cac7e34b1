"""Every suite on files of the true schema that the test makes; none is downloaded."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perwatt.core.likelihood import Likelihood, encode
from perwatt.core.protocols import Closes, Scorer
from perwatt.core.records import Item, Workload
from perwatt.core.registry import registry
from perwatt.scoring.judge import how_judged
from perwatt.scoring.known_options import check_options
from perwatt.workloads.load import load
from perwatt.workloads.suite_file import suite_files

Upstream = Callable[..., Path]
CORE = Path(load.__code__.co_filename).parent / "data" / "core-v1.jsonl"
SUITES = [
    "aime",
    "arc",
    "gpqa",
    "gsm8k",
    "hellaswag",
    "hellaswag-letters",
    "humaneval",
    "ifeval",
    "livecodebench",
    "math-500",
    "mbpp",
    "mmlu-pro",
    "natural-reasoning",
    "simpleqa",
    "supergpqa",
    "truthfulqa",
    "wildchat",
    "winogrande",
]
MADE_OF = {"hellaswag-letters": "hellaswag", "aime:2024": "aime-2024"}
"""Those whose files have another suite's, or a variant's, name in `upstream/`."""


@pytest.fixture
def loaded(upstream: Upstream) -> Callable[[str], Workload]:
    """A suite, or `suite:variant`, from its files as the hub has them."""

    def get(name: str) -> Workload:
        suite, _, variant = name.partition(":")
        folder = upstream(MADE_OF.get(name, MADE_OF.get(suite, suite)))
        chosen = f"variant={variant}," if variant else ""
        return load(f"{suite}:{chosen}path={folder}")

    return get


@pytest.fixture(scope="module")
def scorer() -> Iterator[Callable[[Item], Scorer]]:
    """Of an item; each is made once, and closed where it needs to be."""
    made: dict[str, Scorer] = {}

    def get(item: Item) -> Scorer:
        if item.scorer not in made:
            made[item.scorer] = registry("scorer").get(item.scorer)()
        return made[item.scorer]

    yield get
    for one in made.values():
        if isinstance(one, Closes):
            one.close()


def _asked(item: Item) -> str:
    return item.messages[-1].content


def test_all_are_there() -> None:
    assert sorted(suite_files()) == sorted(SUITES)


@pytest.mark.parametrize("name", SUITES)
def test_each_is_one_screen_and_says_whose_it_is(name: str) -> None:
    text = suite_files()[name].read_text("utf-8")
    assert len(text.splitlines()) <= 90
    tables = tomllib.loads(text)
    assert tables["name"] == name
    assert tables["paper"]
    assert tables["licence"]
    assert tables["source"]["hub"].count("/") == 1
    known = {json.loads(line).get("category") for line in CORE.read_text("utf-8").splitlines()}
    assert set(tables.get("categories", {}).values()) <= known


@pytest.mark.parametrize("name", SUITES)
def test_items_do_not_change_from_load_to_load(
    loaded: Callable[[str], Workload], name: str
) -> None:
    workload = loaded(name)
    again = loaded(name)
    assert workload.items
    assert workload.sha256 == again.sha256
    assert all(item.id and _asked(item).strip() for item in workload.items)
    assert len({item.id for item in workload.items}) == len(workload.items)


def test_gsm8k(loaded: Callable[[str], Workload]) -> None:
    eggs, house = loaded("gsm8k").items
    assert (eggs.id, eggs.reference) == ("gsm8k-test-0000", "42")
    assert house.reference == "1500000"
    assert _asked(eggs).endswith("then end with the line: The answer is <number>.")


def test_math_500(loaded: Callable[[str], Workload]) -> None:
    items = loaded("math-500").items
    assert [item.level for item in items] == [1, 3, 2]
    assert [item.reference for item in items] == [r"\frac{5}{6}", "(-2,2)", "8"]
    assert _asked(items[0]).endswith(r"put your final answer within \boxed{}.")


@pytest.mark.parametrize(("name", "count"), [("gpqa", 3), ("gpqa:main", 4)])
def test_gpqa_choices_are_shuffled_by_id_alone(
    loaded: Callable[[str], Workload], name: str, count: int
) -> None:
    items = loaded(name).items
    assert len(items) == count
    right = [item.options["choices"]["ABCD".index(item.reference)] for item in items]
    assert right[:3] == ["4 m/s", "ethanol", "ribosome"]  # space around them is gone
    assert {item.category for item in items} == {"Life, physical, social science"}
    assert "with a comma\nand two lines?" in _asked(items[0])


@pytest.mark.parametrize(
    ("name", "references"),
    [("arc", ["B", "B"]), ("arc:easy", ["B"]), ("arc:likelihood", ["B", "B"])],
)
def test_arc_labels_become_letters(
    loaded: Callable[[str], Workload], name: str, references: list[str]
) -> None:
    items = loaded(name).items
    assert [item.reference for item in items] == references
    if name == "arc:likelihood":
        assert items[1].continuations == (" the Moon", " the Sun", " a mirror")
        assert _asked(items[1]) == "Question: Which is a source of light?\nAnswer:"
    else:
        assert not items[0].continuations


def test_hellaswag_weighs_endings_without_marks(loaded: Callable[[str], Workload]) -> None:
    roof, herbs = loaded("hellaswag").items
    assert _asked(roof) == "Roof shingle removal: A man is sitting on a roof. He"
    assert roof.continuations[3] == " starts pulling up roofing on a roof."
    assert (roof.reference, herbs.reference) == ("D", "A")
    assert "[" not in _asked(herbs) + "".join(herbs.continuations)
    assert "How to dry herbs. Pick them early." in _asked(herbs)


def test_hellaswag_letters_are_turned_with_their_right_one(
    loaded: Callable[[str], Workload],
) -> None:
    for item, right in zip(
        loaded("hellaswag-letters").items,
        ("starts pulling up roofing on a roof.", "Hang them up. [substeps] Wait two weeks."),
        strict=True,
    ):
        assert item.options["choices"]["ABCD".index(item.reference)] == right
        assert not item.continuations


def test_truthfulqa_both_ways(loaded: Callable[[str], Workload]) -> None:
    for name in ("truthfulqa", "truthfulqa:likelihood"):
        gum, goldfish = loaded(name).items
        assert gum.options["choices"]["ABC".index(gum.reference)] == "It passes through you"
        assert goldfish.options["choices"]["AB".index(goldfish.reference)] == "Yes, for months"
        assert len(gum.continuations) == (3 if "likelihood" in name else 0)
    assert _asked(goldfish).endswith("Q: Can goldfish remember more than three seconds?\nA:")


def test_winogrande_weighs_all_that_follows_the_gap(loaded: Callable[[str], Workload]) -> None:
    vase, cook = loaded("winogrande").items
    assert _asked(vase) == "The vase did not fit in the box because the"
    assert vase.continuations == (" vase was too small.", " box was too small.")
    assert (vase.reference, cook.reference) == ("B", "A")
    asked, _ = loaded("winogrande:letters").items
    assert asked.continuations == ()
    assert asked.options["choices"] == ["vase", "box"]


def test_ifeval_keeps_what_is_said_of_each_instruction(loaded: Callable[[str], Workload]) -> None:
    commas, rivers = loaded("ifeval").items
    assert (commas.id, commas.reference) == ("ifeval-1000", "")
    assert _asked(commas) == "Describe a lighthouse. Do not use any commas."
    told = json.dumps(rivers.options)
    assert "length_constraints:number_words" in told
    assert '"num_words": 20' in told


def test_simpleqa_is_judged_in_three_grades(loaded: Callable[[str], Workload]) -> None:
    sea, painter = loaded("simpleqa").items
    assert _asked(sea) == 'Which sea, "the dead one", lies lowest?'
    assert (sea.reference, painter.reference) == ("The Dead Sea", "1931")
    assert painter.options["mode"] == "three-way"
    assert (sea.category, painter.category) == (None, "Arts, design, sports, entertainment, media")


def test_aime_of_either_year(loaded: Callable[[str], Workload]) -> None:
    first, second = loaded("aime").items
    assert (first.id, first.reference) == ("aime2025-01", "24")  # 024 in the data
    assert second.reference == "21"
    (earlier,) = loaded("aime:2024").items
    assert (earlier.id, earlier.reference) == ("aime2024-60", "204")


@pytest.mark.parametrize(
    ("name", "place", "right", "wrong"),
    [
        ("mmlu-pro", 0, "A trustee owes loyalty above all.\nThe answer is (A).", "It is (B)."),
        ("mmlu-pro", 1, "3x² is 12 at 2. **The answer is (D).**", "3x² is 6. The answer is (B)."),
        ("supergpqa", 0, "Only a plough cuts soil.\n\nThe answer is (A).", "The answer is (D)."),
        ("gsm8k", 0, "14 days of 3 eggs: 14 * 3 = 42.\nThe answer is 42.", "The answer is 41."),
        ("gsm8k", 1, "1250 + 250 thousand.\nThe answer is $1,500,000.", "The answer is 1,500."),
        ("math-500", 0, r"3/6 + 2/6, so $\boxed{\dfrac{5}{6}}$.", r"\boxed{\frac{2}{5}}"),
        ("math-500", 1, r"Hence $x\in\boxed{(-2, 2)}$.", r"\boxed{[-2, 2]}"),
        ("aime", 0, r"1024 leaves 24, so \boxed{24}.", r"\boxed{124}"),
        ("aime", 0, r"It is \boxed{024}.", "I cannot tell."),
        ("arc", 1, "B", "A"),
        ("winogrande:letters", 0, "B) box", "A"),
        ("ifeval", 0, "A tall tower with a bright lamp.", "A tower, tall and bright."),
        ("ifeval", 1, "the rhine and the danube", "The Rhine and the Danube."),
    ],
)
def test_a_right_answer_scores_and_a_wrong_one_does_not(
    loaded: Callable[[str], Workload],
    scorer: Callable[[Item], Scorer],
    name: str,
    place: int,
    right: str,
    wrong: str,
) -> None:
    item = loaded(name).items[place]
    judged = [scorer(item)(item, text) for text in (right, wrong)]
    assert [judgement.value for judgement in judged] == [1, 0], judged


@pytest.mark.parametrize(
    "name", ["arc:likelihood", "hellaswag", "truthfulqa:likelihood", "winogrande"]
)
def test_the_likeliest_continuation_scores(
    loaded: Callable[[str], Workload], scorer: Callable[[Item], Scorer], name: str
) -> None:
    for item in loaded(name).items:
        right = "ABCD".index(item.reference)
        for best in range(len(item.continuations)):
            weighed = [
                # So unlike each other that no norm changes their order.
                Likelihood(logprob=-1e-3 if n == best else -1e3, tokens=4)
                for n in range(len(item.continuations))
            ]
            assert scorer(item)(item, encode(weighed)).value == (best == right)


def test_a_judge_can_be_told_what_each_item_needs(loaded: Callable[[str], Workload]) -> None:
    forms = {
        name: {how_judged(item).form for item in loaded(name).items}
        for name in ("wildchat", "natural-reasoning", "simpleqa")
    }
    assert forms == {
        "wildchat": {"pairwise"},
        "natural-reasoning": {"true-false"},
        "simpleqa": {"three-way"},
    }


@pytest.mark.parametrize("name", [*SUITES, "aime:2024"])
def test_each_scorer_knows_all_that_its_items_ask_for(
    loaded: Callable[[str], Workload], name: str
) -> None:
    check_options(loaded(name).items)
