"""Prometheus' text exposition format 0.0.4, strictly: samples with labels, and families' types.

prometheus.io/docs/instrumenting/exposition_formats. Timestamps and HELP lines are passed over.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Sample", "parse_text"]

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')
LINE = re.compile(
    rf"({NAME})\s*(?:\{{((?:[^\"}}]|\"(?:[^\"\\]|\\.)*\")*)\}})?\s+(\S+)(?:\s+-?\d+)?\s*$"
)
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Sample(NamedTuple):
    """One line."""

    name: str
    labels: dict[str, str]
    value: float
    """NaN and infinities included."""


def parse_text(text: str) -> tuple[list[Sample], dict[str, str]]:
    """Samples in order, and the type of each family. Raises ValueError naming the line."""
    samples: list[Sample] = []
    types: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith("#"):
            words = stripped.split()
            if len(words) == 4 and words[1] == "TYPE":
                types[words[2]] = words[3]
        elif stripped:
            sample = _sample(stripped)
            if sample is None:
                msg = f"line {number} is no metric"
                raise ValueError(msg)
            samples.append(sample)
    return samples, types


def _sample(line: str) -> Sample | None:
    found = LINE.match(line)
    if found is None:
        return None
    name, inside, text = found.groups()
    labels: dict[str, str] = {}
    at = 0
    while inside and at < len(inside):
        label = LABEL.match(inside, at)
        if label is None:
            return None
        labels[label[1]] = re.sub(r'\\[\\"n]', lambda seen: ESCAPES[seen[0]], label[2])
        at = label.end()
    try:
        return Sample(name, labels, float(text))
    except ValueError:
        return None
