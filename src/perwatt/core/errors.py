"""Every error perwatt raises on purpose, drawn once.

    PerwattError                      exit 2 unless said otherwise
    ├── SpecError                     an option or a line of a spec is wrong
    │   └── UnknownNameError          no such plug-in, model or workload; offers the nearest
    ├── FileError                     a file is missing, unreadable, cut short or of another kind
    │   ├── RunDirError               a run directory is busy, foreign or damaged
    │   └── DiskFullError             nothing more could be written; what was written is whole
    ├── MissingExtraError             an optional dependency is not installed; names the pip command
    ├── TermsError                    weights whose terms were not accepted
    ├── SensorUnavailableError        a sensor cannot be read here; carries the mend
    │   └── AddressNeededError        it reads a meter elsewhere, and none was named
    ├── GradeError                    the run asked for a better energy grade than this host offers
    ├── EngineError                   an engine did not start, or died
    │   └── PortInUseError            the port asked for is taken
    ├── FailuresError                 exit 1: done, with failures the user asked to treat as such
    └── InterruptedRunError           exit 3: stopped by the user; `perwatt resume` goes on

A request that fails is no exception: it is a `Reply` with `status="error"` (see records).
Every message is one sentence that names the file, line or option, followed by the mend.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AddressNeededError",
    "DiskFullError",
    "EngineError",
    "FailuresError",
    "FileError",
    "GradeError",
    "InterruptedRunError",
    "MissingExtraError",
    "PerwattError",
    "PortInUseError",
    "RunDirError",
    "SensorUnavailableError",
    "SpecError",
    "TermsError",
    "UnknownNameError",
]


class PerwattError(Exception):
    """Base of the tree. `str(error)` is what a person reads; `mend` is what to do about it."""

    exit_code = 2

    def __init__(self, message: str, mend: str | None = None) -> None:
        self.message = message
        self.mend = mend
        super().__init__(message if mend is None else f"{message} {mend}")


class SpecError(PerwattError):
    """An option or a line of a spec is wrong."""


class UnknownNameError(SpecError):
    """No such name. The nearest known names are offered, then all of them."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        if near:
            mend = f"Did you mean {' or '.join(near)}?"
        elif names:
            mend = f"Known: {', '.join(names)}."
        else:
            mend = "None is installed; see `perwatt list`."
        self.name = name
        super().__init__(f"There is no {what} named {name!r}.", mend)


class FileError(PerwattError):
    """A file is missing, unreadable, cut short or not what it should be."""


class RunDirError(FileError):
    """A run directory is busy, foreign or damaged."""


class DiskFullError(FileError):
    """The disk is full. What was written before is whole."""


class MissingExtraError(PerwattError):
    """An optional dependency is missing."""

    def __init__(self, package: str, extra: str | None, why: str) -> None:
        wanted = package if extra is None else f"'perwatt[{extra}]'"
        super().__init__(
            f"{why} needs the package {package!r}, which is not installed.",
            f"Run: pip install {wanted}",
        )


class TermsError(PerwattError):
    """A model's terms must be read and accepted before its weights are used."""


class SensorUnavailableError(PerwattError):
    """A sensor cannot be read here. `mend` says what would make it readable."""


class AddressNeededError(SensorUnavailableError):
    """A sensor that reads what the user names was asked for without an address."""

    def __init__(self, name: str, example: str) -> None:
        super().__init__(
            f"The sensor {name} needs an address.", f"Name it: --sensors {name}:{example}"
        )


class GradeError(PerwattError):
    """No sensor of the energy grade that the run requires."""


class EngineError(PerwattError):
    """An engine did not start, or died. The message ends with the place of its log."""


class PortInUseError(EngineError):
    """The port asked for is taken."""


class FailuresError(PerwattError):
    """The run finished, with failures that the user asked to treat as such."""

    exit_code = 1


class InterruptedRunError(PerwattError):
    """Stopped before the end; nothing finished is lost."""

    exit_code = 3
