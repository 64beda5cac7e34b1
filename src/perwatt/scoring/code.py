"""`code`: does the program pass its tests? It runs shut in by `sandbox`, the tests beside it."""

from __future__ import annotations

import contextlib
import os
import re

import msgspec

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.code_cases import Asked, read_options, same_output
from perwatt.scoring.code_find import program
from perwatt.scoring.extract import without_thinking
from perwatt.scoring.known_options import takes
from perwatt.scoring.sandbox import Limits, SandboxResult, run_programs, run_tests

__all__ = ["code"]

_UNSANDBOXED = "PERWATT_ALLOW_UNSANDBOXED_CODE"
_UNSETTLED = {"timeout", "died"}
"""Verdicts that a busy machine may give of a right program: not kept for the next time."""


@takes(
    "test",
    "entry_point",
    "prompt",
    "tests",
    "setup",
    "cases",
    "type",
    "fn_name",
    "tolerance",
    "seconds",
    "partial",
)
def code(limits: Limits | None = None) -> Scorer:
    """Scores 1 when the answer's program passes all its tests, else 0.

    Options, one of four shapes: `prompt`, `test` and `entry_point` (HumanEval, arXiv 2107.03374);
    `tests` and `setup` (MBPP, arXiv 2108.07732); `cases` of `input` and `output` with `type`
    `stdin`, or `functional` and `fn_name` (LiveCodeBench, arXiv 2403.07974). Besides: `seconds` for
    each test or case, `tolerance` for numbers of a case, `partial` for the share that passes.

    `detail` has the `verdict` (see SandboxResult), the protections that `held`, and of what failed
    first its number from 0. Where not all of them can be held it abstains, unless the environment
    variable PERWATT_ALLOW_UNSANDBOXED_CODE is 1.
    """
    return _CodeScorer(limits or Limits())


class _CodeScorer:
    costly = True  # a judgement takes a process, so it is kept by its content

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def __call__(self, item: Item, text: str) -> Judgement:
        asked = read_options(item)
        if isinstance(asked, str):
            return Judgement(value=None, abstained=True, explanation=asked)
        source = program(asked.prompt, without_thinking(text), asked.names)
        if source is None:
            return Judgement(value=0.0, explanation="no Python program found")
        most = msgspec.structs.replace(self.limits, wall_s=asked.wall_s or self.limits.wall_s)
        allow = os.environ.get(_UNSANDBOXED) == "1"
        tried = _inputs if asked.inputs else _steps
        result, passed, of = tried(asked, source, most, allow)
        held = f"held: {', '.join(result.held) or 'nothing'}"
        if result.verdict == "refused":
            why = f"the program was not run: {result.detail} ({held}); set {_UNSANDBOXED}=1"
            return Judgement(value=None, extracted=source, abstained=True, explanation=why)
        value = passed / of if asked.partial else float(passed == of)
        detail = {
            "verdict": result.verdict, "held": list(result.held), "sandbox": result.rung,
            "passed": passed, "tests": of,
        }  # fmt: skip
        if result.verdict in _UNSETTLED:
            detail["unsettled"] = True
        if result.verdict != "passed":
            detail["failed_first"] = max(0, result.step - len(asked.setup))
        why = "; ".join(part for part in (result.verdict, result.detail, held) if part)
        return Judgement(value=value, extracted=source, explanation=why, detail=detail)


def _steps(
    asked: Asked, source: str, limits: Limits, allow: bool
) -> tuple[SandboxResult, int, int]:
    """The result, how many tests passed, and of how many."""
    steps = [_of_class(step, source, asked.names) for step in asked.steps]
    setup = list(asked.setup)
    if not asked.partial:
        result = run_tests(source, [*setup, *steps], limits, allow_unsafe=allow)
        reached = max(0, result.step - len(setup))
        return result, len(steps) if result.verdict == "passed" else reached, len(steps)
    told = [run_tests(source, [*setup, step], limits, allow_unsafe=allow) for step in steps]
    first = next((k for k, r in enumerate(told) if r.verdict != "passed"), 0)
    result = msgspec.structs.replace(told[first], step=first + len(setup))
    return result, sum(r.verdict == "passed" for r in told), len(told)


def _inputs(
    asked: Asked, source: str, limits: Limits, allow: bool
) -> tuple[SandboxResult, int, int]:
    """As `_steps`; the output is compared here, where no code of the answer runs."""
    first: SandboxResult | None = None
    passed, last = 0, None
    told = run_programs(source, asked.inputs, limits, allow_unsafe=allow)
    with contextlib.closing(told):
        for result, wanted in zip(told, asked.outputs, strict=False):
            last = result
            if result.verdict == "passed":
                if same_output(result.output, wanted, asked.tolerance):
                    passed += 1
                    continue
                last = msgspec.structs.replace(result, verdict="failed", detail="wrong output")
            first = first or last
            if not asked.partial or result.verdict == "refused":
                break
    shown = first or last
    assert shown is not None, "there is at least one input, and each gives a result"
    return shown, passed, len(asked.inputs)


def _of_class(step: str, source: str, names: tuple[str, ...]) -> str:
    """LeetCode's answers are methods of a class `Solution`, made anew for each call."""
    if not names or "class Solution" not in source:
        return step
    method = re.search(rf"^[ \t]+def\s+{re.escape(names[0])}\b", source, re.MULTILINE)
    plain = re.search(rf"^def\s+{re.escape(names[0])}\b", source, re.MULTILINE)
    if not method or plain:
        return step
    return re.sub(rf"(?<![\w.]){re.escape(names[0])}\(", f"Solution().{names[0]}(", step)
