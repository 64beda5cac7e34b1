"""`choice`: which letter of a multiple-choice question the answer picks."""

from __future__ import annotations

import re
from string import ascii_uppercase

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.extract import bare, contains_phrase, first_line, normalise, statement

__all__ = ["choice", "pick_letter"]

_LEAD_IN = r"(?:(?:is\s+)?(?:option|choice|letter)\s*:?\s*)?"
_LABEL = re.compile(rf"^{_LEAD_IN}[(\[]?([A-Z])[)\].:](?!\w)", re.IGNORECASE)
_ALONE = re.compile(rf"^{_LEAD_IN}[(\[]?([A-Z])[)\]]?[.,;!]*$", re.IGNORECASE)
_LEADING = re.compile(r"^[(\[]?([A-Z])[)\]]?(?:\s*[-–:,.;]|\s|$)")
_MENTION = re.compile(r"(?<![\w'.-])[(\[]?([A-Z])(?:[)\]]|(?![\w'-]))")
_NEGATED = re.compile(
    r"(?:\bnot|\bnor|n't(?:\s+be)?)\s+(?:(?:option|choice)\s+)?[(\[]?$", re.IGNORECASE
)


def choice() -> Scorer:
    """Scores 1 when the answer picks the reference letter, else 0.

    Options: `choices`, the texts of A, B, C … in order. The reference is a letter. Taken as a pick:
    a letter alone or labelled ("B", "(B)", "B)", "**B**", "Answer: B"), or the full text of one
    choice. Two different letters without a final statement are no pick: extracted None, value 0.
    """

    def score(item: Item, text: str) -> Judgement:
        choices = item.options.get("choices")
        texts = [str(c) for c in choices] if isinstance(choices, list | tuple) else []
        letters = ascii_uppercase[: len(texts)]
        right = item.reference.strip().upper()
        if len(right) != 1 or right not in letters:
            why = f"the item {item.id!r} has no choice {item.reference!r}"
            return Judgement(value=None, abstained=True, explanation=why)
        picked, why = pick_letter(text, texts)
        return Judgement(value=float(picked == right), extracted=picked, explanation=why)

    return score


def pick_letter(text: str, choices: list[str]) -> tuple[str | None, str]:
    """The letter picked and the rule that found it, or None and why there is none."""
    plain = bare(text)
    if not plain:
        return None, "empty answer"
    stated = statement(text)
    if stated is not None:
        letter, rule = _read(stated, choices)
        if letter is not None:
            return letter, f"stated; {rule}"
    return _read(plain, choices)


def _read(plain: str, choices: list[str]) -> tuple[str | None, str]:
    letters = ascii_uppercase[: len(choices)]
    label = _LABEL.match(plain)
    if label and label[1].upper() not in letters:
        label = None
    words = normalise(plain[label.end() :] if label else plain)
    whole = [k for k, text in enumerate(choices) if words == normalise(text) != ""]
    if len(whole) == 1 and not _ALONE.match(plain):
        named = letters[whole[0]]
        if label and label[1].upper() != named:
            return None, f"ambiguous: the letter {label[1].upper()} with the text of {named}"
        return named, "the full text of one choice"

    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    labels = [m[1].upper() for line in lines if (m := _LABEL.match(line))]
    labels = [letter for letter in labels if letter in letters]
    head = first_line(plain)
    inline = {m[1] for m in re.finditer(r"(?<!\w)[(\[]?([A-Z])[)\].:](?=\s+\w)", head)} & set(
        letters
    )
    if len(set(labels) | inline) > 1:
        return None, f"ambiguous: {', '.join(sorted(set(labels) | inline))}"
    for pattern, rule in ((_ALONE, "a letter alone"), (_LABEL, "a labelled letter")):
        match = pattern.match(head)
        if match and match[1].upper() in letters:
            return match[1].upper(), rule
    match = _LEADING.match(head)
    if (
        match
        and match[1] in letters
        and not _is_word(match[1], head[match.end(1) :], choices, letters)
    ):
        rest = set(_mentions(head[match.end(1) :], choices, letters)) - {match[1]}
        return (
            (None, f"ambiguous: {match[1]}, {', '.join(sorted(rest))}")
            if rest
            else (
                match[1],
                "a leading letter",
            )
        )

    found = set(_mentions(plain, choices, letters))
    if len(found) == 1:
        return found.pop(), "the only letter mentioned"
    if found:
        return None, f"ambiguous: {', '.join(sorted(found))}"
    told = _named(plain, choices)
    if len(told) == 1:
        return letters[told[0]], "the only choice whose text is mentioned"
    if told:
        return None, f"ambiguous: {', '.join(letters[k] for k in told)}"
    return None, "no letter and no choice text found"


def _mentions(plain: str, choices: list[str], letters: str) -> list[str]:
    found = []
    for match in _MENTION.finditer(plain):
        letter = match[1]
        bracketed = match[0] != letter
        if letter not in letters or _NEGATED.search(plain[: match.start()]):
            continue
        if bracketed or not _is_word(letter, plain[match.end(1) :], choices, letters):
            found.append(letter)
    return found


def _is_word(letter: str, rest: str, choices: list[str], letters: str) -> bool:
    """Is this "A" the article, or this "I" the pronoun? Not before its own choice's text."""
    if letter not in "AI" or not re.match(r"\s+\w", rest):
        return False
    if re.match(r"\s+(?:is|was|are|and|or|because|since|as)\b", rest) and letter == "A":
        return False
    own = normalise(choices[letters.index(letter)])
    return not (own and normalise(rest).startswith(own))


def _named(plain: str, choices: list[str]) -> list[int]:
    """Choices whose text occurs as whole words, less those inside a longer one that occurs."""
    text = normalise(plain)
    forms = [normalise(c) for c in choices]
    hits = [k for k, form in enumerate(forms) if contains_phrase(text, form)]
    return [
        k
        for k in hits
        if not any(
            j != k and forms[j] != forms[k] and contains_phrase(forms[j], forms[k]) for j in hits
        )
    ]
