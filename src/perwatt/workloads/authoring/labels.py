"""classification: messages written by hand, to be put under one of three or four labels."""

from __future__ import annotations

from perwatt.workloads.authoring.draft import Draft, Slot

__all__ = ["classification"]

_TOPICS = [
    ("The food at the {p} was soup and bread.", "food"),
    ("Bad weather came over {c}: rain and wind.", "weather"),
    ("The {r} likes music and plays the guitar.", "music"),
    ("The {r} eats rice with beans for lunch.", "food"),
    ("It is sunny and hot outside the {p} today.", "weather"),
    ("A band with drums and a singer came to the {p}.", "music"),
]
_MESSAGES = [
    ("When does the {p} open tomorrow?", "question"),
    ("My {t} arrived broken and nobody answers the phone.", "complaint"),
    ("Thank you so much, the {r} did a perfect job!", "praise"),
    ("How many {t} can I order at once?", "question"),
    ("I waited two hours at the {p} and was sent away.", "complaint"),
    ("Your {t} are the best I have ever had.", "praise"),
]
_TASKS = [
    ("Please change the time of my visit to the {p} to Friday.", "booking"),
    ("You took the money for the {t} twice from my card.", "billing"),
    ("The {t} stopped working after one day, please help.", "repair"),
    ("Could {ar} see me next Tuesday at ten?", "booking"),
    ("Why is the price on my bill higher than on the sign?", "billing"),
    ("The door of the {p} does not close any more.", "repair"),
    ("Do you have work for {ar} in {c}?", "jobs"),
    ("I would like to send you my resume.", "jobs"),
]
_SHOTS = {
    "Dinner was fish and potatoes.": "food",
    "Snow fell all night.": "weather",
    "She plays the piano well.": "music",
    "What does a ticket cost?": "question",
    "My chair broke on the first day.": "complaint",
    "Well done, I am so glad!": "praise",
    "Please keep a table for two at noon.": "booking",
    "I was charged twice.": "billing",
    "The lamp is broken.": "repair",
    "Are you hiring?": "jobs",
}


def classification(slot: Slot) -> Draft:
    """1: three topics. 2: four departments. 3: three sorts of message, by their intent."""
    d = slot.domain
    rows = {1: _TOPICS, 2: _TASKS, 3: _MESSAGES}[slot.level]
    text, answer = rows[slot.number // 3 % len(rows)]
    labels = sorted({label for _, label in rows})
    slot.dice.shuffle(labels)
    message = text.format(t=slot.things()[0], p=d.place, r=d.role, ar=d.a_role, c=d.city)
    listed = f"{', '.join(labels[:-1])} or {labels[-1]}"
    ask = f"Is this {listed}?"
    shots = [(f"{shot}\n{ask}", label) for shot, label in _SHOTS.items() if label in labels]
    slot.dice.shuffle(shots)
    options = {"match": "contains", "reject": [label for label in labels if label != answer]}
    return Draft(f"{message}\n{ask}", answer, "exact", options, 8, ("\n",), tuple(shots))
