"""Run a program that nobody has read. Linux namespaces and rlimits, without root or a container."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

__all__ = ["Limits", "SandboxResult", "run_sandboxed"]

_CHILD = Path(__file__).with_name("sandbox_child.py")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Most that a program may use."""

    wall_s: float = 5.0
    cpu_s: int = 4
    memory_bytes: int = 512 * 1024**2
    disk_bytes: int = 16 * 1024**2
    open_files: int = 64
    processes: int = 16


class SandboxResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the program."""

    verdict: str
    """`passed`, `failed`, `timeout`, `died` (before the end, or killed), `refused` (not run)."""
    held: tuple[str, ...]
    """Protections that held, in words, such as `no network`."""
    detail: str | None = None


def run_sandboxed(
    parts: list[str], limits: Limits | None = None, *, allow_network: bool = False
) -> SandboxResult:
    """Run the sources one after the other in one namespace, in a child process shut in.

    Passed means that the last part was reached and raised nothing. Where the network cannot be
    taken away the program is `refused`, unless `allow_network`.
    """
    limits = limits or Limits()
    token = secrets.token_hex(16)
    job = {
        "parts": parts,
        "limits": msgspec.to_builtins(limits),
        "token": token,
        "allow_network": allow_network,
        "home": os.environ.get("HOME", ""),
    }
    with tempfile.TemporaryDirectory(prefix="perwatt-code-") as folder:
        Path(folder).chmod(0o777)  # the child may give up being root
        process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={},
            start_new_session=True,
        )
        timed_out = False
        try:
            out, _ = process.communicate(json.dumps(job).encode(), timeout=limits.wall_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            out = b""
        finally:
            # The group first: a program's own children would otherwise keep the pipe open.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            if timed_out:
                out, _ = process.communicate()
    return _read(out, token, timed_out, allow_network)


def _read(out: bytes, token: str, timed_out: bool, allow_network: bool) -> SandboxResult:
    lines = []
    for line in out.decode("utf-8", "replace").splitlines():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
    said = [line for line in lines if isinstance(line, dict)]
    held = tuple(str(h) for h in said[0].get("held", ())) if said else ()
    if "no network" not in held and not allow_network:
        return SandboxResult(verdict="refused", held=held, detail="the network stays reachable")
    if any(line.get("token") == token for line in said[1:]):
        return SandboxResult(verdict="passed", held=held)
    if timed_out:
        return SandboxResult(verdict="timeout", held=held)
    detail = next((str(line["error"]) for line in said[1:] if "error" in line), None)
    return SandboxResult(verdict="failed" if detail else "died", held=held, detail=detail)
