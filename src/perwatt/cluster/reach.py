"""Is a cluster there at all? Asked before Ray is, which would try for a quarter of an hour.

Ray 2.60 asks an address that nobody serves 20 times, 41 s each, and Ctrl-C does not end that.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Any

__all__ = ["listens", "reach", "reason"]

PATIENCE_S = 5.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""HTTP/2's connection preface with empty settings (RFC 9113 §3.4)."""
_FRAME = 9
_SETTINGS = 4


def reach(ray: Any, address: str) -> str:
    """HOST:PORT of the cluster that `address` means, where something like a cluster's head listens.

    Raises OSError, or ConnectionError (one of them) with a sentence for a person.
    """
    found: str = ray._private.services.canonicalize_bootstrap_address_or_die(address)
    host, _, port = found.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_S) as opened:
        if os.environ.get("RAY_USE_TLS", "0") not in {"", "0"}:
            return found  # what is within the tunnel, Ray will see
        opened.sendall(_PREFACE)
        answer = b""
        while len(answer) < _FRAME and (piece := opened.recv(_FRAME - len(answer))):
            answer += piece
    if len(answer) < _FRAME or answer[3] != _SETTINGS:
        msg = "what listens there is no head of a Ray cluster."
        raise ConnectionError(msg)
    return found


def listens(address: str) -> bool:
    """Does anything at HOST:PORT? Of a cluster that has answered before."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True


def reason(error: Exception) -> str:
    """The first sentence of what Ray, or the system, says."""
    told = (getattr(error, "strerror", None) or str(error)).strip() or type(error).__name__
    first = re.split(r"(?<=[.!?])\s|\n", told, maxsplit=1)[0].rstrip(".")
    return f"{first[:200]}."
