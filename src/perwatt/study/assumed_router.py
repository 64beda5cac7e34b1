"""The real router of the savings tables: what it gets wrong and uses, as assumed or as told.

`--router false_cloud=0.1,false_local=0.2,noticed=0.5,own=0.01`; what is left out is as assumed.
"""

from __future__ import annotations

import msgspec

from perwatt.core.errors import SpecError, UnknownNameError

__all__ = ["AssumedRouter", "parse_router"]


class AssumedRouter(msgspec.Struct, frozen=True, kw_only=True):
    """Shares from 0 to 1."""

    false_cloud: float = 0.2
    """Of the queries that the local model answers right, those sent to the cloud."""
    false_local: float = 0.2
    """Of the queries that it does not, those sent to it."""
    noticed: float = 0.5
    """Of the wrong local answers, those noticed and asked again at the cloud."""
    own: float = 0.01
    """What a decision itself uses, of what a cloud query does."""

    @property
    def sentence(self) -> str:
        """For the notes of a table."""
        how = "assumed, not measured" if self == AssumedRouter() else "as told with --router"
        return (
            f"The real router is {how}: it sends {self.false_cloud:.0%} of the locally right"
            f" queries to the cloud and {self.false_local:.0%} of the others to the local side;"
            f" {self.noticed:.0%} of wrong local answers are noticed and asked again at the cloud;"
            f" its own use is {self.own:.2g} of a cloud query's."
        )


def parse_router(text: str) -> AssumedRouter:
    """Raises SpecError naming the part that cannot be read."""
    values: dict[str, float] = {}
    for part in text.split(","):
        name, _, given = (piece.strip() for piece in part.partition("="))
        if name not in AssumedRouter.__struct_fields__:
            raise UnknownNameError("part of --router", name, AssumedRouter.__struct_fields__)
        try:
            value = float(given)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            msg = f"--router {part.strip()!r}: {given!r} is no share from 0 to 1."
            raise SpecError(msg, "Write such as false_cloud=0.1,false_local=0.2,noticed=0.5.")
        values[name] = value
    return AssumedRouter(**values)
