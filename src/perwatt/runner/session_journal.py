"""The journal of a session: a line is in the kernel's hands at once; the disk is forced elsewhere.

Forcing takes the disk 5 to 30 ms, once a second. In the event loop's own thread every reply that
arrives meanwhile would be marked so much too late.
"""

from __future__ import annotations

from perwatt.store.journal import JournalWriter

__all__ = ["SessionJournal"]


class SessionJournal(JournalWriter):
    """While `forced_elsewhere`, somebody calls `force` once a second, from another thread."""

    forced_elsewhere = False

    def force(self) -> None:
        """Force to disk what has been appended. Raises FileError or DiskFullError."""
        super()._sync()

    def _sync(self) -> None:
        if not self.forced_elsewhere:
            super()._sync()
