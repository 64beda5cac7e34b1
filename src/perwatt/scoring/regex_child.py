"""The inside of a bounded search: a script of its own, run by `python -I -S`, a JSON job a line.

Its limit is CPU time, so that a busy machine changes no score: the kernel's own timer ends the
process, whatever it is at. A long wall time ends it too, and where there is no such timer that
alone: `faulthandler` does it from a thread that needs no interpreter lock, which the matcher would
not give up. No answer is then the answer.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import signal
import sys
import warnings
from typing import Any

_PATIENCE = 30
"""Wall seconds for one of CPU time."""


def main() -> None:
    warnings.simplefilter("ignore")  # an odd pattern is answered, not warned of
    silent = os.open(os.devnull, os.O_WRONLY)
    for line in sys.stdin:
        job = json.loads(line)
        seconds, timed = job["seconds"], hasattr(signal, "ITIMER_PROF")
        patience = _PATIENCE * seconds if timed else seconds
        faulthandler.dump_traceback_later(patience, exit=True, file=silent)
        if timed:  # what its signal does, unheeded, is to end the process
            signal.setitimer(signal.ITIMER_PROF, seconds)
        answer = _search(job)
        if timed:
            signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _search(job: dict[str, Any]) -> dict[str, str | None]:
    try:
        pattern = re.compile(job["pattern"], job["flags"])
    except (re.error, OverflowError, RecursionError) as error:
        return {"error": f"is no pattern: {error}"}
    group = job["group"]
    if (
        group is not None
        and group not in pattern.groupindex
        and not (isinstance(group, int) and 0 <= group <= pattern.groups)
    ):
        return {"error": f"has no group {group!r}"}
    last = None
    for match in pattern.finditer(job["text"]):
        last = match
        if not job["last"]:
            break
    if last is None:
        return {"found": None}
    if group is not None:
        return {"found": last[group]}
    return {"found": next((part for part in last.groups() if part is not None), last[0])}


if __name__ == "__main__":
    main()
