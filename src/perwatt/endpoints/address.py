"""The forms in which people write a server's address, brought to one."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from perwatt.core.errors import SpecError

__all__ = ["Address", "Mode", "parse_address"]

Mode = Literal["chat", "completion"]


class Address(msgspec.Struct, frozen=True):
    """`root` without `/v1`; `mode` when the URL itself names the route."""

    root: str
    mode: Mode | None = None

    def url(self, path: str) -> str:
        return self.root + path


def parse_address(url: str) -> Address:
    """`http://host:8000`, `…/v1`, `…/v1/chat/completions` or `…/v1/completions` (a base model).

    Raises SpecError for anything else, and for a key or password in the URL, which would be saved.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
        port = parts.port  # raises ValueError above 65535
    except ValueError:
        valid, port = False, None
    if not valid or port == 0:
        msg = f"--endpoint {url} is not the address of a server."
        raise SpecError(msg, "Give one such as http://localhost:8000/v1.")
    if parts.username or parts.password or parts.query:
        shown = f"{parts.scheme}://{parts.hostname}"
        msg = f"The address of {shown} carries a key, a password or a query, which would be saved."
        raise SpecError(msg, "Put the key in an environment variable and name it: --api-key-env.")
    path = parts.path.rstrip("/")
    mode: Mode | None = None
    if path.endswith("/chat/completions"):
        path, mode = path.removesuffix("/chat/completions"), "chat"
    elif path.endswith("/completions"):
        path, mode = path.removesuffix("/completions"), "completion"
    return Address(f"{parts.scheme}://{parts.netloc}{path.removesuffix('/v1')}", mode)
