"""Hands jobs to nodes, watches them, and gives the job of one that died to whoever can have it."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from perwatt.cluster.agent import Polled
from perwatt.cluster.collect import bring_back, brought_back
from perwatt.cluster.nodes import Reached, clock_of, is_alive, send_agent
from perwatt.cluster.progress import Watch
from perwatt.cluster.reach import listens
from perwatt.cluster.record import Attempt, Cluster, Job
from perwatt.core.errors import PerwattError
from perwatt.core.spec import RunSpec
from perwatt.runner.events import Listener, Note, Stage

__all__ = ["ATTEMPTS", "ClusterLostError", "Head", "now"]

ATTEMPTS = 4
"""Of one job, before it is given up: a job that kills its node must not kill all of them."""
TICK_S = 0.3
AGAIN_S = 90.0
"""How long a node whose worker died may take to have another, before it counts as lost."""
STOPPING_S = 30.0
"""Patience with jobs that were asked to stop, before they are ended."""
CALL_S = 60.0
LOOK_S = 5.0
"""Between looks at whether the cluster's own head is there."""
GONE_S = 40.0
"""How long it may be away; after 60 s Ray ends this very process."""

Outcome = Literal["done", "worker-lost", "node-lost", "failed", "stopped"]


class ClusterLostError(Exception):
    """The head of the Ray cluster is gone, and its nodes will be."""


class _Again:
    """Another agent for a node, on its way."""

    def __init__(self, give_up_s: float) -> None:
        self.give_up_s = give_up_s
        self.agent: Any = None
        self.answer: Any = None


class Head:
    """One sitting: from the jobs that are not complete to those that cannot be."""

    def __init__(
        self,
        ray: Any,
        spec: RunSpec,
        cluster: Cluster,
        nodes: dict[str, Reached],
        items: dict[int, Any],
        out: Path,
        one_server: bool,
        listen: Listener,
    ) -> None:
        self.ray = ray
        self.spec = spec
        self.cluster = cluster
        self.nodes = nodes
        self.items = items
        """Shard → its items, in the object store."""
        self.out = out
        self.one_server = one_server
        self.listen = listen
        self.watch = Watch(cluster.jobs, listen)
        self.running: dict[str, Job] = {}
        """By node."""
        self._polls: dict[Any, str] = {}
        self._recovering: dict[str, _Again] = {}
        """By node whose worker died."""
        self._address: str = ray.get_runtime_context().gcs_address
        self._heard_s = time.monotonic()
        self._unfit: dict[str, set[str]] = {}
        """By job: nodes where it could not be begun."""

    def run(self) -> None:
        """Until no job can go on.

        KeyboardInterrupt, ClusterLostError: all are stopped first, their journals whole.
        """
        self._find_homes()
        try:
            while self._hand_out() or self.running or self._recovering:
                self._tick()
        except (KeyboardInterrupt, SystemExit):
            self._stop_all()
            raise KeyboardInterrupt from None
        except ClusterLostError:
            self._stop_all()
            raise
        for name, node in self.nodes.items():
            with suppress(self.ray.exceptions.RayError):
                self.cluster.named(name).clocks.append(clock_of(self.ray, node))
        self._save()

    def _find_homes(self) -> None:
        """Which job is home already, and which node has something of which on its disk?"""
        for job in self.cluster.jobs:
            if job.status == "complete":
                continue
            if brought := brought_back(
                self.out, [_remote(n.name, job) for n in self.cluster.nodes]
            ):
                job.status, job.home, job.directory = "complete", None, brought
                continue
            job.status, job.home = "waiting", None
            for name, node in self.nodes.items():
                if self._call(node.agent.holds, _remote(name, job)):
                    job.home = name
                    break

    def _hand_out(self) -> bool:
        """Give every idle node a job. Is any left that waits?"""
        for name in list(self.nodes):
            if name in self.running or name in self._recovering or not self._may_measure(name):
                continue
            job = next((job for job in self.cluster.jobs if self._fits(job, name)), None)
            if job is not None:
                self._begin(job, name)
        waiting = [job for job in self.cluster.jobs if job.status == "waiting"]
        for job in waiting:
            if not any(self._can(job, name) for name in self.nodes):
                self._fail(job, f"{job.name}: no node is left that can do it.")
        return any(job.status == "waiting" for job in self.cluster.jobs)

    def _fits(self, job: Job, name: str) -> bool:
        return (
            job.status == "waiting"
            and self._can(job, name)
            and (job.home == name or job.home not in self.nodes)
        )

    def _can(self, job: Job, name: str) -> bool:
        return job.node in {None, name} and name not in self._unfit.get(job.name, ())

    def _may_measure(self, name: str) -> bool:
        """Is nothing else measured on its machine?"""
        if self.one_server:
            return not self.running
        if self.cluster.share_machine:
            return True
        machine = self.cluster.named(name).machine
        return all(self.cluster.named(other).machine != machine for other in self.running)

    def _begin(self, job: Job, name: str) -> None:
        node = self.nodes[name]
        resumed = job.home == name
        job.home, job.status = name, "running"
        job.attempts.append(Attempt(node=name, started=now(), resumed=resumed))
        self.running[name] = job
        self._save()
        self.listen(Stage(f"{name} {'goes on with' if resumed else 'begins'} {job.name}"))
        given = self.spec.to_json()
        try:
            remote = _remote(name, job)
            begun = node.agent.begin.remote(remote, given, job.models, self.items[job.shard])
            self.ray.get(begun, timeout=CALL_S)
        except self.ray.exceptions.RayTaskError as error:
            cause = error.cause
            if not isinstance(cause, PerwattError):
                raise
            self._ended(name, "failed", str(cause))
        except self.ray.exceptions.RayError as error:
            self._down(name, error)
        else:
            self._polls[node.agent.poll.remote()] = name

    def _tick(self) -> None:
        began_s = time.monotonic()
        if began_s - self._heard_s > LOOK_S:
            if listens(self._address):
                self._heard_s = began_s
            elif began_s - self._heard_s > GONE_S:
                raise ClusterLostError
        ready, _ = self.ray.wait(
            list(self._polls) or [self.ray.put(None)],
            num_returns=max(1, len(self._polls)),
            timeout=TICK_S,
        )
        for future in ready:
            name = self._polls.pop(future, None)
            if name is None or name not in self.running:
                continue
            try:
                self._polled(name, self.ray.get(future))
            except self.ray.exceptions.RayError as error:
                self._down(name, error)
        for name in list(self._recovering):
            self._recover(name)
        time.sleep(max(0.0, TICK_S - (time.monotonic() - began_s)))
        for name in self.running:
            if name not in self._polls.values():
                self._polls[self.nodes[name].agent.poll.remote()] = name

    def _polled(self, name: str, polled: Polled) -> None:
        job = self.running[name]
        for event in polled.events:
            self.watch.heard(name, job, event)
        end = polled.end
        if end is None:
            return
        if end.outcome == "done":
            self.listen(Stage(f"Bringing {job.name} back from {name}"))
            try:
                job.directory = bring_back(
                    self.ray,
                    self.nodes[name],
                    name,
                    job,
                    _remote(name, job),
                    self.cluster,
                    self.out,
                )
            except PerwattError as error:
                self._ended(name, "failed", str(error))
                return
            job.status, job.home = "complete", None
            self._ended(name, "done")
        elif end.outcome == "failed":
            self._ended(name, "failed", " ".join(filter(None, (end.message, end.mend))))
        else:
            sentence = self.cluster.say(f"{name}, {job.name}: {end.message or 'it was stopped'}.")
            self.listen(Note(sentence))
            self._ended(name, "worker-lost", sentence)

    def _ended(self, name: str, outcome: Outcome, sentence: str | None = None) -> None:
        """Note how the node's attempt ended; a job that died waits again, if it may."""
        job = self.running.pop(name)
        self.watch.ended(name)
        attempt = job.attempts[-1]
        attempt.ended, attempt.outcome, attempt.sentence = now(), outcome, sentence
        if outcome == "failed":
            self._failed_on(name, job, f"{job.name} failed on {name}: {sentence}")
        elif outcome in {"worker-lost", "node-lost"}:
            job.status = "waiting"
            died = [a for a in job.attempts if a.outcome in {"worker-lost", "node-lost"}]
            if len(died) >= ATTEMPTS:
                self._fail(job, f"{job.name} was given up: {len(died)} workers died at it.")
        self._save()

    def _failed_on(self, name: str, job: Job, sentence: str) -> None:
        """What could not even begin there, such as for want of its model, may begin elsewhere."""
        unfit = self._unfit.setdefault(job.name, set())
        unfit.add(name)
        others = any(self._can(job, other) for other in self.nodes)
        if others and len(unfit) < ATTEMPTS and not self._holds(name, job):
            job.status, job.home = "waiting", None
            self.listen(Note(self.cluster.say(f"{sentence} Another node is tried.")))
        else:
            self._fail(job, sentence)

    def _holds(self, name: str, job: Job) -> bool:
        """Was anything asked of it there? Where that cannot be known, it may have been."""
        try:
            return bool(self._call(self.nodes[name].agent.holds, _remote(name, job)))
        except self.ray.exceptions.RayError:
            return True

    def _fail(self, job: Job, sentence: str) -> None:
        job.status = "failed"
        self.listen(Note(self.cluster.say(sentence)))
        self._save()

    def _down(self, name: str, error: Exception) -> None:
        """Its agent does not answer any more: the worker died, or all of the node."""
        job = self.running[name]
        with suppress(
            Exception
        ):  # out of reach is not dead: its job must not run on beside another
            self.ray.kill(self.nodes[name].agent)
        why = type(error).__name__
        sentence = self.cluster.say(f"The worker on {name} died while it did {job.name} ({why}).")
        self.listen(Note(sentence))
        self._ended(name, "worker-lost", sentence)
        for future in [future for future, other in self._polls.items() if other == name]:
            del self._polls[future]
        self._recovering[name] = _Again(time.monotonic() + AGAIN_S)

    def _recover(self, name: str) -> None:
        """Another agent on the same node, whose disk has the journal; else the node is lost."""
        node, again = self.nodes[name], self._recovering[name]
        if is_alive(self.ray, node) and time.monotonic() < again.give_up_s:
            if again.answer is None:
                again.agent = send_agent(self.ray, node, self.cluster.cluster_id)
                again.answer = again.agent.call.remote(name)
            if not self.ray.wait([again.answer], timeout=0)[0]:
                return
            try:
                self.ray.get(again.answer)
            except self.ray.exceptions.RayError:
                again.answer = None  # it died too, or the node did and it is not known yet
            else:
                node.agent = again.agent
                del self._recovering[name]
            return
        if again.agent is not None:
            with suppress(Exception):
                self.ray.kill(again.agent)
        del self._recovering[name]
        del self.nodes[name]
        known = self.cluster.named(name)
        known.lost = f"it left the cluster at {now()}"
        sentence = f"{name} ({known.host}) left the cluster"
        for job in self.cluster.jobs:
            if job.home == name and job.status == "waiting":
                job.home = None
                job.attempts[-1].outcome = "node-lost"
                sentence += f"; {job.name} begins again on another node"
        self.listen(Note(self.cluster.say(f"{sentence}.")))
        self._save()

    def _stop_all(self) -> None:
        """Ask every job to end as Ctrl-C does, wait for it, then end it."""
        self.listen(Stage("Stopping the nodes"))
        for name in self.running:
            self._quietly(self.nodes[name].agent.stop.remote())
        give_up_s = time.monotonic() + STOPPING_S
        for name in list(self.running):
            while time.monotonic() < give_up_s:
                polled = self._quietly(self.nodes[name].agent.poll.remote())
                if polled is None or polled.end is not None:
                    break
                time.sleep(TICK_S)
            else:
                self._quietly(self.nodes[name].agent.stop.remote(kill=True))
            self.running[name].status = "waiting"
            self._ended(name, "stopped")
        self._save()

    def _quietly(self, future: Any) -> Any:
        try:
            return self.ray.get(future, timeout=5.0)
        except self.ray.exceptions.RayError:
            return None

    def _call(self, method: Any, *given: Any) -> Any:
        return self.ray.get(method.remote(*given), timeout=CALL_S)

    def _save(self) -> None:
        self.cluster.write(self.out)


def _remote(node: str, job: Job) -> str:
    """The directory's name, on the node and in OUT."""
    return f"{node}-{job.name}"


def now() -> str:
    """Wall time for a reader."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
