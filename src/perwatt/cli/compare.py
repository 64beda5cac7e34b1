"""`perwatt compare A B`: B against A on the same items, and `--fail-if` for a build."""

from __future__ import annotations

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
        Literal["pass", "fail"],
        Parameter(
            help="What a --fail-if comes to that cannot be decided: its threshold lies within the"
            " interval, or a side lacks the figure."
        ),
    ] = "pass",
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
    from perwatt.study.gates import parse_gate

    if json and markdown:
        msg = "--json and --markdown both print to stdout."
        raise SpecError(msg, "Give one of them.")
    gates = [parse_gate(text) for text in fail_if or ()]
    if junit is not None and not gates:
        msg = "--junit writes test cases of --fail-if, and none was given."
        raise SpecError(msg, "Add one, such as --fail-if 'ipj < -5%'.")
    found = compare_sides(
        *open_sides(a, b, pair_a, pair_b),
        metric or PAIRED,
        gates,
        same_sensor=same_sensors,
        seed=seed,
    )
    _print(found, json=json, markdown=markdown)
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


def _exit(found: RunComparison, undecided: str) -> None:
    """Warn of what is undecided; raise FailuresError for what fails."""
    failed = [result for result in found.gates if result.outcome == "fail"]
    still_open = [result for result in found.gates if result.outcome == "undecided"]
    if undecided == "fail":
        failed += still_open
    else:
        for result in still_open:
            print(f"perwatt: warning: undecided, and passed: {result.sentence}", file=sys.stderr)
    if failed:
        sentences = " ".join(result.sentence for result in failed)
        msg = f"{len(failed)} of {len(found.gates)} conditions fail. {sentences}"
        raise FailuresError(msg)
