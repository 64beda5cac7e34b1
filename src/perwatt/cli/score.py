"""`perwatt score DIR`: the answers of a run scored again, and what that changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from perwatt.cli.run import Json, show_result
from perwatt.cli.show import ProgressView, stdout_console
from perwatt.core.errors import RunDirError

if TYPE_CHECKING:
    from perwatt.runner.rescore import Rescored

__all__ = ["score"]


def score(
    directory: Annotated[Path, Parameter(help="Directory of a run, finished or interrupted.")],
    /,
    *,
    scorer: Annotated[
        str | None, Parameter(help="Score by this one in place of each item's own.")
    ] = None,
    kind: Annotated[str | None, Parameter(help="Score items of this kind only.")] = None,
    judge: Annotated[
        list[str] | None,
        Parameter(
            help="Who judges answers that only a reader can: ENDPOINT=MODEL, or an embedded"
            " model's name. Repeat it: they vote. Default: the run's own judges.",
            negative="",
        ),
    ] = None,
    judge_mode: Annotated[
        Literal["pairwise", "pointwise"] | None,
        Parameter(help="Against the reference in both orders, or alone; default: the item's."),
    ] = None,
    judge_against: Annotated[
        str | None,
        Parameter(help="Compare with this pair's answers in place of references: its win rate."),
    ] = None,
    judge_budget: Annotated[
        str | None,
        Parameter(
            help="Most the judges may use: requests=500,tokens=1e6,seconds=600,joules=5e4;"
            " each=512: longest reply."
        ),
    ] = None,
    judge_key_env: Annotated[
        str | None, Parameter(help="Environment variable that holds the judge's key.")
    ] = None,
    accept_terms: Annotated[
        list[str] | None,
        Parameter(help="Models whose licence terms you have read and accept.", negative=""),
    ] = None,
    labels: Annotated[
        Path | None,
        Parameter(help="JSONL or CSV of item_id, label, to tell how far the judge agrees with it."),
    ] = None,
    no_cache: Annotated[
        bool,
        Parameter(
            help="Neither look up what was judged before nor keep it.",
            negative="",
            show_default=False,
        ),
    ] = False,
    cluster: Annotated[
        str | None,
        Parameter(
            help="Have the nodes of a Ray cluster do the costly scoring: auto, HOST:PORT, or"
            " local:N to try it here."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Score a run's answers again without asking the model; joules stay as they were measured."""
    from perwatt.cluster.run import is_cluster
    from perwatt.runner.rescore import Rescoring, rescore

    if is_cluster(directory):
        msg = f"{directory} is a folder of a cluster's runs, and one run is scored at a time."
        run = next((file.parent for file in sorted(directory.glob("*/run.json"))), directory / "…")
        raise RunDirError(msg, f"Name each, such as: perwatt score {run}")
    judging: dict[str, Any] = {
        "judge": judge,
        "judge_mode": "pairwise" if judge_against and judge_mode is None else judge_mode,
        "judge_budget": judge_budget,
        "judge_key_env": judge_key_env,
        "accept_terms": accept_terms,
    }
    how = Rescoring(
        scorer=scorer,
        kind=kind,
        judging={name: value for name, value in judging.items() if value is not None},
        against=judge_against,
        labels=labels,
        cache=not no_cache,
    )
    with ProgressView(json=json) as view:
        if cluster is None:
            done = rescore(directory, how, view)
        else:
            from perwatt.cluster.score import score_on_cluster

            done = score_on_cluster(directory, how, cluster, view)
    if not json:
        console = stdout_console()
        for line in _lines(done):
            console.print(line, soft_wrap=True)
        console.print()
    show_result(directory, json=json, also={"rescored": done})


def _lines(done: Rescored) -> list[str]:
    lines = [
        f"{done.scored} answers scored; {done.changed} differ from before,"
        f" {done.cached} came from the cache."
    ]
    for name, count in done.scorers.items():
        lines.append(
            f"  {name}: {count.answers} answers, in {count.unextracted} no answer was found,"
            f" {count.abstained} not judged"
        )
    return lines
