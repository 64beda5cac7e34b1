"""From a spec and a workload to the exact list of requests, before anything is started.

The same spec gives the same plan, ids included: that is what lets `perwatt resume` ask only what is
missing, and two runs with one seed be compared request by request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from perwatt.core.records import Item, Prompt, Sampling, Workload
from perwatt.core.spec import RunSpec

__all__ = ["Job", "Plan", "Segment", "make_plan", "next_repeat", "pair_ids", "prompt_for"]


class Job(msgspec.Struct, frozen=True):
    """One request to make."""

    request_id: str
    item: Item
    repeat: int


class Segment(msgspec.Struct, frozen=True):
    """A stretch of load on one pair, with its engine started before and stopped after."""

    pair_id: str
    model: str
    round: int
    jobs: tuple[Job, ...]


class Plan(msgspec.Struct, frozen=True):
    """All of a run, in order."""

    segments: tuple[Segment, ...]

    @property
    def total(self) -> int:
        return sum(len(segment.jobs) for segment in self.segments)

    def without(self, done: set[str], again: Mapping[tuple[str, str], int] | None = None) -> Plan:
        """What is left when the requests in `done` have finished.

        `again`: (pair, item) → the number of the repeat to go on with, for items that have been
        asked but not often enough.
        """
        again = dict(again or {})
        left = []
        for segment in self.segments:
            jobs = tuple(
                following
                for job in segment.jobs
                if (following := _following(job, segment.pair_id, done, again))
            )
            if jobs:
                left.append(msgspec.structs.replace(segment, jobs=jobs))
        return Plan(tuple(left))


def _following(
    job: Job, pair_id: str, done: set[str], again: dict[tuple[str, str], int]
) -> Job | None:
    if job.request_id not in done:
        return job
    number = again.pop((pair_id, job.item.id), None)
    return None if number is None else _numbered(pair_id, job.item, number)


def _numbered(pair_id: str, item: Item, repeat: int) -> Job:
    return Job(f"{pair_id}/{item.id}/{repeat}", item, repeat)


def next_repeat(job: Job, prompt: Prompt) -> tuple[Job, Prompt]:
    """The same item once more, with an id and a seed of its own."""
    following = _numbered(job.request_id.split("/", 1)[0], job.item, job.repeat + 1)
    sampling = msgspec.structs.replace(prompt.sampling, seed=prompt.sampling.seed + 1)
    return following, msgspec.structs.replace(
        prompt, request_id=following.request_id, sampling=sampling
    )


def make_plan(spec: RunSpec, items: tuple[Item, ...]) -> Plan:
    """Rounds × pairs × jobs.

    Every pair is asked the same items in the same seeded order. With several rounds the pairs take
    turns as A B, B A, A B … (ABBA), so that drift of the machine falls on all of them alike.
    """
    order = np.random.default_rng(spec.seed).permutation(len(items) * spec.repeats)
    asked = [(items[k % len(items)], int(k) // len(items)) for k in order]
    rounds = min(spec.rounds, len(asked))
    blocks = [
        asked[len(asked) * r // rounds : len(asked) * (r + 1) // rounds] for r in range(rounds)
    ]
    ids = pair_ids(spec.model)
    pairs = list(zip(ids, spec.model, strict=True))
    segments = []
    for number, block in enumerate(blocks):
        for pair_id, model in pairs if number % 2 == 0 else reversed(pairs):
            jobs = tuple(_numbered(pair_id, item, rep) for item, rep in block)
            segments.append(Segment(pair_id, model, number, jobs))
    return Plan(_joined(segments))


def pair_ids(models: tuple[str, ...]) -> list[str]:
    """Short ids, stable for one spec: the model's name or its file's, numbered where they clash."""
    ids: list[str] = []
    for model in models:
        base, at, precision = model.rpartition("@")
        name, precision = (base, at + precision) if at else (precision, "")
        if "/" in name or name.endswith(".gguf"):
            name = Path(name).name.removesuffix(".gguf")
        pair_id = re.sub(r"[^A-Za-z0-9._@-]+", "-", name + precision.lower())
        taken = [other for other in ids if other == pair_id or other.startswith(f"{pair_id}#")]
        ids.append(f"{pair_id}#{len(taken) + 1}" if taken else pair_id)
    return ids


def prompt_for(spec: RunSpec, workload: Workload, job: Job) -> Prompt:
    """What the endpoint is asked for one job. Each repeat has a seed of its own."""
    item = job.item
    sampling = Sampling(
        temperature=spec.temperature,
        top_p=spec.top_p,
        top_k=spec.top_k,
        min_p=spec.min_p,
        max_tokens=spec.max_tokens or item.max_tokens,
        stop=item.stop,
        seed=spec.seed + job.repeat,
    )
    return Prompt(
        request_id=job.request_id,
        messages=item.messages,
        sampling=sampling,
        examples=workload.examples.get(item.kind, ()),
    )


def _joined(segments: list[Segment]) -> tuple[Segment, ...]:
    # In ABBA order a pair meets itself: B of one round and B of the next need no restart between.
    joined: list[Segment] = []
    for segment in segments:
        if joined and joined[-1].pair_id == segment.pair_id:
            both = joined[-1].jobs + segment.jobs
            joined[-1] = msgspec.structs.replace(joined[-1], jobs=both)
        else:
            joined.append(segment)
    return tuple(joined)
