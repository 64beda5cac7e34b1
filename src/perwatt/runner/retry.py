"""Which failures are worth asking again, and after how long. Pure.

Only what failed before its first chunk: afterwards the server has worked, and asking again would
hide that. A wrong request (other 4xx) fails again; a timeout of an answer may have cost the server
its whole work, and is no reason to ask for it twice.
"""

from __future__ import annotations

import random

from perwatt.core.records import Reply

__all__ = ["LONGEST_WAIT_S", "may_retry", "wait_s"]

KINDS = frozenset({"connect", "timeout-connect", "reset"})
STATUSES = frozenset({408, 409, 429})
"""Timed out on its side, in conflict with another request, too many: all of them pass."""
LONGEST_WAIT_S = 60.0
FIRST_S, CEILING_S = 0.5, 30.0


def may_retry(reply: Reply) -> bool:
    """Is this a failure that came before anything was streamed, and that may pass?"""
    if reply.status != "error" or reply.first_chunk_ns is not None:
        return False
    status = _status(reply)
    if status is not None and status != 200:
        return status in STATUSES or status >= 500
    return reply.error_kind in KINDS


def wait_s(reply: Reply, attempt: int, rng: random.Random) -> float:
    """Seconds to wait after failed attempt number `attempt`, from 1.

    What the server asked for, at most a minute; else exponential with full jitter (a draw between
    nothing and the bound, AWS Architecture Blog 2015), so that clients do not come back together.
    """
    if reply.retry_after_s is not None:
        return min(max(reply.retry_after_s, 0.0), LONGEST_WAIT_S)
    return rng.uniform(0, min(CEILING_S, FIRST_S * 2 ** (attempt - 1)))


def _status(reply: Reply) -> int | None:
    if reply.http_status is not None:
        return reply.http_status
    digits = (reply.error_kind or "").removeprefix("http-")
    return int(digits) if digits.isdigit() else None
