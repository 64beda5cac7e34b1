"""Where a request goes: our `/v1/…` is the server's, whatever path its own API stands under."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from perwatt.core.errors import SpecError

__all__ = ["PREFIX", "Target", "parse_target"]

PREFIX = b"/v1"
_DOTS = re.compile(rb"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


class Target(msgspec.Struct, frozen=True):
    """`root` is the server's origin, `path` what stands for our `/v1` there."""

    root: str
    path: str

    @property
    def url(self) -> str:
        return self.root + self.path

    def of(self, raw_path: bytes, query: bytes) -> str | None:
        """The server's target for one of ours; None for a path that would leave its API."""
        if not raw_path.startswith(PREFIX) or _DOTS.search(raw_path):
            return None
        rest = raw_path[len(PREFIX) :]
        text = self.path.encode("ascii") + rest + (b"?" + query if query else b"")
        return text.decode("latin-1")


def parse_target(url: str) -> Target:
    """`http://host:8000`, taken for its `/v1`, or `https://host/any/path`.

    Raises SpecError for anything else, and for a key or password in the URL.
    """
    mend = "Write it as --to http://localhost:8000/v1."
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not url.isascii() or any(c.isspace() for c in url):
        msg = f"--to {url} is not the address of a server."
        raise SpecError(msg, mend)
    if parts.query or parts.fragment or "@" in parts.netloc:
        shown = f"{parts.scheme}://{parts.hostname}"
        msg = f"The address of {shown} carries a key, a password or a query, which would be saved."
        raise SpecError(msg, "Put the key in an environment variable and name it: --api-key-env.")
    return Target(f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/") or "/v1")
