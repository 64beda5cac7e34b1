"""`perwatt serve`, from the first look at the options to the tables of the run."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from perwatt import __version__
from perwatt.core.errors import InterruptedRunError, PerwattError
from perwatt.core.registry import registry
from perwatt.core.spec import RunSpec
from perwatt.endpoints.models import check_model
from perwatt.gateway.finish import KIND, finish_served
from perwatt.gateway.http_server import check_extra
from perwatt.gateway.options import ServeOptions, bound, key_from, run_spec
from perwatt.gateway.sitting import Keys, Sitting
from perwatt.runner.energy import find_energy
from perwatt.runner.environment import fingerprint
from perwatt.runner.events import EnergyFound, Listener, Note
from perwatt.sensors.pick import Picked
from perwatt.store.journal import read_journal
from perwatt.store.rundir import FORMAT, RunDir

__all__ = ["Serving", "serve"]


class Serving:
    """An address that is open. `stop` may be called from any thread, or a signal handler."""

    def __init__(self) -> None:
        self.url = ""
        self.directory = Path()
        self.opened = threading.Event()
        self._sitting: Sitting | None = None
        self._stopped = False

    def stop(self) -> None:
        """Take no more requests, let those in flight end. A second time: do not wait for them."""
        again, self._stopped = self._stopped, True
        if self._sitting is not None:
            self._sitting.stop(now=again)

    def attach(self, sitting: Sitting) -> None:
        self._sitting = sitting
        if self._stopped:
            sitting.stop(now=False)


def serve(
    options: ServeOptions,
    listen: Listener,
    opened: Callable[[Serving], None] = lambda _: None,
    serving: Serving | None = None,
) -> Path | None:
    """Open the address, and serve until stopped. The finished run; None where nobody asked.

    `opened` hears of the address once it answers. Raises a PerwattError for what cannot be done
    here, before anything is started; DiskFullError where the journal could not go on.
    """
    check_extra()
    serving = serving or Serving()
    target = options.target()
    keys = Keys(
        upstream=key_from(options.api_key_env, "--api-key-env"),
        client=key_from(options.client_key_env, "--client-key-env"),
    )
    spec = run_spec(options, options.model or "as-asked")
    registry("attribution").get(options.attribution)
    if target is None:
        registry("endpoint").get(options.endpoint)
        if options.endpoint == "llamacpp":
            check_model(options.model or "", options.accept_terms)
    listening = bound(options.host, options.port, keys.client)
    try:
        picked, line = find_energy(spec)
        try:
            return _run(options, spec, keys, listening, (picked, line), listen, opened, serving)
        finally:
            if picked:
                picked.close()
    finally:
        listening.close()


def _run(
    options: ServeOptions,
    spec: RunSpec,
    keys: Keys,
    listening: socket.socket,
    energy: tuple[Picked | None, str],
    listen: Listener,
    opened: Callable[[Serving], None],
    serving: Serving,
) -> Path | None:
    picked, line = energy
    started = datetime.now(UTC)
    run_dir = RunDir.create(options.out or _free_name(options, started))
    try:
        run: dict[str, Any] = {
            "format": FORMAT,
            "kind": KIND,
            "perwatt_version": __version__,
            "name": run_dir.path.resolve().name,
            "status": "running",
            "run_id": uuid4().hex,
            "started": started.isoformat(timespec="seconds"),
            "spec": spec.to_json(),
            "keep_text": options.keep_text,
            "environment": fingerprint(),
            "pairs": {},
            "energy": _energy_record(picked, line),
        }
        run_dir.write_run(run)
        (run_dir.path / "logs").mkdir(exist_ok=True)
        listen(EnergyFound(line))
        sitting = Sitting(options, run_dir, run, keys, listening, picked, listen)
        serving.directory = run_dir.path
        serving.attach(sitting)

        def answers(url: str) -> None:
            serving.url = url
            serving.opened.set()
            opened(serving)

        interrupted = False
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(sitting.run(answers))
        except asyncio.CancelledError:
            interrupted = True
        finally:
            run_dir.write_run(run | {"status": "interrupted"})
        if interrupted:
            msg = "Stopped before the address was open."
            raise InterruptedRunError(msg)
        if not read_journal(run_dir.journal).requests:
            listen(Note("Nobody asked anything: no run is kept."))
            run_dir.discard_if_nothing_was_asked()
            return None
        try:
            finish_served(run_dir, run, listen)
        except KeyboardInterrupt:
            msg = f"Stopped; {run_dir.path} holds all that was answered."
            mend = f"Finish its tables with: perwatt resume {run_dir.path}"
            raise InterruptedRunError(msg, mend) from None
    except PerwattError:
        run_dir.discard_if_nothing_was_asked()
        raise
    finally:
        run_dir.close()
    return run_dir.path


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


def _free_name(options: ServeOptions, started: datetime) -> Path:
    what = options.model or (options.to or "").partition("://")[2].partition("/")[0]
    name = re.sub(r"[^A-Za-z0-9._@-]+", "-", f"{started:%Y%m%d-%H%M%S}-serve-{what}")
    numbered = (name if n == 1 else f"{name}-{n}" for n in count(1))
    return next(path for each in numbered if not (path := Path("runs", each)).exists())


def _energy_record(picked: Picked | None, line: str) -> dict[str, Any]:
    """run.json's `energy`, as `runner.start` writes it."""
    return {
        "line": line,
        "boundary": picked.boundary if picked else None,
        "grade": picked.grade if picked else None,
        "domains": msgspec.to_builtins(picked.domains) if picked else [],
        "tried": msgspec.to_builtins(picked.tried) if picked else [],
        "counted": {},
        "hosting": {},
        "refused": {},
        "timings": [],
    }
