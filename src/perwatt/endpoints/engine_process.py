"""An engine in a child process: started, watched while it loads, always stopped."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.errors import EngineError, FileError, PortInUseError

__all__ = ["EngineProcess", "check_port", "python_module"]

STOP_S = 5.0
"""From SIGTERM to SIGKILL."""


_ERROR = re.compile(r"^[\d.]+ E |error|Error")
_PREFIX = re.compile(r"^[\d.]+ [A-Z] ")


class EngineProcess:
    """`command` is told `config` on stdin and answers one JSON line on stdout when it serves.

    It runs in its own session, so that Ctrl-C reaches the parent alone; stdin stays open as its
    lifeline, so that it ends with its parent however that ends.
    """

    def __init__(self, command: Sequence[str], label: str, log: Path) -> None:
        self.command = command
        self.label = label
        self.log = log
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and before it was started."""
        return self._process.returncode if self._process else None

    async def start(self, config: dict[str, Any], patience_s: float) -> dict[str, Any]:
        """Its answer. Raises EngineError if it dies, reports an error or takes too long."""
        try:
            with self.log.open("ab") as log:
                self._log_start = log.tell()
                self._process = await asyncio.create_subprocess_exec(
                    *self.command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            name = error.filename or self.log
            msg = f"The engine for {self.label} cannot be started: {name}: {error.strerror}."
            raise FileError(msg, "Give a run directory that you may write to.") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(patience_s):
                with suppress(ConnectionError):
                    line = json.dumps({**config, "parent": os.getpid()}).encode() + b"\n"
                    self._process.stdin.write(line)
                    await self._process.stdin.drain()
                answer = await self._process.stdout.readline()
        except TimeoutError:
            msg = f"The engine for {self.label} was not ready after {patience_s:.0f} s."
            raise EngineError(msg, self.last_words()) from None
        if not answer:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
            msg = f"The engine for {self.label} ended while it started ({self.how_it_ended()})."
            raise EngineError(msg, self.last_words())
        told: dict[str, Any] = msgspec.json.decode(answer)
        if "error" in told:
            msg = f"The engine for {self.label} could not start: {str(told['error']).rstrip('.')}."
            raise EngineError(msg, self.last_words())
        return told

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL. Finishes even when the caller is cancelled. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.terminate()
                async with asyncio.timeout(STOP_S):
                    await process.wait()
        except (TimeoutError, asyncio.CancelledError) as error:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if isinstance(error, asyncio.CancelledError):
                raise

    def how_it_ended(self) -> str:
        """For a person: `killed by signal 9`, `exit code 1`, `still running`."""
        code = self.exit_code
        if code is None:
            return "still running"
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def last_words(self) -> str:
        """The first error since it was started, else the last line; and where the log is."""
        try:
            with self.log.open("rb") as file:
                file.seek(self._log_start)
                lines = file.read(1_000_000).decode("utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        words = [line.strip() for line in lines if line.strip()]
        errors = [line for line in words if _ERROR.search(line)]
        said = errors[:1] or words[-1:]
        # llama.cpp begins its lines with time and level.
        quoted = f"It said: {_PREFIX.sub('', said[0])[:300].rstrip('.')}. " if said else ""
        return f"{quoted}Its log is {self.log}"


def check_port(port: int) -> None:
    """Raises PortInUseError if `port` of the loopback address is taken; 0 is always free."""
    if port == 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                msg = f"Port {port} is in use by another program."
                raise PortInUseError(
                    msg, "Give another with --port, or 0 for any free one."
                ) from None
            msg = f"Port {port} cannot be used: {error.strerror}."
            raise EngineError(
                msg, "Give one above 1023 with --port, or 0 for any free one."
            ) from None


def python_module(module: str) -> list[str]:
    """Runs a module of this installation; -P: files of the current folder do not shadow it."""
    return [sys.executable, "-P", "-m", module]
