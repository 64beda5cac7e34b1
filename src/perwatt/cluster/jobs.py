"""A spec cut into jobs: pairs over nodes, items over nodes, or everything on every node."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from perwatt.cluster.parcel import shard_of
from perwatt.cluster.record import Job, Node, Spread
from perwatt.core.errors import SpecError
from perwatt.core.records import Item, Workload
from perwatt.core.spec import RunSpec
from perwatt.runner.plan import make_plan, pair_ids
from perwatt.runner.plan_check import traces_for
from perwatt.runner.session_endpoint import named

__all__ = ["check_spread", "make_jobs", "server_elsewhere"]


def check_spread(spec: RunSpec, spread: Spread) -> None:
    """Raises SpecError for what one run decides among its own pairs, and a cluster cuts apart."""
    ids = pair_ids(spec.model)
    if spread != "replicas" and spec.rank:
        msg = "--rank looks at all pairs of one run, and --cluster measures them in several."
        raise SpecError(msg, "Leave --rank out, or give --spread replicas.")
    if spread != "replicas" and any("#" in pair_id for pair_id in ids):
        msg = f"Two models of this run have one name: {', '.join(ids)}."
        raise SpecError(msg, "Rename a file, or give --spread replicas.")


def make_jobs(
    spec: RunSpec,
    workload: Workload,
    items: tuple[Item, ...],
    nodes: Sequence[Node],
    spread: Spread,
) -> list[Job]:
    """The jobs in the order they are handed out. Raises SpecError where nodes are too unlike."""
    ids = pair_ids(spec.model)
    if spread == "replicas":
        return [
            Job(
                name="all",
                models=spec.model,
                node=node.name,
                requests=_planned(spec, spec.model, workload, items),
            )
            for node in nodes
        ]
    shards = 1
    if spread == "items":
        _check_alike(nodes)
        shards = min(len(nodes), len({item.group or item.id for item in items}))
    jobs = []
    for pair_id, model in zip(ids, spec.model, strict=True):
        for shard in range(shards):
            part = shard_of(items, shard, shards)
            jobs.append(
                Job(
                    name=pair_id if shards == 1 else f"{pair_id}-{shard + 1}of{shards}",
                    models=(model,),
                    shard=shard,
                    shards=shards,
                    requests=_planned(spec, (model,), workload, part),
                )
            )
    return jobs


def server_elsewhere(spec: RunSpec) -> str | None:
    """The host that every node would ask, where the endpoint is one server on the network."""
    address = named(spec.endpoint)[1] or ""
    if "://" not in address:
        return None
    host = urlsplit(address).hostname or ""
    try:
        return None if ipaddress.ip_address(host).is_loopback else host
    except ValueError:
        return None if host in {"", "localhost"} else host


def _planned(
    spec: RunSpec, models: tuple[str, ...], workload: Workload, items: tuple[Item, ...]
) -> int:
    one = spec.model_copy(update={"model": models})
    return make_plan(one, items, traces_for(one, workload, items)).total


def _check_alike(nodes: Sequence[Node]) -> None:
    for node in nodes[1:]:
        if node.kind != nodes[0].kind:
            msg = (
                f"--spread items: {nodes[0].name} ({nodes[0].host}) is {nodes[0].kind},"
                f" and {node.name} ({node.host}) is {node.kind}."
            )
            mend = "Joules of one pair come from nodes that are alike: --spread pairs or replicas."
            raise SpecError(msg, mend)
        if (node.grade, node.boundary) != (nodes[0].grade, nodes[0].boundary):
            msg = (
                f"--spread items: energy is of grade {nodes[0].grade} at {nodes[0].name} and of"
                f" grade {node.grade} at {node.name}."
            )
            raise SpecError(msg, "Name one sensor that both have: --sensors NAME.")
