"""Types that several threads decode.

msgspec looks at a class's fields when something is first decoded as it. A second thread that
decodes the same class at that moment finds the work half done, and the process dies (0.22.0).
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["prepare"]


def prepare(*kinds: Any) -> None:
    """Have each of `kinds`, with every class in it, looked at now: call it where a module begins,
    since one thread alone imports it. TypeError for a kind that msgspec cannot decode."""
    for kind in kinds:
        msgspec.json.Decoder(kind)
