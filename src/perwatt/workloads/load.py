"""A workload by name or path, checked before anything is asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from perwatt.core.errors import FileError, SpecError, UnknownNameError
from perwatt.core.records import Workload
from perwatt.core.registry import registry
from perwatt.workloads.jsonl import read_jsonl
from perwatt.workloads.sample import sample

__all__ = ["load", "sample"]


def load(name_or_path: str | Path) -> Workload:
    """A registered name, `name:options` of one that takes options, or the path of a .jsonl file.

    Raises UnknownNameError for a name that nobody registered, FileError naming file and line for a
    bad file, SpecError for options that cannot be read or an item whose scorer does not exist,
    MissingExtraError where a workload's data are not installed.
    """
    name = str(name_or_path)
    before, colon, options = name.partition(":")
    given = isinstance(name_or_path, Path)
    if not given and colon and before in registry("workload").names():
        workload = _made(before, options)
    elif given or name.endswith((".jsonl", ".json")) or "/" in name:
        path = Path(name_or_path)
        if path.suffix != ".jsonl":
            msg = f"The workload file {path} is not a .jsonl file."
            raise FileError(msg, "Write one JSON object a line and name it so.")
        workload = read_jsonl(path)
    else:
        workload = registry("workload").get(before if colon else name)()
    known = registry("scorer").names()
    for item in workload.items:
        if item.scorer not in known:
            unknown = UnknownNameError("scorer", item.scorer, known)
            msg = f"The item {item.id!r} of {name} names an unknown scorer {item.scorer!r}."
            raise SpecError(msg, unknown.mend)
    return workload


def _made(name: str, options: str) -> Workload:
    factory: Callable[..., Workload] = registry("workload").get(name)
    if options and not inspect.signature(factory).parameters:
        msg = f"The workload {name} takes no options, and was given {options!r}."
        raise SpecError(msg, f"Give --workload {name}.")
    return factory(options) if options else factory()
