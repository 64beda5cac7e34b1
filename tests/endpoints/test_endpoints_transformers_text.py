"""Tokens as text that can be shown, and where a stop string ends it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.endpoints.in_process_text import Detokenizer, StopStrings, ThinkTags


def as_bytes(ids: Sequence[int]) -> str:
    """A tokenizer of bytes: the hardest there is, each character cut anywhere."""
    return bytes(ids).decode("utf-8", errors="replace")


def as_words(ids: Sequence[int]) -> str:
    """SentencePiece's way: a space before each word but the first that is decoded."""
    return " ".join(f"w{i}" for i in ids)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_whole_characters_alone_are_shown(text: str) -> None:
    words = Detokenizer(as_bytes)
    pieces = [words.feed([byte]) for byte in text.encode()]
    assert "".join(pieces) + words.end() == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)


def test_spaces_between_tokens_are_kept() -> None:
    words = Detokenizer(as_words)
    assert [words.feed([i]) for i in range(4)] == ["w0", " w1", " w2", " w3"]


def test_bytes_that_never_become_a_character_are_shown_at_the_end() -> None:
    words = Detokenizer(as_bytes)
    assert [words.feed([byte]) for byte in b"a\xf0\x9f"] == ["a", "", ""]
    assert words.end() == "\ufffd"


@settings(max_examples=100, deadline=None)
@given(
    st.text(alphabet="ab\n", max_size=30),
    st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(min_value=0, max_value=30), max_size=6),
)
def test_the_first_stop_string_ends_the_text_however_it_comes(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    stopper = StopStrings(stops)
    shown = ""
    for start, end in itertools.pairwise(edges):
        shown += stopper.feed(text[start:end])
        # What was shown is never taken back.
        assert text.startswith(shown)
    shown += stopper.end()
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    assert stopper.stopped == bool(found)
    if len(edges) <= 2:  # in one piece the first of several is known
        assert shown == (text[: min(found)] if found else text)
    elif found:
        assert not any(stop in shown for stop in stops)
    else:
        assert shown == text


def test_nothing_is_shown_after_the_stop() -> None:
    stopper = StopStrings(["\n\n"])
    assert [stopper.feed(piece) for piece in ("a\n", "b\n", "\nc", "d")] == ["a", "\nb", "", ""]
    assert stopper.stopped
    assert stopper.end() == ""


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["", "<think>", "\n<think>", "plain <think>"]),
    st.text(alphabet="ab<>/think ", max_size=20),
    st.sampled_from(["", "</think>"]),
    st.text(alphabet="ab<", max_size=10),
    st.lists(st.integers(min_value=0, max_value=60), max_size=8),
)
def test_reasoning_is_told_from_the_answer_however_it_comes(
    before: str, thought: str, close: str, answer: str, cuts: list[int]
) -> None:
    text = before + thought + close + answer
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})

    def split(pieces: list[str]) -> tuple[str, str]:
        tags = ThinkTags("")
        parts = [part for piece in pieces for part in tags.feed(piece)] + tags.end()
        assert all(shown for _, shown in parts)
        return (
            "".join(shown for reasoning, shown in parts if reasoning),
            "".join(shown for reasoning, shown in parts if not reasoning),
        )

    whole = split([text])
    assert split([text[start:end] for start, end in itertools.pairwise(edges)]) == whole
    opened = text.lstrip().removeprefix("<think>") if text.lstrip().startswith("<think>") else None
    inside, _, after = (opened or "").partition("</think>")
    assert whole == ((inside, after) if opened is not None else ("", text))


def test_a_template_that_opens_the_tag_itself() -> None:
    tags = ThinkTags("<|assistant|>\n<think>\n")
    assert tags.feed("hm") + tags.feed("</th") + tags.feed("ink>Yes") + tags.end() == [
        (True, "hm"),
        (False, "Yes"),
    ]
    assert ThinkTags("bot:").feed("Yes </think>") == [(False, "Yes </think>")]
