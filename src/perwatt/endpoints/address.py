"""The forms in which people write a server's address, brought to one."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from perwatt.core.errors import SpecError

__all__ = ["Address", "Mode", "parse_address"]

Mode = Literal["chat", "completion"]

_DEPLOYMENT = re.compile(r"/openai/deployments/[^/]+$")


class Address(msgspec.Struct, frozen=True):
    """`root` without `/v1`; `mode` when the URL itself names the route."""

    root: str
    mode: Mode | None = None
    api: str = "/v1"
    """What the routes of the API begin with; empty for an Azure deployment."""
    query: str = ""
    """`?api-version=…` of Azure, or nothing."""

    @property
    def host(self) -> str:
        return urlsplit(self.root).hostname or ""

    def url(self, path: str) -> str:
        """For a person."""
        return self.root + path

    def target(self, path: str) -> str:
        """Path of a request for one of the server's own routes."""
        return urlsplit(self.root).path + path

    def route(self, path: str) -> str:
        """The same for one of the API's, such as `/models`."""
        return self.target(self.api + path) + self.query


def parse_address(url: str) -> Address:
    """`http://host:8000`, `…/v1`, `…/v1/chat/completions` or `…/v1/completions` (a base model).

    Azure's `…/openai/deployments/NAME/chat/completions?api-version=…` too. Raises SpecError for
    anything else, and for a key or password in the URL, which would be saved.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
        port = parts.port  # raises ValueError above 65535
    except ValueError:
        valid, port = False, None
    if not valid or port == 0 or any(ord(c) <= 32 or ord(c) > 126 for c in url):
        msg = f"--endpoint {url} is not the address of a server."
        raise SpecError(msg, "Give one such as http://localhost:8000/v1.")
    asked = parse_qsl(parts.query, keep_blank_values=True)
    if parts.username or parts.password or any(name != "api-version" for name, _ in asked):
        shown = f"{parts.scheme}://{parts.hostname}"
        msg = f"The address of {shown} carries a key, a password or a query, which would be saved."
        raise SpecError(msg, "Put the key in an environment variable and name it: --api-key-env.")
    path = parts.path.rstrip("/")
    mode: Mode | None = None
    if path.endswith("/chat/completions"):
        path, mode = path.removesuffix("/chat/completions"), "chat"
    elif path.endswith("/completions"):
        path, mode = path.removesuffix("/completions"), "completion"
    origin = f"{parts.scheme}://{parts.netloc}"
    query = f"?{parts.query}" if asked else ""
    if _DEPLOYMENT.search(path):
        return Address(origin + path, mode, api="", query=query)
    return Address(origin + path.removesuffix("/v1"), mode, query=query)
