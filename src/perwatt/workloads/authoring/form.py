"""instruction-following and editing: what counts is the form asked for."""

from __future__ import annotations

from typing import Any

from perwatt.workloads.authoring.draft import Draft, Slot

__all__ = ["editing", "instruction_following"]

_OPPOSITES = [
    ("hot", "cold"), ("big", "small"), ("open", "closed"), ("fast", "slow"), ("light", "dark"),
    ("early", "late"), ("full", "empty"), ("high", "low"), ("hard", "soft"), ("old", "new"),
    ("clean", "dirty"), ("strong", "weak"), ("wet", "dry"), ("happy", "sad"), ("near", "far"),
]  # fmt: skip
_OTHER_OPPOSITES = {
    "big": ["little", "tiny"], "open": ["shut", "close"], "light": ["heavy"],
    "hard": ["easy", "simple"], "old": ["young"], "high": ["short"], "happy": ["unhappy"],
    "early": ["tardy"], "clean": ["soiled", "unclean"], "near": ["distant"],
}  # fmt: skip
_PAST = [
    ("walk", "walked"), ("clean", "cleaned"), ("open", "opened"), ("go", "went"), ("buy", "bought"),
    ("write", "wrote"), ("see", "saw"), ("take", "took"), ("make", "made"), ("drive", "drove"),
    ("teach", "taught"), ("speak", "spoke"), ("sell", "sold"), ("build", "built"),
    ("find", "found"),
]  # fmt: skip


def instruction_following(slot: Slot) -> Draft:
    """1: one loose demand. 2: one exact demand. 3: two or three demands at once."""
    d, turn = slot.domain, slot.number % 3
    t1, t2, _ = slot.things()
    tokens = 32
    check: dict[str, Any]
    if slot.level == 1:
        asked, example, check = (
            (
                f"Write one sentence about {t1} at a {d.place}. Use the word {t1}.",
                f"The {d.place} has many {t1}.",
                {"includes": t1, "min_words": 4},
            ),
            (
                f"Write a short sentence that begins with the words: The {d.role}",
                f"The {d.role} works hard.",
                {"starts_with": f"The {d.role}", "min_words": 4},
            ),
            (f"Repeat this word: {t2}", t2, {"includes": t2, "max_words": 4}),
        )[turn]
    elif slot.level == 2:
        asked, example, check = (
            (
                f"Write one sentence with the words {d.role} and {d.city}.",
                f"The {d.role} lives in {d.city}.",
                {"includes": [d.role, d.city], "max_words": 24},
            ),
            (
                f"Write one question about the {t1} at a {d.place}. End it with a question mark.",
                f"Who moved the {t1}?",
                {"ends_with": "?", "min_words": 3},
            ),
            (
                f"Say in one short sentence, of at most fifteen words, what {d.a_role} does.",
                f"The {d.role} looks after the {t1}.",
                {"max_words": 15, "min_words": 3},
            ),
        )[turn]
    else:
        asked, example, check = (
            (
                f"Write one sentence that holds the words {t1}, {t2} and {d.city}.",
                f"We sent {t1} and {t2} to {d.city}.",
                {"includes": [t1, t2, d.city], "max_words": 24},
            ),
            (
                f"Write a title of at most five words for a story about {t1}.",
                f"The Lost {t1}",
                {"max_words": 5},
            ),
            (
                f"IN CAPITAL LETTERS ONLY, write one sentence about {t1}. Do not use a comma.",
                f"THE {t1.upper()} ARE NEW.",
                {"uppercase": True, "excludes": ",", "min_words": 3},
            ),
        )[turn]
    return Draft(asked, example, "exact", {"check": check}, tokens)


def editing(slot: Slot) -> Draft:
    """1: copy a line. 2: change one word. 3: change the order of a list."""
    d, dice, turn = slot.domain, slot.dice, slot.number % 3
    words = [*slot.things(), *dice.sample(["paper", "water", "coffee", "metal", "paint"], 1)]
    dice.shuffle(words)
    options: dict[str, Any] = {}
    if slot.level == 1:
        (name,) = slot.names(1)
        asked, answer = (
            (f"Repeat these words: {words[0]} and {words[1]}", f"{words[0]} and {words[1]}"),
            (f"Copy this sentence: The {d.role} is in {d.city}.", f"The {d.role} is in {d.city}."),
            (f"Copy this line: {name}, {d.place}, {d.city}", f"{name}, {d.place}, {d.city}"),
        )[turn]
    elif slot.level == 2:
        word, opposite = dice.choice(_OPPOSITES)
        now, then = dice.choice(_PAST)
        asked, answer, options = (
            (f"Write this word in capital letters: {words[1]}", words[1].upper(), {"case": True}),
            (
                f"What is the opposite of the word '{word}'? Answer with one word.",
                opposite,
                {"accept": _OTHER_OPPOSITES.get(word, [])},
            ),
            (f"What is the past tense of the verb '{now}'? Answer with one word.", then, {}),
        )[turn]
    else:
        three = words[:3]
        asked, answer, options = (
            (
                f"Put these words in alphabetical order: {', '.join(three)}",
                ", ".join(sorted(three)),
                {},
            ),
            (
                f"Write this list in reverse order: {', '.join(three)}",
                ", ".join(reversed(three)),
                {},
            ),
            (
                f"Write the second word of this list in capital letters: {', '.join(three)}",
                three[1].upper(),
                {"case": True},
            ),
        )[turn]
    # A copy stands alone; a changed word may stand in a sentence.
    options = {"match": "first-line" if slot.level == 1 else "contains", **options}
    return Draft(asked, answer, "exact", options, 24)
