"""How many requests were in flight, where several processes asked and none saw them all. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from perwatt.core.records import Request

__all__ = ["in_flight_of_all"]


def in_flight_of_all(requests: Iterable[Request]) -> tuple[Request, ...]:
    """The same requests, in the same order; `in_flight` told from the marks of all workers.

    Phases that one process asked alone are left as it saw them.
    """
    listed = tuple(requests)
    phases: dict[str, list[Request]] = defaultdict(list)
    for request in listed:
        phases[request.phase_id].append(request)
    counted: dict[str, int] = {}
    for mine in phases.values():
        if len({request.worker for request in mine}) > 1:
            counted.update(_counted(mine))
    return tuple(
        msgspec.structs.replace(request, in_flight=counted[request.request_id])
        if request.request_id in counted
        else request
        for request in listed
    )


def _counted(mine: list[Request]) -> dict[str, int]:
    """Begun by its dispatch less ended by then, itself included."""
    begun = sorted(request.reply.dispatched_ns for request in mine)
    ended = sorted(request.reply.last_chunk_ns for request in mine)
    return {
        request.request_id: max(
            1,
            bisect_right(begun, request.reply.dispatched_ns)
            - bisect_right(ended, request.reply.dispatched_ns),
        )
        for request in mine
    }
