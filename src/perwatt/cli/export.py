"""`perwatt export DIR… --as FORM`: runs in other tools' files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from perwatt.core.errors import RunDirError, SpecError

if TYPE_CHECKING:
    from perwatt.store.exchange.export_table import ExportRun
    from perwatt.store.load import RunTables

__all__ = ["export"]

Form = Literal["inspect", "csv", "parquet", "hf", "mlflow"]


def export(
    *directories: Annotated[
        Path, Parameter(help="Directories of finished runs, or folders that hold them.")
    ],
    as_: Annotated[
        Form,
        Parameter(
            name=["--as", "--to"],
            help="inspect: .eval logs, one for each pair; csv and parquet: requests, figures,"
            " scores and power; hf: a Hugging Face data set with its card; mlflow: a run for each"
            " pair.",
        ),
    ] = "inspect",
    output: Annotated[
        str | None,
        Parameter(
            name=["--output", "-o"],
            help="Folder for them, or MLflow's tracking server. [default: DIR/FORM of one run]",
            show_default=False,
        ),
    ] = None,
    without_text: Annotated[
        bool,
        Parameter(
            help="Leave out what models, judges and servers wrote.", negative="", show_default=False
        ),
    ] = False,
    experiment: Annotated[str, Parameter(help="MLflow's experiment.")] = "perwatt",
) -> None:
    """Write runs in other tools' files: joules with their intervals beside each answer."""
    from perwatt.study.runs import expanded

    if not directories:
        msg = "`perwatt export` was given no run directory."
        raise SpecError(msg, "Name one or more, such as: perwatt export runs/demo --as csv -o out")
    named, directories = len(directories), tuple(expanded(directories))
    if output is None and (max(named, len(directories)) > 1 or as_ == "mlflow"):
        msg = f"There is no place named to write {as_} to."
        raise SpecError(msg, "Name it with --output.")
    place = output or str(directories[0] / as_)
    _refuse_runs_as_target(directories, Path(place))
    if as_ == "inspect":
        if without_text:
            msg = "--without-text leaves nothing of an Inspect log."
            raise SpecError(msg, "Export as csv, parquet, hf or mlflow.")
        lines = _inspect(directories, Path(place))
    else:
        lines = _tables(directories, as_, place, experiment, text=not without_text)
    for line in lines:
        print(line)


def _refuse_runs_as_target(directories: Sequence[Path], place: Path) -> None:
    """Of several runs each is written to a folder of its name, which beside them is the run."""
    targets = {place.resolve(), *((place / name).resolve() for name in _names(directories))}
    for directory in directories:
        if directory.resolve() in targets:
            msg = f"{directory} is the run itself, whose files must stay as they are."
            raise SpecError(msg, "Name another folder with --output.")


def _read(directory: Path) -> RunTables:
    """The run's tables; that one was changed since is told on stderr."""
    from perwatt.store.integrity import changed_file
    from perwatt.store.load import load_tables

    tables = load_tables(directory)
    if changed := changed_file(directory, tables.run):
        sentence = f"{changed} in {directory} is not the file that perwatt wrote: its hash differs."
        print(f"perwatt: warning: {sentence}", file=sys.stderr)
    return tables


def _inspect(directories: Sequence[Path], folder: Path) -> list[str]:
    from perwatt.store.exchange.inspect_write import write_inspect
    from perwatt.store.items import read_items

    written = []
    for directory, name in zip(directories, _names(directories), strict=True):
        tables = _read(directory)
        items = read_items(directory)
        if items is None:
            msg = f"{directory} did not keep its items: it is of an older perwatt."
            raise RunDirError(msg, "Run it again to export it.")
        if not tables.requests["request_id"]:
            msg = f"{directory} has no answers, of which an Inspect log is made."
            raise RunDirError(msg, "Export its figures as csv, parquet, hf or mlflow.")
        own = folder / name if len(directories) > 1 else folder
        written += write_inspect(tables, {item.id: item for item in items}, own)
    return [str(path) for path in written]


def _tables(
    directories: Sequence[Path],
    form: Literal["csv", "parquet", "hf", "mlflow"],
    place: str,
    experiment: str,
    *,
    text: bool,
) -> list[str]:
    runs = [_run(d, name) for d, name in zip(directories, _names(directories), strict=True)]
    if form == "mlflow":
        from perwatt.store.exchange.export_mlflow import write_mlflow

        return write_mlflow(runs, place, experiment=experiment, text=text)
    if form == "hf":
        from perwatt.store.exchange.export_hf import write_hf

        return [str(path) for path in write_hf(runs, Path(place), text=text)]
    from perwatt.store.exchange.export_table import copy_tables

    written = []
    for run in runs:
        folder = Path(place, run.name) if len(runs) > 1 else Path(place)
        written += copy_tables(run, folder, form, text=text)
        if form == "csv":
            _warn_of_formulas(run, folder, text=text)
    return [str(path) for path in written]


def _warn_of_formulas(run: ExportRun, folder: Path, *, text: bool) -> None:
    from perwatt.store.exchange.export_table import formula_cells

    for table in ("requests", "scores"):
        if count := formula_cells(run, table, text=text):
            sentence = (
                f"{count} texts in {folder / table}.csv begin with =, +, - or @, as a spreadsheet's"
                " formulas do, and are left as they were written. Load its columns as text there,"
                " or export --without-text."
            )
            print(f"perwatt: warning: {sentence}", file=sys.stderr)


def _run(directory: Path, name: str) -> ExportRun:
    from perwatt.runner.summary import summarise_run
    from perwatt.store.exchange.export_table import ExportRun

    tables = _read(directory)
    return ExportRun(name=name, path=directory, run=tables.run, summary=summarise_run(tables))


def _names(directories: Sequence[Path]) -> list[str]:
    """Each directory's own, told apart by a number where two are alike."""
    names: list[str] = []
    for directory in directories:
        base = directory.resolve().name or "run"
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base}-{number}"
        names.append(name)
    return names
