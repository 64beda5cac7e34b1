"""The nodes of a Ray cluster that can do jobs, each taken whole: nothing else draws power there."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from perwatt import __version__
from perwatt.cluster.agent import About, Agent
from perwatt.cluster.record import Clock, Cluster, Node
from perwatt.core.clock import now_ns, seconds
from perwatt.core.errors import EngineError, GradeError, PerwattError, SpecError
from perwatt.core.spec import RunSpec

__all__ = ["Reached", "clock_of", "dismiss", "is_alive", "meet", "same_version", "send_agent"]

MEET_S = 60.0
"""How long a node may be busy with somebody else's work, or start a worker."""
EXCHANGES = 12


class Reached:
    """A node while this process is connected to it."""

    def __init__(self, ray_id: str, cpus: float, gpus: float) -> None:
        self.ray_id = ray_id
        self.cpus = cpus
        self.gpus = gpus
        self.agent: Any = None
        self.about: About | None = None


def meet(ray: Any, spec: RunSpec, cluster: Cluster) -> dict[str, Reached]:
    """Put an agent on every node that has a CPU to give; note each in `cluster`.

    Nodes of a run that is gone on with keep the names they had. Raises EngineError where no node
    can be used, SpecError for a node without perwatt, with another version of it, or without a
    variable that the spec names; GradeError.
    """
    found = [_reached(each) for each in ray.nodes() if each["Alive"]]
    able = [node for node in found if node.cpus >= 1]
    if not able:
        msg = f"No node of the cluster {cluster.address} has a CPU to give."
        raise EngineError(msg, "Start some with `ray start --address=…`, without --num-cpus=0.")
    same_version(ray, [node.ray_id for node in able])
    waiting = {}
    for node in able:
        node.agent = send_agent(ray, node, cluster.cluster_id)
        waiting[node.agent.about.remote(spec.to_json(), node.gpus)] = node
    ready, late = ray.wait(list(waiting), num_returns=len(waiting), timeout=MEET_S)
    for future in late:
        cluster.say(
            f"A node of the cluster was left out: it had no room within {MEET_S:g} s."
            " Other work runs there."
        )
        ray.kill(waiting[future].agent)
    for future in ready:
        waiting[future].about = ray.get(future)
    met = [waiting[future] for future in waiting if future in set(ready)]
    if not met:
        msg = f"Every node of the cluster {cluster.address} is busy with other work."
        raise EngineError(msg, "Wait for it to end: joules measured beside it would be both's.")
    _check(met, spec)
    named = _named(cluster, met)
    for name, node in named.items():
        ray.get(node.agent.call.remote(name), timeout=MEET_S)
        cluster.named(name).clocks.append(clock_of(ray, node))
    return named


def send_agent(ray: Any, node: Reached, run_id: str) -> Any:
    """An actor on that very node, with all of its CPUs and GPUs for its own."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    options = {
        "num_cpus": node.cpus,
        "num_gpus": node.gpus,
        "max_restarts": 0,
        "max_task_retries": 0,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node.ray_id, soft=False),
    }
    return ray.remote(**options)(Agent).remote(run_id)


def dismiss(ray: Any, nodes: Iterable[Reached]) -> None:
    """Give the nodes back; a job that still runs there ends with its agent."""
    for node in nodes:
        if node.agent is not None:
            ray.kill(node.agent)


def is_alive(ray: Any, node: Reached) -> bool:
    """Does the cluster still count it?"""
    return any(each["NodeID"] == node.ray_id and each["Alive"] for each in ray.nodes())


def clock_of(ray: Any, node: Reached) -> Clock:
    """Ask its clock some times; the quickest exchange bounds the offset best."""
    best: tuple[float, float] | None = None
    for _ in range(EXCHANGES):
        wall_ns, before_ns = time.time_ns(), now_ns()
        theirs_ns = ray.get(node.agent.clock_ns.remote(), timeout=MEET_S)
        half_s = seconds(before_ns, now_ns()) / 2
        offset_s = (theirs_ns - wall_ns) / 1e9 - half_s
        if best is None or half_s < best[1]:
            best = (offset_s, half_s)
    assert best is not None
    return Clock(
        offset_s=best[0], bound_s=best[1], at=datetime.now(UTC).isoformat(timespec="seconds")
    )


def _reached(each: dict[str, Any]) -> Reached:
    resources = each["Resources"]
    return Reached(each["NodeID"], resources.get("CPU", 0.0), resources.get("GPU", 0.0))


def same_version(ray: Any, nodes: Sequence[str]) -> None:
    """The same perwatt on all of these, by Ray's ids: definitions and files must be one.

    Raises SpecError for a node without perwatt or with another; EngineError for one that is stuck.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def version_there() -> tuple[str, str | None]:
        # Nested, so that it travels as code: it must run where perwatt cannot be imported.
        import platform

        try:
            import perwatt
        except ImportError:
            return platform.node(), None
        return platform.node(), perwatt.__version__

    asked = [
        ray.remote(
            num_cpus=0,
            max_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        )(version_there).remote()
        for node in nodes
    ]
    try:
        answers = ray.get(asked, timeout=MEET_S)
    except ray.exceptions.GetTimeoutError:
        msg = f"A node of the cluster started no worker within {MEET_S:g} s."
        raise EngineError(msg, "See `ray status`, and the raylet's log there.") from None
    for host, version in answers:
        if version is None:
            msg = f"The Python of the node {host} has no perwatt."
            raise SpecError(msg, f"Run there: pip install 'perwatt[cluster]=={__version__}'")
        if version != __version__:
            msg = f"The node {host} has perwatt {version}, and this is {__version__}."
            raise SpecError(msg, f"Run there: pip install 'perwatt[cluster]=={__version__}'")


def _check(met: Sequence[Reached], spec: RunSpec) -> None:
    for node in met:
        about = node.about
        assert about is not None
        if about.lacks:
            name = about.lacks[0]
            option = "--api-key-env" if name == spec.api_key_env else "--judge-key-env"
            msg = f"The node {about.host} has no variable {name}, which {option} names."
            mend = f"Set it there before `ray start`: keys are not sent. Or leave {option} out."
            raise SpecError(msg, mend)
        if about.error:
            message, mend_there = about.error
            kind: type[PerwattError] = GradeError if spec.require_grade else EngineError
            raise kind(f"On the node {about.host}: {message}", mend_there)


def _named(cluster: Cluster, met: Sequence[Reached]) -> dict[str, Reached]:
    """`node1` …, by host where a run goes on; new ones get new numbers."""
    free = list(cluster.nodes)
    named: dict[str, Reached] = {}
    for reached in met:
        about = reached.about
        assert about is not None
        known = next((node for node in free if node.host == about.host), None)
        if known is not None:
            free.remove(known)
            known.lost = None
        else:
            numbers = [int(re.sub(r"\D", "", node.name) or 0) for node in cluster.nodes]
            name = f"node{max(numbers, default=0) + 1}"
            known = Node(name=name, host=about.host, machine="", kind="")
            cluster.nodes.append(known)
        known.machine, known.kind, known.energy = about.machine, about.kind, about.energy
        known.grade, known.boundary = about.grade, about.boundary
        named[known.name] = reached
    for node in free:
        node.lost = node.lost or "it is not in the cluster any more"
    return named
