"""`perwatt compare A B`: B against A on the same items, and `--fail-if` for a build."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from perwatt.core.errors import FailuresError, FileError, SpecError

if TYPE_CHECKING:
    from perwatt.study.compare import RunComparison

__all__ = ["compare"]


def compare(
    a: Annotated[str, Parameter(help="A run directory, or DIR:PAIR; what B is compared with.")],
    b: Annotated[str, Parameter(help="Another, or another pair of the same.")],
    /,
    *,
    metric: Annotated[
        list[str] | None,
        Parameter(
            help="Compare only this; may be given again. [default: the main nine]", negative=""
        ),
    ] = None,
    pair_a: Annotated[str | None, Parameter(help="Which pair of A, by its id or label.")] = None,
    pair_b: Annotated[str | None, Parameter(help="Which pair of B.")] = None,
    same_sensors: Annotated[
        bool,
        Parameter(
            help="One and the same sensor measured both runs: its own error cancels in ratios.",
            negative="",
        ),
    ] = False,
    fail_if: Annotated[
        list[str] | None,
        Parameter(
            help="Exit 1 where this holds of the whole 95% interval of the change, such as"
            " 'ipj < -5%' or 'accuracy < -2pt'; may be given again.",
            negative="",
        ),
    ] = None,
    undecided: Annotated[
        Literal["pass", "fail"] | None,
        Parameter(
            help="What a --fail-if comes to that cannot be decided. [default: pass with a warning"
            " where its threshold lies within the interval; exit 2 where there is no figure]"
        ),
    ] = None,
    json: Annotated[
        bool, Parameter(help="Print all of it as JSON.", negative="", show_default=False)
    ] = False,
    markdown: Annotated[
        bool,
        Parameter(help="Print a table for a pull request.", negative="", show_default=False),
    ] = False,
    junit: Annotated[
        Path | None, Parameter(help="Also write each --fail-if as a JUnit test case here.")
    ] = None,
    seed: Annotated[int, Parameter(help="Seeds resampling.")] = 0,
) -> None:
    """B against A, paired by item: ratios, differences, effect sizes, and one sentence to quote.

    Joules of unlike boundary or grade are not ranked, and it says why.
    """
    from perwatt.metrics.paired_metrics import PAIRED
    from perwatt.study.compare import compare_sides
    from perwatt.study.compare_sides import open_sides
    from perwatt.study.gates import parse_gate, wrong_way

    if json and markdown:
        msg = "--json and --markdown both print to stdout."
        raise SpecError(msg, "Give one of them.")
    gates = [parse_gate(text) for text in fail_if or ()]
    if junit is not None and not gates:
        msg = "--junit writes test cases of --fail-if, and none was given."
        raise SpecError(msg, "Add one, such as --fail-if 'ipj < -5%'.")
    for gate in gates:
        if said := wrong_way(gate):
            print(f"perwatt: warning: {said}", file=sys.stderr)
    found = compare_sides(
        *open_sides(a, b, pair_a, pair_b),
        metric or PAIRED,
        gates,
        same_sensor=same_sensors,
        seed=seed,
    )
    try:
        _print(found, json=json, markdown=markdown)
        sys.stdout.flush()
    except BrokenPipeError:
        if not gates:
            raise
        # Nobody reads on, but the build still waits for the outcome.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if junit is not None:
        from perwatt.cli.show_compare import junit_xml
        from perwatt.store.disk import write_atomic

        try:
            write_atomic(junit, junit_xml(found, undecided))
        except FileError as error:
            raise FileError(error.message, "Name another file with --junit.") from None
    _exit(found, undecided)


def _print(found: RunComparison, *, json: bool, markdown: bool) -> None:
    if json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    elif markdown:
        from perwatt.cli.show_compare import markdown_text

        print(markdown_text(found))
    else:
        from perwatt.cli.show import stdout_console
        from perwatt.cli.show_compare import print_comparison

        print_comparison(found, stdout_console())


def _exit(found: RunComparison, undecided: Literal["pass", "fail"] | None) -> None:
    """Warn of what passes undecided; raise FailuresError for what fails, SpecError where nothing
    fails and there is nothing to judge by."""
    of_outcome: dict[str, list[str]] = {}
    for result in found.gates:
        of_outcome.setdefault(result.outcome, []).append(result.sentence)
    failed, unjudged = of_outcome.get("fail", []), of_outcome.get("unjudged", [])
    open_ones = of_outcome.get("undecided", [])
    if undecided == "fail":
        failed, unjudged, open_ones = [*failed, *open_ones, *unjudged], [], []
    elif undecided == "pass":
        unjudged, open_ones = [], [*open_ones, *unjudged]
    for sentence in open_ones:
        print(f"perwatt: warning: undecided, and passed: {sentence}", file=sys.stderr)
    many = len(found.gates)
    if failed:
        msg = f"{len(failed)} of {many} conditions fail. {' '.join([*failed, *unjudged])}"
        raise FailuresError(msg)
    if unjudged:
        msg = f"{len(unjudged)} of {many} conditions have nothing to judge by. {' '.join(unjudged)}"
        raise SpecError(msg, "Measure it in both runs, or say --undecided pass.")
