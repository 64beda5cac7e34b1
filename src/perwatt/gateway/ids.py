"""Names for requests: the caller's own where it gives one, each only once."""

from __future__ import annotations

import secrets

from perwatt.gateway.headers import Headers, only

__all__ = ["Names", "tag"]

LONGEST = 200


def tag(headers: Headers, name: bytes) -> str | None:
    """The value of a header that is a name: printable ASCII, of bounded length; else None."""
    value = (only(headers, name) or "").strip()
    return value if 0 < len(value) <= LONGEST and value.isascii() and value.isprintable() else None


class Names:
    """Gives each request an id that no other of this run has.

    Remembers all it has given, as the journal does: some 100 bytes each.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._asked: dict[str, int] = {}

    def request_id(self, headers: Headers, *, recorded: bool = True) -> str:
        """`X-Perwatt-Request-Id`, else `X-Request-Id`, else a new one; `#2` for the second such.

        What is not to be recorded takes no name away from what is.
        """
        wanted = tag(headers, b"x-perwatt-request-id") or tag(headers, b"x-request-id")
        name = wanted or f"pw-{secrets.token_hex(12)}"
        if not recorded:
            return name
        number = 1
        while name in self._taken:
            number += 1
            name = f"{wanted}#{number}"
        self._taken.add(name)
        return name

    def repeat(self, item_id: str) -> int:
        """How often the item was asked before."""
        count = self._asked.get(item_id, 0)
        self._asked[item_id] = count + 1
        return count
