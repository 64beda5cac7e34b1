"""arithmetic-units and word-problem: every reference is computed beside its question."""

from __future__ import annotations

from perwatt.workloads.authoring.draft import Draft, Slot

__all__ = ["arithmetic_units", "word_problem"]

_EASY_UNITS = [
    ("hour", "minutes", 60), ("meter", "centimeters", 100), ("kilogram", "grams", 1000),
    ("minute", "seconds", 60), ("kilometer", "meters", 1000), ("week", "days", 7),
    ("day", "hours", 24), ("liter", "milliliters", 1000),
]  # fmt: skip


def arithmetic_units(slot: Slot) -> Draft:
    """1: one-digit sums and known units. 2: two-digit sums, small products, units ×2 … ×5.
    3: two-digit products and units the other way round."""
    dice, turn = slot.dice, slot.number % 3
    one, many, factor = dice.choice(_EASY_UNITS)
    options: dict[str, object] = {}
    if slot.level == 1:
        x, y = sorted((dice.randrange(2, 10), dice.randrange(2, 10)), reverse=True)
        asked, answer = (
            (f"What is {x} + {y}?", x + y),
            (f"How many {many} are in one {one}?", factor),
            (f"What is {x} - {y}?", x - y),
        )[turn]
        options = {"unit": many, "convert": False} if turn == 1 else {}
    elif slot.level == 2:
        x, y, n = dice.randrange(11, 50), dice.randrange(11, 50), dice.randrange(2, 6)
        z = dice.randrange(3, 10)
        asked, answer = (
            (f"What is {x} + {y}?", x + y),
            (f"How many {many} are in {n} {one}s?", n * factor),
            (f"What is {n} times {z}?", n * z),
        )[turn]
        options = {"unit": many, "convert": False} if turn == 1 else {}
    else:
        x, y, n = dice.randrange(12, 40), dice.randrange(12, 30), dice.randrange(2, 9)
        asked, answer = (
            (f"What is {x} × {y}?", x * y),
            (f"How many {one}s are {n * factor} {many}?", n),
            (f"What is {x * 10 + 3} - {y}?", x * 10 + 3 - y),
        )[turn]
        options = {"unit": f"{one}s", "convert": False} if turn == 1 else {}
    # The trade's words make the item belong to its category without changing the sum.
    prompt = f"{slot.domain.a_role.capitalize()} asks: {asked} Answer with the number."
    return Draft(prompt, str(answer), "numeric", options, 24)


def word_problem(slot: Slot) -> Draft:
    """1: one step, numbers to 12. 2: one step, numbers to 30, or tens. 3: two steps."""
    d, dice = slot.domain, slot.dice
    (a,) = slot.names(1)
    thing = slot.things()[0]
    turn = slot.number % 3
    if slot.level == 1:
        x, y = dice.randrange(4, 10), dice.randrange(1, 4)
        asked, answer = (
            (f"{a} has {x} {thing} and gets {y} more. How many {thing} does {a} have?", x + y),
            (f"{a} has {x} {thing} and gives away {y}. How many {thing} are left?", x - y),
            (f"There are {x} {thing} inside and {y} outside. How many {thing} are there?", x + y),
        )[turn]
    elif slot.level == 2:
        x, y, n = dice.randrange(11, 21), dice.randrange(2, 10), dice.randrange(3, 8)
        asked, answer = (
            (
                f"{d.a_role.capitalize()} has {x} {thing} and sells {y}. How many are left?",
                x - y,
            ),
            (f"Each of {n} boxes holds 10 {thing}. How many {thing} are there?", 10 * n),
            (f"The {d.place} had {x} {thing} and bought {y} more. How many {thing} now?", x + y),
        )[turn]
    else:
        n, x, y, p = (
            dice.randrange(3, 8),
            dice.randrange(4, 9),
            dice.randrange(2, 4),
            dice.randrange(2, 6),
        )
        asked, answer = (
            (
                f"{a} buys {n} boxes of {x} {thing} and loses {y}. How many {thing} are left?",
                n * x - y,
            ),
            (f"{a} has {x} {thing}, gets {n} more and loses {y}. How many {thing} now?", x + n - y),
            (
                f"{thing.capitalize()} cost ${p} each. {a} buys {x} and pays with $50. How many "
                "dollars come back?",
                50 - p * x,
            ),
        )[turn]
    shots = (
        ("Tom has 9 cups and gets 4 more. How many cups?", "9 + 4 = 13"),
        ("Each of 5 bags holds 3 cups, and 2 break. How many are left?", "5 * 3 - 2 = 13"),
    )
    return Draft(asked, str(answer), "numeric", {}, 24, ("\n",), shots[: 1 + (slot.level == 3)])
