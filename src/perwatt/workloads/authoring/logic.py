"""reasoning (short, answered in a word) and choice (four options, answered with a letter)."""

from __future__ import annotations

from string import ascii_uppercase

from perwatt.workloads.authoring.draft import Draft, Slot

__all__ = ["choice", "reasoning"]

_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December"]  # fmt: skip
_GROUPS = {
    "a fruit": ["apple", "banana", "pear", "orange", "grape", "cherry", "lemon"],
    "an animal": ["horse", "rabbit", "tiger", "dolphin", "eagle", "monkey", "frog"],
    "a color": ["blue", "green", "yellow", "purple", "red", "pink", "brown"],
    "a tool": ["hammer", "saw", "wrench", "drill", "shovel", "pliers", "axe"],
    "a piece of clothing": ["shirt", "jacket", "scarf", "hat", "glove", "skirt", "sweater"],
    "a vehicle": ["truck", "bicycle", "airplane", "boat", "tram", "scooter", "van"],
    "a part of the body": ["elbow", "finger", "nose", "shoulder", "ankle", "tongue", "wrist"],
    "a musical instrument": ["violin", "drum", "flute", "trumpet", "harp", "cello", "banjo"],
}


def reasoning(slot: Slot) -> Draft:
    """1: go on with a row. 2: one comparison or a rule. 3: two comparisons or a count."""
    d, dice, turn = slot.domain, slot.dice, slot.number % 3
    a, b, c = slot.names(3)
    thing = slot.things()[0]
    others: list[str]
    if slot.level == 1:
        k, step, start = dice.randrange(7), dice.choice([1, 2, 5, 10]), dice.randrange(1, 6)
        row = (
            [start + step * i for i in range(5)]
            if step == 1
            else [step * (start + i) for i in range(5)]
        )
        month = dice.randrange(12)
        asked, answer, others = (
            (f"Which day comes right after {_DAYS[k]}?", _DAYS[(k + 1) % 7], []),
            (f"Continue this row of numbers: {', '.join(map(str, row[:4]))}", str(row[4]), []),
            (f"Which month comes right after {_MONTHS[month]}?", _MONTHS[(month + 1) % 12], []),
        )[turn]
    elif slot.level == 2:
        x, y = sorted(dice.sample(range(11, 99), 2))
        first, second = (x, y) if dice.random() < 0.5 else (y, x)
        more, less = (a, b) if first > second else (b, a)
        asked, answer, others = (
            (f"{a} has more {thing} than {b}. The one with fewer {thing} is", b, [a]),
            (
                f"{a} has {first} {thing}, {b} has {second} {thing}. The one with more is",
                more,
                [less],
            ),
            (
                f"{a} is {d.a_role}. Every {d.role} has a badge. Does {a} have a badge, yes or no?",
                "yes",
                ["no"],
            ),
        )[turn]
    else:
        x, y = dice.randrange(3, 9), dice.randrange(2, 4)
        k = dice.randrange(7)
        asked, answer, others = (
            (f"{a} is older than {b}. {b} is older than {c}. The youngest is", c, [a, b]),
            (
                f"Today is {_DAYS[k]}. The {thing} come in {y} days. The day they come is",
                _DAYS[(k + y) % 7],
                [],
            ),
            (
                f"{x + y} people queue, {x - 1} of them before {a}. The number after {a} is",
                str(y),
                [],
            ),
        )[turn]
    shots = (
        ("Tom is shorter than Eva. The taller one is", "Eva"),
        ("What is the third day of the week?", "Wednesday"),
    )
    if answer.isdecimal() and slot.level == 1:
        return Draft(asked, answer, "exact", {"match": "contains"}, 24)
    if answer.isdecimal():
        return Draft(asked, answer, "numeric")
    options = {"match": "contains", "reject": others} if others else {"match": "contains"}
    shot = shots[answer in (*_DAYS, *_MONTHS)]
    return Draft(asked, answer, "exact", options, 12, ("\n",), (shot,))


def choice(slot: Slot) -> Draft:
    """1: which group a word is in. 2: which belongs to a group, by letter. 3: which does not."""
    dice = slot.dice
    group, *others = dice.sample(sorted(_GROUPS), 4)
    place = slot.number % 4  # letters balanced by construction
    if slot.level == 1:
        right, wrong = group, others
        question = f"To what group does the word '{dice.choice(_GROUPS[group])}' belong"
    elif slot.level == 2:
        right = dice.choice(_GROUPS[group])
        wrong = [dice.choice(_GROUPS[other]) for other in others]
        question = f"Which of these is {group}"
    else:
        right, wrong = dice.choice(_GROUPS[others[0]]), dice.sample(_GROUPS[group], 3)
        question = f"Which of these is not {group}"
    options = [*wrong[:place], right, *wrong[place:]]
    if slot.level == 1:
        prompt = f"{question}: {', '.join(options[:-1])} or {options[-1]}?"
    else:
        lines = [f"{x}) {text}" for x, text in zip(ascii_uppercase, options, strict=False)]
        prompt = "\n".join([f"{question}?", *lines, "Answer with the letter."])
    return Draft(prompt, ascii_uppercase[place], "choice", {"choices": options}, 16)
