"""One job on a node: the ordinary runner, in a process of its own, its events as lines on stdout.

python -m perwatt.cluster.child PARENT_PID SPEC_FILE

It dies with the process that started it, at once: the journal is written for that.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from perwatt.cluster import parcel
from perwatt.core.errors import InterruptedRunError, PerwattError, RunDirError
from perwatt.core.spec import RunSpec
from perwatt.endpoints.parent_death import die_with_parent
from perwatt.runner.events import EnergyFound, Event, Note, Progress, Stage

__all__ = ["End", "decode", "main"]

PATIENCE_S = 20.0
"""How long the directory's last holder may take to die."""
EVENTS: dict[str, Any] = {kind.__name__: kind for kind in (EnergyFound, Stage, Note, Progress)}


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended, as its last line."""

    outcome: str
    """`done`, `stopped` or `failed`."""
    message: str = ""
    mend: str | None = None


def decode(line: bytes) -> Event | End | None:
    """One line of its stdout; None for anything else that was printed."""
    try:
        kind, fields = msgspec.json.decode(line, type=tuple[str, dict[str, Any]])
        made: Event | End | None
        made = End(**fields) if kind == "End" else EVENTS[kind](**fields)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return None
    return made


def main() -> None:
    parent, spec_file = int(sys.argv[1]), Path(sys.argv[2])
    die_with_parent(parent)
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever an engine prints is no event

    def tell(said: Event | End) -> None:
        line = (type(said).__name__, msgspec.to_builtins(said))
        out.write(msgspec.json.encode(line) + b"\n")

    try:
        _run(spec_file, tell)
    except (KeyboardInterrupt, InterruptedRunError):
        tell(End(outcome="stopped"))
    except PerwattError as error:
        tell(End(outcome="failed", message=error.message, mend=error.mend))
    else:
        tell(End(outcome="done"))


def _run(spec_file: Path, tell: Any) -> None:
    from perwatt.runner.start import resume, start

    parcel.register()
    spec = RunSpec.resolve(msgspec.json.decode(spec_file.read_bytes(), type=dict[str, Any]))
    assert spec.out is not None
    give_up_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            if (spec.out / "run.json").is_file():
                resume(spec.out, tell)
                return
            shutil.rmtree(spec.out, ignore_errors=True)  # ended before anything was asked
            start(spec, tell)
            return
        except RunDirError as error:
            if "in use" not in error.message or time.monotonic() > give_up_s:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    main()
