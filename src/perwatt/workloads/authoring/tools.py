"""tool-call: a request to be put into JSON for a described function."""

from __future__ import annotations

import json
from typing import Any

from perwatt.workloads.authoring.draft import Draft, Slot

__all__ = ["tool_call"]


def tool_call(slot: Slot) -> Draft:
    """1: one argument. 2: two arguments. 3: three arguments and a choice of two functions."""
    d, dice = slot.domain, slot.dice
    (a,) = slot.names(1)
    thing = slot.things()[0]
    count = dice.randrange(2, 60)
    day = dice.choice(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"])
    arguments: dict[str, Any]
    if slot.level == 1:
        name, shape = "find_item", '"item": text'
        asked, arguments = f"Find {thing}.", {"item": thing}
        shown = '{"name": "find_item", "arguments": {"item": "lamps"}}'
        sample = "Find lamps."
    elif slot.level == 2:
        name, shape = "order", '"item": text, "count": number'
        asked, arguments = f"Order {count} {thing}.", {"item": thing, "count": count}
        shown = '{"name": "order", "arguments": {"item": "lamps", "count": 3}}'
        sample = "Order 3 lamps."
    else:
        name = "send" if slot.number % 2 else "book"
        shape = '"person": text, "city": text, "day": text'
        verb = "Send a letter to" if name == "send" else "Book a visit with"
        asked = f"{verb} {a} in {d.city} on {day}."
        arguments = {"person": a, "city": d.city, "day": day}
        other = "book" if name == "send" else "send"
        shown = json.dumps(
            {"name": other, "arguments": {"person": "Ada", "city": "Rome", "day": "Sunday"}}
        )
        shown_verb = "Send a letter to" if other == "send" else "Book a visit with"
        sample = f"{shown_verb} Ada in Rome on Sunday."
    functions = f"book({shape}), send({shape})" if slot.level == 3 else f"{name}({shape})"
    lead = f"Write the call as JSON. Functions: {functions}"
    reference = json.dumps({"name": name, "arguments": arguments})
    shots = ((f"{lead}\n{sample}", shown),)
    return Draft(asked, reference, "json", {"casefold": True}, 64, (), shots)
