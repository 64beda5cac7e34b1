"""What a sampler and its client say to each other over HTTP, version 1.

GET /v1/time                         TimeAnswer
GET /v1/domains                      DomainsAnswer
GET /v1/samples?since=SEQ&session=S  a BatchHead, then WireSamples, one JSON document a line

Times are the sampler's own monotonic nanoseconds. Sequence numbers rise by one from 1 within a
session, and a session is one start of the sampler: asking again `since` the last number that was
received whole loses nothing and doubles nothing.
"""

from __future__ import annotations

import os

import msgspec

from perwatt.core.errors import SpecError
from perwatt.core.records import Domain, PowerSample

__all__ = [
    "DEFAULT_PORT",
    "TOKEN_VARIABLE",
    "BatchHead",
    "DomainsAnswer",
    "TimeAnswer",
    "WireSample",
    "to_wire",
    "token_from_environment",
]

DEFAULT_PORT = 9471
TOKEN_VARIABLE = "PERWATT_SAMPLER_TOKEN"
"""Both sides read it from here; it is never an argument, stored or printed."""


class TimeAnswer(msgspec.Struct, frozen=True):
    session: str
    t_ns: int
    """Read while the question is being answered."""


class DomainsAnswer(msgspec.Struct, frozen=True):
    session: str
    hz: float
    next: int
    """Sequence number of the next sample."""
    domains: tuple[Domain, ...]


class BatchHead(msgspec.Struct, frozen=True):
    session: str
    first: int
    """Oldest sequence number that is still kept."""
    count: int
    """Samples that follow."""
    more: bool
    """There are more than fitted into one answer: ask again at once."""


class WireSample(msgspec.Struct, frozen=True, omit_defaults=True):
    """A PowerSample by name, so that the two sides may be of different versions."""

    seq: int
    t_ns: int
    domain: str
    counter_j: float | None = None
    power_w: float | None = None
    utilization: float | None = None
    memory_bytes: int | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    flag: str | None = None
    power_average_w: float | None = None
    power_limit_w: float | None = None
    throttle: str | None = None
    clock_error_ns: int | None = None


def to_wire(seq: int, sample: PowerSample) -> WireSample:
    """The same sample with its number."""
    return WireSample(seq, *(getattr(sample, name) for name in WireSample.__struct_fields__[1:]))


def token_from_environment() -> str | None:
    """The shared secret; None where none is set. Raises SpecError for one no header can hold."""
    token = os.environ.get(TOKEN_VARIABLE) or None
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        msg = f"The token in {TOKEN_VARIABLE} cannot be sent in a header."
        raise SpecError(msg, "Use letters and digits: openssl rand -hex 16 makes one.")
    return token
