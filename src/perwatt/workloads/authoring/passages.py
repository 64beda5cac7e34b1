"""reading and extraction: the answer stands in the text."""

from __future__ import annotations

from typing import Any

from perwatt.workloads.authoring.draft import Draft, Slot

__all__ = ["extraction", "reading"]

_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_SURNAMES = ["Berg", "Costa", "Diaz", "Fischer", "Gray", "Hall", "Ito", "Khan", "Lopez", "Novak"]
_CONTAINS = {"match": "contains"}


def reading(slot: Slot) -> Draft:
    """1: one fact. 2: two like facts to keep apart. 3: a change to follow."""
    d, dice = slot.domain, slot.dice
    a, b, c = slot.names(3)
    t1, t2, t3 = slot.things()
    day1, day2 = dice.sample(_DAYS, 2)
    n1, n2 = dice.sample(range(12, 90), 2)
    options: dict[str, Any] = dict(_CONTAINS)
    if slot.level == 1:
        text = f"{a} is {d.a_role} in {d.city}. On {day1}, {a} counted {n1} {t1} at the {d.place}."
        facts = (
            (f"In which city does {a} work?", d.city),
            (f"On which day did {a} count the {t1}?", day1),
            (f"How many {t1} did {a} count?", str(n1)),
        )
        asked, answer = facts[slot.number % 3]
        options["reject"] = [fact for _, fact in facts if fact != answer]
    elif slot.level == 2:
        text = (
            f"At the {d.place}, {a} checked {n1} {t1} on {day1}. "
            f"{b} checked {n2} {t2} on {day2}. Both were done before noon."
        )
        asked, answer, other = (
            (f"Who checked the {t2}?", b, a),
            (f"How many {t1} were checked?", str(n1), str(n2)),
            (f"On which day were the {t2} checked?", day2, day1),
        )[slot.number % 3]
        options["reject"] = [other]
    else:
        text = (
            f"Three people work at the {d.place}. {a} looks after the {t1}, {b} after the {t2} "
            f"and {c} after the {t3}. Last week {b} and {c} traded their jobs."
        )
        asked, answer, others = (
            (f"Who looks after the {t2} now?", c, [a, b]),
            (f"Who looks after the {t3} now?", b, [a, c]),
            ("Who kept the same job?", a, [b, c]),
        )[slot.number % 3]
        options["reject"] = others
    prompt = f"{text}\n\n{asked} Answer with one word."
    return Draft(prompt, answer, "exact", options, 12)


def extraction(slot: Slot) -> Draft:
    """1: a labelled field. 2: the same inside prose, among like ones. 3: a cell of a table."""
    d, dice = slot.domain, slot.dice
    a, b = slot.names(2)
    last = dice.choice(_SURNAMES)
    t1, t2, t3 = slot.things()
    phone = f"555-{dice.randrange(1000, 9999)}"
    order = f"{dice.choice('ABCDEFGH')}-{dice.randrange(1000, 9999)}"
    count = dice.randrange(12, 98)
    mail = f"{a.lower()}.{last.lower()}@example.org"
    options: dict[str, Any] = dict(_CONTAINS)
    if slot.level == 1:
        lines = [f"Name: {a} {last}", f"Place: {d.place}", f"Phone: {phone}", f"Order: {order}"]
        text = "\n".join([*lines, f"Items: {count} {t1}"])
        fields = (("phone number", phone), ("order number", order), ("name", f"{a} {last}"))
        asked, answer = fields[slot.number % 3]
        options["reject"] = [text for _, text in fields if text != answer]
    elif slot.level == 2:
        text = (
            f"Hello, this is {a} {last} from the {d.place}. The {count} {t1} of order {order} came "
            f"late. Please call {phone} or write to {mail}. Thanks, {b} will pick up the rest."
        )
        fields = (("email address", mail), ("order number", order), ("phone number", phone))
        asked, answer = fields[slot.number % 3]
        options["reject"] = [text for _, text in fields if text != answer]
    else:
        codes = [f"{dice.choice('KLMNPQRS')}{dice.randrange(10, 99)}" for _ in range(3)]
        counts = dice.sample(range(11, 99), 3)
        rows = [
            f"{code} | {t} | {n}" for code, t, n in zip(codes, (t1, t2, t3), counts, strict=True)
        ]
        text = "\n".join(["code | item | stock", *rows])
        k = slot.number % 3
        if slot.number % 2:
            asked, answer = f"stock of {(t1, t2, t3)[k]}", str(counts[k])
            options["reject"] = [str(n) for n in counts if n != counts[k]]
        else:
            asked, answer = f"code of {(t1, t2, t3)[k]}", codes[k]
            options["reject"] = [code for code in codes if code != codes[k]]
    return Draft(
        f"{text}\n\nWhat is the {asked}? Answer with it only.", answer, "exact", options, 24
    )
