"""`code`: does the program pass its tests? It runs in a child process shut in by `sandbox`."""

from __future__ import annotations

import os
import re
import warnings

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.sandbox import Limits, run_sandboxed

__all__ = ["code", "program"]

_FENCE = re.compile(r"```[ \t]*(?:python|py|python3)?[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
_UNSANDBOXED = "PERWATT_ALLOW_UNSANDBOXED_CODE"


def code(limits: Limits | None = None) -> Scorer:
    """Scores 1 when the answer's program passes `test`, else 0 (HumanEval, arXiv 2107.03374).

    Options: `prompt`, the code that the answer continues; `test`, source that defines
    `check(candidate)`; `entry_point`, the name of the function under test. The explanation names
    the protections that held. Where the network cannot be taken away it abstains, unless the
    environment variable PERWATT_ALLOW_UNSANDBOXED_CODE is 1.
    """

    def score(item: Item, text: str) -> Judgement:
        test, entry = item.options.get("test"), item.options.get("entry_point")
        if not isinstance(test, str) or not isinstance(entry, str) or not entry.isidentifier():
            why = f"the item {item.id!r} has no test and entry_point"
            return Judgement(value=None, abstained=True, explanation=why)
        source = program(str(item.options.get("prompt", "")), text, entry)
        if source is None:
            return Judgement(value=0.0, explanation="no Python program found")
        allow = os.environ.get(_UNSANDBOXED) == "1"
        result = run_sandboxed([source, test, f"check({entry})"], limits, allow_network=allow)
        held = f"held: {', '.join(result.held) or 'nothing'}"
        if result.verdict == "refused":
            why = f"{result.detail}, so the program was not run ({held}); set {_UNSANDBOXED}=1"
            return Judgement(value=None, extracted=source, abstained=True, explanation=why)
        why = "; ".join(part for part in (result.verdict, result.detail, held) if part)
        passed = float(result.verdict == "passed")
        return Judgement(value=passed, extracted=source, explanation=why)

    return score


def program(prompt: str, text: str, entry_point: str) -> str | None:
    """The program that an answer stands for, or None when none of its readings is Python.

    An answer is a whole program, fenced or not, or the body that continues the prompt. Prose before
    a fence and top-level text after the function are left out.
    """
    fenced = _FENCE.findall(text)
    for body in (*fenced, text):
        if not body.strip():
            continue
        whole = re.search(rf"^\s*(?:async\s+)?def\s+{re.escape(entry_point)}\b", body, re.MULTILINE)
        # The prompt first, for its imports and helpers; the answer's own definition then wins.
        readings = (
            [f"{_header(prompt)}\n{body}"] if whole else [f"{prompt}{cut}" for cut in _bodies(body)]
        )
        for source in readings:
            if _is_python(source):
                return source
    return None


def _header(prompt: str) -> str:
    """The prompt's imports and helper functions: all but its last, unfinished function."""
    start = prompt.rfind("\ndef ")
    return prompt[:start] if start >= 0 else ""


def _bodies(text: str) -> list[str]:
    lines = text.splitlines()
    end = next(
        (k for k, line in enumerate(lines) if k and line[:1] not in {"", " ", "\t", "#", ")", "]"}),
        len(lines),
    )
    cut = "\n".join(lines[:end])
    if text.lstrip("\n")[:1] in {" ", "\t"}:
        return [cut]
    # Chat models often lose the indent of all lines, or of the first alone.
    return ["\n".join(f"    {line}" if line else line for line in lines), f"    {cut}"]


def _is_python(source: str) -> bool:
    try:
        with warnings.catch_warnings():  # an odd escape in the answer is no concern of the run
            warnings.simplefilter("ignore")
            compile(source, "<answer>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True
