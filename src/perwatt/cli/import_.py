"""`perwatt import FILE…`: what other tools measured as a run to compare, study and report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from perwatt.cli.run import Json, show_result
from perwatt.core.errors import DiskFullError, SpecError

if TYPE_CHECKING:
    from perwatt.store.exchange.foreign import Foreign

__all__ = ["import_"]


def import_(
    *files: Annotated[
        Path,
        Parameter(
            help="Files or folders of Inspect, lm-eval, ML.ENERGY, AIPerf, GuideLLM, vLLM bench,"
            " llama-bench, optimum-benchmark or intelligence-per-watt, or a .csv, .tsv, .jsonl or"
            " .parquet table of item, model and score."
        ),
    ],
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="Run directory to make.")],
    tool: Annotated[
        str | None,
        Parameter(help="Whose files they are, such as guidellm; default: told by their content."),
    ] = None,
    scorer: Annotated[
        str | None,
        Parameter(help="Whose score counts, where a file holds several; default: its headline."),
    ] = None,
    columns: Annotated[
        str | None,
        Parameter(help="Of a table: which column is what, such as item=qid,model=llm,score=ok."),
    ] = None,
    scale: Annotated[float, Parameter(help="Of a table: the best score; 100 for per cent.")] = 1.0,
    json: Json = False,
) -> None:
    """Read what other tools measured as a run. Nothing is asked; what they lack stays unknown."""
    from perwatt.store.exchange.read import read_foreign
    from perwatt.store.exchange.to_run import write_run

    if not files:
        msg = "`perwatt import` was given no file."
        raise SpecError(msg, "Name one or more, such as logs/2026-05-01_gsm8k.eval.")
    if not 0 < scale < float("inf"):
        msg = f"--scale {scale:g} is not usable: it is the best score, above 0."
        raise SpecError(msg, "Give 1, or 100 for per cent.")
    named = _named(columns)
    foreign = [read_foreign(file, named, scale, tool) for file in files]
    try:
        write_run(foreign, out, scorer)
    except DiskFullError as error:
        raise DiskFullError(error.message, "Free some space, and import again.") from None
    if any(file.answers for file in foreign):
        show_result(out, json=json)
    else:
        _show_published(foreign, out, json=json)
    figures = sum(len(file.published) for file in foreign)
    if figures:
        print(
            f"{figures} figures are as their tool published them: "
            f"perwatt study {out} --table published",
            file=sys.stderr,
        )


def _show_published(foreign: Sequence[Foreign], out: Path, *, json: bool) -> None:
    """Of a run without requests, which has no summary: what was read, and what to know of it."""
    import msgspec

    from perwatt.store.rundir import read_run

    run = read_run(out)
    rows = [row for file in foreign for row in file.published]
    if json:
        told = {
            "name": run["name"],
            "imported": run["imported"],
            "energy": run["energy"]["line"],
            "pairs": run["pairs"],
            "verdicts": run["verdicts"],
            "published": rows,
        }
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        return
    places = {(row.pair_id, row.workload, row.load) for row in rows}
    tools = ", ".join(run["imported"]["tools"])
    print(f"{run['energy']['line']}.")
    print(f"{tools}: {len(places)} configurations of {len(run['pairs'])} pairs.")
    for verdict in run["verdicts"]:
        print(f"[{verdict['severity']}] {verdict['sentence']}")
    print(f"\nRun directory: {out}")


def _named(columns: str | None) -> dict[str, str]:
    from perwatt.store.exchange.scored_table import ROLES

    named = {}
    for part in columns.split(",") if columns else ():
        role, equals, column = part.partition("=")
        if not equals or role.strip() not in ROLES:
            msg = f"--columns {part!r} is not written ROLE=COLUMN."
            raise SpecError(msg, f"Roles: {', '.join(ROLES)}.")
        named[role.strip()] = column.strip()
    return named
