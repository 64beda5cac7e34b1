"""`perwatt study DIR…`: many runs read together, every table with its intervals."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from perwatt.core.errors import FileError, RunDirError, SpecError

if TYPE_CHECKING:
    from perwatt.core.study import StudyFault, StudySummary

__all__ = ["study"]


def study(
    *directories: Annotated[
        Path, Parameter(help="Run directories, or folders that hold run directories.")
    ],
    output: Annotated[
        Path | None,
        Parameter(
            name=["--output", "-o"],
            help="Also write one self-contained HTML page.",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None, Parameter(help="Also write each table as a CSV file into this folder.")
    ] = None,
    table: Annotated[
        tuple[str, ...],
        Parameter(
            help="Make this table alone; repeat it for more.", negative="", show_default=False
        ),
    ] = (),
    set_: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set",
            help="A set of pairs for coverage, NAME=MODEL,MODEL: repeat it for more.",
            negative="",
            show_default=False,
        ),
    ] = (),
    facts: Annotated[
        Path | None,
        Parameter(help="TOML of [[model]], [[device]] and [gdp] over the built-in facts."),
    ] = None,
    tariffs: Annotated[
        Path | None, Parameter(help="TOML of grid intensities and prices over the built-in ones.")
    ] = None,
    trace: Annotated[
        Path | None, Parameter(help="Arrivals that routing savings are simulated on.")
    ] = None,
    router: Annotated[
        str | None,
        Parameter(
            help="The real router of the savings tables, in shares:"
            " false_cloud=0.2,false_local=0.2,noticed=0.5,own=0.01 is assumed."
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        Parameter(
            help="Have the nodes of a Ray cluster add up the runs: auto, HOST:PORT, or local:N to"
            " try it here. They must see the run directories under the same paths."
        ),
    ] = None,
    check: Annotated[
        bool,
        Parameter(help="Hash each table against run.json first.", negative="--no-check"),
    ] = True,
    seed: Annotated[int, Parameter(help="Seeds the bootstraps.")] = 0,
    json: Annotated[
        bool, Parameter(help="Print everything as JSON.", negative="", show_default=False)
    ] = False,
) -> None:
    """Coverage, categories, precision, load, progress, routing savings, carbon … of many runs.

    What is wrong with a run is named, and the rest of the study made.
    """
    import msgspec

    from perwatt.cli.show import stdout_console
    from perwatt.cli.show_study import StudyProgress, print_study
    from perwatt.cluster.record import unfinished_clusters
    from perwatt.study.assumed_router import AssumedRouter, parse_router
    from perwatt.study.options import StudyOptions
    from perwatt.study.study import open_study
    from perwatt.study.summary import summarise_study
    from perwatt.study.tables import TABLES

    if not directories:
        msg = "`perwatt study` was given no run directory."
        raise SpecError(msg, "Name one or more, such as: perwatt study runs/")
    options = StudyOptions(
        facts=facts,
        tariffs=tariffs,
        trace=trace,
        router=AssumedRouter() if router is None else parse_router(router),
        sets=_sets(set_),
        seed=seed,
        check=check,
        only=table,
    )
    name = directories[0].resolve().name if len(directories) == 1 else "study"
    _check_places(output, csv)
    if cluster is not None:
        from perwatt.cluster.connect import parse_address

        parse_address(cluster)
    with StudyProgress(len(table) or len(TABLES)) as progress:
        progress.doing("reading the runs")
        with open_study(directories, options) as opened:
            opened.faults[:0] = unfinished_clusters(directories)
            if not opened.runs:
                raise _nothing_read(opened.faults)
            if cluster is not None:
                from perwatt.cluster.study import shard_cells

                progress.doing("adding up on the cluster")
                progress.say(shard_cells(opened, cluster).sentence)
            summary = summarise_study(opened, name=name, progress=progress)
    for absent in dict.fromkeys(
        each for each in table if each not in {t.name for t in summary.tables}
    ):
        print(
            f"perwatt: warning: these runs give no table {absent!r}; docs/study.md says what each"
            " table takes.",
            file=sys.stderr,
        )
    if csv is not None:
        _write_csv(summary, csv)
    if output is not None:
        from perwatt.report.study_page import write_study_page

        write_study_page(summary, output)
    if json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
    else:
        print_study(summary, stdout_console())
        if output is not None:
            print(output)


def _nothing_read(faults: Sequence[StudyFault]) -> RunDirError:
    """One sentence for the first, since a study of nothing is no answer."""
    first = faults[0]
    more = f" The other {len(faults) - 1} cannot be read either." if len(faults) > 1 else ""
    return RunDirError(f"{first.sentence}{more}", first.mend)


def _sets(given: Iterable[str]) -> dict[str, tuple[str, ...]]:
    sets: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, equals, members = text.partition("=")
        found = tuple(member.strip() for member in members.split(",") if member.strip())
        if not equals or not name.strip() or not found:
            msg = f"--set {text!r} names no set of pairs."
            raise SpecError(msg, "Write NAME=MODEL,MODEL, such as --set small=qwen3-4b,qwen3-8b.")
        if name.strip() in sets:
            msg = f"--set names {name.strip()!r} twice."
            raise SpecError(msg, "Give one set all its pairs: NAME=MODEL,MODEL.")
        sets[name.strip()] = found
    return sets


def _check_places(output: Path | None, csv: Path | None) -> None:
    """Before a long study is made: where it is to be written. Raises FileError."""
    from perwatt.store.disk import disk_errors

    if output is not None and not output.parent.is_dir():
        msg = f"{output} cannot be written: there is no folder {output.parent}."
        raise FileError(msg, "Make it, or name another file with -o.")
    if output is not None and output.is_dir():
        msg = f"{output} cannot be written: it is a folder."
        raise FileError(msg, f"Name a file with -o, such as {output / 'study.html'}.")
    if csv is None:
        return
    try:
        with disk_errors(csv, "made"):
            csv.mkdir(parents=True, exist_ok=True)
    except FileError as error:
        raise FileError(error.message, "Name another folder with --csv.") from None


def _write_csv(summary: StudySummary, folder: Path) -> None:
    from perwatt.report.study_csv import tables_as_csv
    from perwatt.store.disk import write_atomic

    try:
        for name, text in tables_as_csv(summary).items():
            write_atomic(folder / f"{name}.csv", text.encode("utf-8", errors="replace"))
    except FileError as error:
        raise FileError(error.message, "Name another folder with --csv.") from None
