"""One suite that every registered scorer must pass, a third party's as well as ours."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item
from perwatt.core.registry import registry

REFERENCES = ["B", "42", "Paris", '{"a": 1}', "", "é"]
OPTIONS = [
    {},
    {"choices": ["Paris", "London", "Rome"]},
    {"unit": "m", "tolerance": 0.1},
    {"check": {"words": 3}, "reject": ["x"]},
    {"check": {"no-such-check": 1}},
    {"match": "sideways"},
    {"partial": True, "casefold": True, "extra": True},
    {"prompt": "def f(x):\n", "test": "def check(f): pass", "entry_point": "not a name"},
]
TEXTS = st.one_of(
    st.text(max_size=200),
    st.text(alphabet='{}[]":,ABC 0123456789.-/$%*\\()eE×^\n', max_size=200),
    st.sampled_from(
        ["[" * 5000, "{" * 5000, "9" * 5000, "1e999999", "1/0", "\\frac{1}{0}", "A" * 5000]
    ),
)


@pytest.fixture(params=registry("scorer").names())
def scorer(request: pytest.FixtureRequest) -> Scorer:
    made: Scorer = registry("scorer").get(request.param)()
    return made


def make_item(reference: str, options: dict[str, object]) -> Item:
    return Item(id="i", kind="k", messages=(), reference=reference, scorer="s", options=options)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=TEXTS, reference=st.sampled_from(REFERENCES), options=st.sampled_from(OPTIONS))
def test_any_text_is_judged_or_abstained_never_raised(
    scorer: Scorer, text: str, reference: str, options: dict[str, object]
) -> None:
    judgement = scorer(make_item(reference, options), text)
    if judgement.abstained:
        assert judgement.value is None
        assert judgement.explanation
    else:
        assert judgement.value is not None
        assert 0 <= judgement.value <= 1
        if judgement.extracted is None:
            assert judgement.value == 0


@pytest.mark.parametrize("text", ["", " ", "\n\t\n", "\u00a0"])
@pytest.mark.parametrize("options", OPTIONS)
def test_an_empty_answer_is_an_extraction_failure(
    scorer: Scorer, text: str, options: dict[str, object]
) -> None:
    judgement = scorer(make_item("B", options), text)
    assert judgement.extracted is None
    assert judgement.abstained or judgement.value == 0


def test_judging_is_pure(scorer: Scorer) -> None:
    item = make_item("B", {"choices": ["Paris", "London"], "unit": "m"})
    before = repr(item)
    assert scorer(item, "B 42") == scorer(item, "B 42")
    assert repr(item) == before
