"""`perwatt run --cluster` and `perwatt resume` of its directory: where both end."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

from perwatt import __version__
from perwatt.cluster.connect import Connection, connected, parse_address
from perwatt.cluster.head import ClusterLostError, Head, now
from perwatt.cluster.jobs import check_spread, make_jobs, server_elsewhere
from perwatt.cluster.nodes import Reached, dismiss, meet
from perwatt.cluster.parcel import packed, shard_of
from perwatt.cluster.record import Cluster, Spread, locked, read_cluster
from perwatt.core.errors import EngineError, InterruptedRunError, RunDirError, SpecError
from perwatt.core.records import Item, Workload
from perwatt.core.spec import RunSpec
from perwatt.runner.events import EnergyFound, Listener, Note, Stage
from perwatt.runner.plan import pair_ids
from perwatt.runner.plan_check import check_load
from perwatt.runner.score import check_scorers
from perwatt.workloads.classifier import label
from perwatt.workloads.load import load, sample

__all__ = ["is_cluster", "resume", "start", "to_spread"]


def start(
    spec: RunSpec,
    address: str,
    listen: Listener,
    *,
    spread: Spread = "pairs",
    share_machine: bool = False,
) -> Path:
    """Do all that `spec` says on the nodes of a Ray cluster; return the folder of their runs.

    Each node runs the ordinary runner, one job at a time: its sensors, its clock, its journal.

    address : `auto`, HOST:PORT or `local:N`.
    spread : pairs over nodes; every pair's items over nodes that are alike; or `replicas`, where
        every node does everything.
    share_machine : let nodes of one machine measure at the same time; each then sees the others'
        joules.

    Raises a PerwattError before anything is asked if it cannot be done; InterruptedRunError after
    Ctrl-C, or where a job was given up, with what is complete brought back; EngineError where jobs
    failed for a reason that will not go away.
    """
    where = parse_address(address)
    check_spread(spec, spread)
    workload, items = _items(spec)
    began = datetime.now(UTC)
    out = spec.out or _free_name(spec, began)
    with locked(out, new=True):
        cluster = Cluster(
            perwatt_version=__version__,
            cluster_id=uuid4().hex,
            started=now(),
            address=address,
            spread=spread,
            share_machine=share_machine,
            spec={**spec.to_json(), "out": None},
            workload_sha256=workload.sha256,
        )
        try:
            with _by_sigterm_too(), connected(where) as connection, ExitStack() as stay:
                stay.enter_context(_by_sigterm_too())  # Ray has just put its own handler there
                listen(Stage("Meeting the nodes"))
                nodes = stay.enter_context(_met(connection, spec, cluster))
                met = [cluster.named(name) for name in nodes]
                cluster.jobs = make_jobs(spec, workload, items, met, spread)
                _sit(connection, spec, cluster, nodes, workload, items, out, listen)
        finally:
            if not (out / "cluster.json").exists():
                _discard(out)
    return out


def resume(out: Path, listen: Listener, *, address: str | None = None) -> None:
    """Go on with the jobs that are not complete, on the same cluster or another.

    Raises RunDirError where `out` is none of ours, is busy, or its items have changed.
    """
    with locked(out, new=False):
        cluster = read_cluster(out)
        if cluster.status == "complete":
            listen(Stage(f"{out} is complete; nothing is left to ask"))
            return
        spec = RunSpec.resolve(cluster.spec)
        workload, items = _items(spec)
        if workload.sha256 != cluster.workload_sha256:
            msg = f"The items of the workload {spec.workload} have changed since {out} began."
            raise RunDirError(msg, "Bring the old items back, or start a new run.")
        cluster.address = address or cluster.address
        cluster.status = "running"
        where = parse_address(cluster.address)
        with _by_sigterm_too(), connected(where) as connection, ExitStack() as stay:
            stay.enter_context(_by_sigterm_too())  # Ray has just put its own handler there
            listen(Stage("Meeting the nodes"))
            nodes = stay.enter_context(_met(connection, spec, cluster))
            _sit(connection, spec, cluster, nodes, workload, items, out, listen)


@contextmanager
def _met(connection: Connection, spec: RunSpec, cluster: Cluster) -> Iterator[dict[str, Reached]]:
    """The nodes, given back afterwards: the cluster may have other work to do."""
    nodes = meet(connection.ray, spec, cluster)
    try:
        yield nodes
    finally:
        dismiss(connection.ray, nodes.values())


def is_cluster(directory: Path) -> bool:
    """Was it made by `perwatt run --cluster`?"""
    return (directory / "cluster.json").is_file()


def to_spread(text: str) -> Spread:
    """`--spread` as given. Raises SpecError."""
    known: tuple[Spread, ...] = get_args(Spread)
    for spread in known:
        if spread == text:
            return spread
    msg = f"--spread {text!r} is none of {', '.join(known)}."
    raise SpecError(msg, "It says what the nodes share out: pairs, items, or nothing.")


def _sit(
    connection: Connection,
    spec: RunSpec,
    cluster: Cluster,
    nodes: dict[str, Reached],
    workload: Workload,
    items: tuple[Item, ...],
    out: Path,
    listen: Listener,
) -> None:
    server = server_elsewhere(spec)
    lines = [f"{n.name} ({n.host}): {n.energy}" for n in cluster.nodes if n.name in nodes]
    listen(EnergyFound("\n".join(lines)))
    for sentence in _to_know(cluster, nodes, server):
        listen(Note(cluster.say(sentence)))
    ray = connection.ray
    shards = {job.shard: job.shards for job in cluster.jobs}
    parcels = {
        shard: ray.put(packed(workload, shard_of(items, shard, of))) for shard, of in shards.items()
    }
    head = Head(ray, spec, cluster, nodes, parcels, out, server is not None, listen)
    try:
        head.run()
    except KeyboardInterrupt:
        cluster.status = "interrupted"
        cluster.write(out)
        msg = f"Stopped; {out} holds the runs that were complete, and each node its journal."
        raise InterruptedRunError(msg, f"Go on with: perwatt resume {out}") from None
    except ClusterLostError:
        cluster.status = "interrupted"
        msg = cluster.say(f"The head of the Ray cluster at {cluster.address} was lost.")
        cluster.write(out)
        mend = f"Start the cluster again, then go on with: perwatt resume {out}"
        raise InterruptedRunError(msg, mend) from None
    cluster.ended = now()
    left = [job for job in cluster.jobs if job.status != "complete"]
    cluster.status = "failed" if left else "complete"
    cluster.write(out)
    if not left:
        return
    said = [attempt.sentence for attempt in left[0].attempts if attempt.sentence]
    why = said[-1] if said else "no node could do it."
    msg = f"{len(left)} of {len(cluster.jobs)} jobs were not done; {left[0].name}: {why}"
    died = all(a.outcome != "failed" for job in left for a in job.attempts[-1:])
    kind = InterruptedRunError if died else EngineError
    raise kind(msg, f"Mend it, then go on with: perwatt resume {out}")


def _to_know(cluster: Cluster, nodes: dict[str, Reached], server: str | None) -> list[str]:
    """What somebody who reads the numbers must know about the nodes."""
    said = []
    here = [cluster.named(name) for name in nodes]
    for machine in dict.fromkeys(node.machine for node in here):
        names = [node.name for node in here if node.machine == machine]
        if len(names) > 1 and cluster.share_machine:
            said.append(
                f"{_and(names)} are one machine and measure at the same time: each sees the others'"
                " joules, and none of these is a figure of one node."
            )
        elif len(names) > 1:
            said.append(f"{_and(names)} are one machine: they take turns.")
    if server is not None:
        said.append(f"All nodes ask one server, {server}: they take turns.")
    kinds = {node.kind for node in here}
    if len(kinds) > 1 and cluster.spread == "pairs" and len(cluster.jobs) > 1:
        said.append(
            "The nodes are unlike, and each pair is measured on one of them: pairs on different"
            " devices differ by the device too. --spread replicas measures every pair everywhere."
        )
    return said


def _items(spec: RunSpec) -> tuple[Workload, tuple[Item, ...]]:
    workload = load(
        spec.workload,
        skip_bad=spec.skip_bad,
        at_most=spec.limit,
        seed=spec.seed,
        label=label if spec.classify else None,
    )
    items = sample(workload, spec.limit, spec.seed, spec.sample).items
    check_scorers(items)
    check_load(spec, items)
    if not items:
        msg = f"The workload {spec.workload} has no item to ask."
        raise SpecError(msg)
    return workload, items


@contextmanager
def _by_sigterm_too() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does; Ray would leave at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _discard(out: Path) -> None:
    """Nothing was begun: leave nothing."""
    (out / "lock").unlink(missing_ok=True)
    if not any(out.iterdir()):
        out.rmdir()


def _free_name(spec: RunSpec, began: datetime) -> Path:
    text = f"{began:%Y%m%d-%H%M%S}-cluster-{'-'.join(pair_ids(spec.model)[:2])}"
    name = re.sub(r"[^A-Za-z0-9._@-]+", "-", text)
    numbered = (name if n == 1 else f"{name}-{n}" for n in count(1))
    return next(path for each in numbered if not (path := Path("runs", each)).exists())


def _and(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
