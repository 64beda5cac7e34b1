"""What a node is sent to ask: items as the head read them, so that no node needs the data set."""

from __future__ import annotations

from pathlib import Path

import msgspec

from perwatt.core.errors import RunDirError
from perwatt.core.records import Item, Workload
from perwatt.core.registry import registry
from perwatt.core.spec import RunSpec
from perwatt.store.lines import repaired

__all__ = ["NAME", "packed", "register", "shard_of", "spec_for"]

NAME = "parcel"
"""The workload's name on a node: `parcel:FILE`."""


def shard_of(items: tuple[Item, ...], shard: int, shards: int) -> tuple[Item, ...]:
    """Every `shards`-th item. Items of one group stay together, as their statistics do."""
    groups = {group: n for n, group in enumerate(dict.fromkeys(i.group or i.id for i in items))}
    return tuple(item for item in items if groups[item.group or item.id] % shards == shard)


def packed(workload: Workload, asked: tuple[Item, ...]) -> bytes:
    """`asked` of `workload` as a sample of it: its name and the hash of all items stay."""
    arrivals: tuple[float, ...] = ()
    if workload.arrivals_s:
        due = dict(zip((i.id for i in workload.items), workload.arrivals_s, strict=True))
        arrivals = tuple(due[item.id] for item in asked)
    parcel = msgspec.structs.replace(
        workload, items=asked, arrivals_s=arrivals, total=workload.total or len(workload.items)
    )
    try:
        return msgspec.json.encode(parcel)
    except UnicodeEncodeError:  # half a surrogate pair
        return msgspec.json.encode(repaired(msgspec.to_builtins(parcel)))


def spec_for(spec: RunSpec, models: tuple[str, ...], parcel: Path, out: Path) -> RunSpec:
    """The run of one job: the items have been picked and labelled already."""
    given = {
        **spec.to_json(),
        "model": list(models),
        "workload": f"{NAME}:{parcel}",
        "limit": None,
        "sample": "even",
        "classify": False,
        "out": str(out),
    }
    return RunSpec.resolve(given)


def _read(path: str) -> Workload:
    """The factory of `parcel:FILE`. Raises RunDirError."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Workload)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"The items that were sent to {path} cannot be read: {error}."
        raise RunDirError(msg, "Start the run again.") from None


def register() -> None:
    """Make the name known in this process; a run on a node is the only one that needs it."""
    if NAME not in registry("workload").names():
        registry("workload").register(NAME)(_read)
