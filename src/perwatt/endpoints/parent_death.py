"""A child process that ends with its parent, however that ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["die_with_parent"]

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Linux: be sent `by` when process `parent` ends (man 2 PR_SET_PDEATHSIG); at once if it has.

    Elsewhere only a lifeline, such as the end of stdin, tells.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:
        os._exit(1)
