"""`name=value,name=value` after the colon of a workload that takes options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from perwatt.core.errors import SpecError, UnknownNameError

__all__ = ["parse_options", "seconds_of", "whole"]

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_options(workload: str, text: str, known: Sequence[str]) -> Mapping[str, str]:
    """`text` as a mapping. Raises SpecError naming the part that is no option, or not known."""
    given: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            msg = f"--workload {workload}: {part!r} is not written name=value."
            raise SpecError(msg, f"Known: {', '.join(known)}.")
        if name not in known:
            unknown = UnknownNameError("option", name, known)
            msg = f"--workload {workload} has no option {name!r}."
            raise SpecError(msg, unknown.mend)
        if name in given:
            msg = f"--workload {workload}: {name} is given twice."
            raise SpecError(msg, "Give it once.")
        given[name] = value
    return given


def whole(workload: str, given: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    """A whole number of at least `least`. Raises SpecError."""
    value = given.get(name)
    if value is None:
        return default
    if not re.fullmatch(r"\d{1,9}", value) or int(value) < least:
        msg = f"--workload {workload}: {name}={value} is not a whole number of {least} up."
        raise SpecError(msg, f"Write such as {name}={max(default, least, 1)}.")
    return int(value)


def seconds_of(workload: str, given: Mapping[str, str], name: str) -> float | None:
    """A length of time such as `600s`, in seconds; None where it is not given. Raises SpecError."""
    value = given.get(name)
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", value)
    if not found:
        msg = f"--workload {workload}: {name}={value} is not a length of time."
        raise SpecError(msg, f"Write such as {name}=600s, 10m or 1h.")
    return float(found[1]) * _SECONDS[found[2]]
