"""The journal of an address: each line in the kernel's hands at once, the disk forced elsewhere.

A write costs some ten microseconds, and outlives any death of the process. Forcing it to the disk
takes milliseconds, for which every caller would wait: another thread does that, once a second.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from perwatt.core.errors import PerwattError
from perwatt.store.journal import JournalWriter
from perwatt.store.lines import JournalRecord

__all__ = ["LiveJournal"]


class LiveJournal:
    """Appends in the order of `put`. After an error, such as a full disk, it takes no more."""

    def __init__(self, path: Path, failed: Callable[[PerwattError], None]) -> None:
        """Opens the file: raises FileError or DiskFullError. `failed` hears of the first later."""
        self._writer = JournalWriter(path)
        self._writer.forced_elsewhere = True
        self._forcing = threading.Lock()
        self._closed = False
        self._failed = failed
        self.error: PerwattError | None = None

    def put(self, record: JournalRecord) -> None:
        """Write a line. Never raises: who is being answered is not to blame."""
        if self.error is None:
            try:
                self._writer.append(record)
            except PerwattError as error:  # what was written before is whole
                self._fail(error)

    async def keep_forced(self, every_s: float = 1.0) -> None:
        """Until cancelled: a power cut costs no more than so much."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await asyncio.to_thread(self._force)
            except PerwattError as error:
                self._fail(error)
                return

    def close(self) -> None:
        """Force everything to the disk. Raises the first error there was. Safe to call twice."""
        try:
            with self._forcing:
                self._closed = True
                self._writer.close()
        except PerwattError as error:
            self.error = self.error or error
        if self.error is not None:
            raise self.error

    def _force(self) -> None:
        with self._forcing:
            if not self._closed:  # a thread outlives the task that waited for it
                self._writer.force()

    def _fail(self, error: PerwattError) -> None:
        self.error = error
        self._failed(error)
