"""A job's directory brought back in pieces, each file's hash checked: it is there whole or not."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from perwatt.cluster.nodes import Reached
from perwatt.cluster.record import Cluster, Job
from perwatt.core.errors import RunDirError
from perwatt.store.disk import disk_errors
from perwatt.store.integrity import changed_file
from perwatt.store.rundir import RunDir, read_run

__all__ = ["bring_back", "brought_back"]

PIECE = 8 * 2**20
"""Bytes at once: a tenth of the smallest object store."""
PATIENCE_S = 120.0


def bring_back(
    ray: Any, node: Reached, name: str, job: Job, remote: str, cluster: Cluster, out: Path
) -> str:
    """Copy `remote` of the node `name` to a directory of `out`, and return its name.

    run.json then says what was asked for in the head's words, and which node did it. Raises
    RunDirError where a file is not what the node hashed, FileError, DiskFullError.
    """
    parts = out / ".parts"  # not one level below OUT: a study would find it
    part = parts / remote
    shutil.rmtree(part, ignore_errors=True)
    for file in ray.get(node.agent.files.remote(remote), timeout=PATIENCE_S):
        relative = PurePosixPath(file.name)
        if relative.is_absolute() or ".." in relative.parts:
            msg = f"{name} offered the file {file.name!r} outside of its run."
            raise RunDirError(msg, "Do not use that node.")
        place = part / relative
        digest = hashlib.sha256()
        with disk_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as written:
                for offset in range(0, file.size, PIECE):
                    piece = ray.get(
                        node.agent.read.remote(remote, file.name, offset, PIECE),
                        timeout=PATIENCE_S,
                    )
                    digest.update(piece)
                    written.write(piece)
        if digest.hexdigest() != file.sha256:
            msg = f"{file.name} of {remote} changed on its way from {name}."
            raise RunDirError(msg, f"Bring it again: perwatt resume {out}")
    run = read_run(part)
    if changed := changed_file(part, run):
        msg = f"{changed} of {remote} is not the file that perwatt wrote on {name}."
        raise RunDirError(msg, f"Look at that node's disk, then: perwatt resume {out}")
    _annotate(part, run, name, job, cluster)
    with disk_errors(out / remote):
        part.rename(out / remote)
        if not any(parts.iterdir()):
            parts.rmdir()
    with suppress(ray.exceptions.RayError):  # it is home, whatever becomes of the node
        ray.get(node.agent.forget.remote(remote), timeout=PATIENCE_S)
    return remote


def brought_back(out: Path, names: Iterable[str]) -> str | None:
    """Which of these is in `out`, though cluster.json was not told any more? It is there whole."""
    return next((name for name in names if (out / name / "run.json").is_file()), None)


def _annotate(part: Path, run: dict[str, Any], name: str, job: Job, cluster: Cluster) -> None:
    asked = {field: cluster.spec[field] for field in ("workload", "limit", "sample", "classify")}
    run["spec"] = {**run["spec"], **asked, "out": None}
    run["cluster"] = {
        "cluster_id": cluster.cluster_id,
        "node": name,
        "clock": msgspec.to_builtins(cluster.named(name).clocks[-1]),
        "shard": job.shard,
        "shards": job.shards,
        "shared_machine": cluster.share_machine and _shares(cluster, name),
    }
    with RunDir.open(part) as opened:
        opened.write_run(run)


def _shares(cluster: Cluster, name: str) -> bool:
    machine = cluster.named(name).machine
    return sum(node.machine == machine for node in cluster.nodes) > 1
