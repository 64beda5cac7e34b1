"""The journal, written beside the event loop: a disk that flushes holds up no caller."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from perwatt.core.errors import PerwattError
from perwatt.store.journal import JournalWriter
from perwatt.store.lines import JournalRecord

__all__ = ["JournalThread"]


class JournalThread:
    """Appends records in the order of `put`, each in the kernel's hands within milliseconds."""

    def __init__(self, path: Path, failed: Callable[[PerwattError], None]) -> None:
        """Opens the file: raises FileError or DiskFullError. `failed` is called from the thread."""
        self._writer = JournalWriter(path)
        self._failed = failed
        self._waiting: SimpleQueue[JournalRecord | None] = SimpleQueue()
        self.error: PerwattError | None = None
        self._thread = threading.Thread(target=self._run, name="perwatt-journal", daemon=True)
        self._thread.start()

    def put(self, record: JournalRecord) -> None:
        """Hand over a record; nothing is waited for."""
        self._waiting.put(record)

    def close(self) -> None:
        """Write what is waiting and force it to disk. Raises what writing raised. Safe twice."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while (record := self._waiting.get()) is not None:
                self._writer.append(record)
        except PerwattError as error:  # a full disk: what was written before is whole
            self.error = error
            self._failed(error)
        try:
            self._writer.close()
        except PerwattError as error:
            self.error = self.error or error
