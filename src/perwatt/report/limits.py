"""What a pair's requests came to on its device, for holding against the device's roofline."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec
import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.predict.roofline import NoRoofline, Work
from perwatt.report.rows import Row
from perwatt.report.spans import seconds_of, union
from perwatt.stats.student import t_quantile

__all__ = ["Done", "done_by", "replicates", "with_interval"]

MOST_BLOCKS, LEAST_BLOCKS = 20, 5
LEAST_TURNS = 4
"""Requests of a block, times those in flight: so that its edges matter little."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The work of some requests, and how long it took."""

    work: Work
    busy_s: float
    """While at least one was in flight."""
    decode_s: float
    """While at least one had its first chunk and not yet its last."""
    in_flight: float
    """Mean over the busy time."""


def done_by(rows: Sequence[Row]) -> Done | NoRoofline:
    """Of the requests that were answered. Tokens that a cache served were not read."""
    rows = [row for row in rows if row.ok]
    if not rows:
        return NoRoofline("no request was answered")
    lacking = sum(row.prompt_tokens is None or row.completion_tokens is None for row in rows)
    if lacking:
        return NoRoofline(f"{lacking} of {len(rows)} answers have no count of their tokens")
    prompt = [max((row.prompt_tokens or 0) - (row.cached_tokens or 0), 0) for row in rows]
    output = [row.completion_tokens or 0 for row in rows]
    whole = [(row.dispatched_ns, row.last_chunk_ns) for row in rows]
    decoding = [
        (row.first_chunk_ns, row.last_chunk_ns) for row in rows if row.first_chunk_ns is not None
    ]
    busy_s, decode_s = seconds_of(union(whole)), seconds_of(union(decoding))
    if busy_s <= 0:
        return NoRoofline("its requests took no time")
    in_flight = sum(end - start for start, end in whole) / 1e9 / busy_s
    steps = [max(n - 1, 0) for n in output]
    return Done(
        work=Work(
            prompt_tokens=sum(prompt),
            decode_tokens=sum(steps),
            output_tokens=sum(output),
            context_tokens=sum(
                # A step reads what stood before it: the prompt, and what was made so far.
                n * (row.prompt_tokens or 0) + n * (n + 1) // 2
                for row, n in zip(rows, steps, strict=True)
            ),
            batch=max(1.0, sum(e - s for s, e in decoding) / 1e9 / decode_s) if decode_s else 1.0,
            overlapped=in_flight > 1 + 1e-9,
        ),
        busy_s=busy_s,
        decode_s=decode_s,
        in_flight=in_flight,
    )


def replicates(rows: Sequence[Row], in_flight: float) -> list[Done]:
    """The same with each of up to 20 blocks of requests, in the order they were sent, left out.

    None where the requests are too few for blocks that are longer than a request is.
    """
    rows = [row for row in rows if row.ok]
    count = min(MOST_BLOCKS, int(len(rows) / (LEAST_TURNS * max(in_flight, 1.0))))
    if count < LEAST_BLOCKS:
        return []
    edges = np.linspace(0, len(rows), count + 1).astype(int).tolist()
    kept = [done_by([*rows[:a], *rows[b:]]) for a, b in pairwise(edges)]
    found = [done for done in kept if isinstance(done, Done)]
    return found if len(found) == count else []


def with_interval(
    done: Done, without: Sequence[Done], figure: Callable[[Done], float], unit: str, n: int
) -> Estimate:
    """`figure` with the interval of a delete-a-block jackknife of its logarithm.

    `without`: see `replicates`. Neighbours in time are alike, so blocks of them are left out whole
    (Künsch, Annals of Statistics 17(3), 1989). Without blocks there is no interval.
    """
    value, others = figure(done), [figure(each) for each in without]
    if not others or min(value, *others) <= 0:
        return Estimate(value=value, unit=unit, n=n, method="no interval: too few requests")
    g = len(others)
    logs = np.log(others)
    error = math.sqrt((g - 1) / g * float(((logs - logs.mean()) ** 2).sum()))
    factor = math.exp(t_quantile(0.975, g - 1) * error)
    return Estimate(
        value=value,
        low=value / factor,
        high=value * factor,
        unit=unit,
        method=f"jackknife over {g} blocks of requests in time",
        n=n,
    )
