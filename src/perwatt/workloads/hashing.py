"""The identity of a workload: a hash over its items, whatever file they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from perwatt.core.records import Item

__all__ = ["canonical", "workload_sha256"]

_ENCODER = msgspec.json.Encoder(order="deterministic")


def canonical(item: Item) -> bytes:
    """One item as JSON with sorted keys and defaults left out: equal items give equal bytes."""
    return _ENCODER.encode(item)


def workload_sha256(items: Iterable[Item]) -> str:
    """Hex SHA-256 over the items' canonical JSON, one a line, in order."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(canonical(item) + b"\n")
    return digest.hexdigest()
