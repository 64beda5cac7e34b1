"""The inside of the sandbox: a script of its own, run by `python -I`, that imports no perwatt.

Reads a JSON job from stdin, shuts itself in, says on file descriptor 1 which protections hold, then
runs the job's parts. Only after the last part does it write the token: leaving early by
`os._exit(0)` proves nothing. The order below matters: what needs rights comes before they go.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import Any

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_MS_NOSUID_NODEV = 2 | 4
_MOUNT_SETATTR, _AT_RECURSIVE = 442, 0x8000  # one number on every architecture, Linux ≥ 5.12
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_MS_BIND, _MNT_DETACH = 0x1000, 2
_NOBODY = 65534
_PRIVATE = ("/home", "/root", "/run", "/var/tmp", "/dev/shm", "/proc", "/sys")


def main() -> None:
    job = json.load(sys.stdin)
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    held = []
    if sys.platform == "linux":
        held = _shut_in(job)
    held += _limit(job["limits"], held)
    print(json.dumps({"held": held}), file=report, flush=True)
    if "no network" not in held and not job["allow_network"]:
        return
    names: dict[str, Any] = {"__name__": "candidate"}
    try:
        for source in job["parts"]:
            exec(compile(source, "<candidate>", "exec"), names)
    except BaseException as error:  # a candidate may raise SystemExit or KeyboardInterrupt too
        outcome = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
    else:
        outcome = {"token": job["token"]}
    print(json.dumps(outcome), file=report, flush=True)
    os._exit(0)


def _shut_in(job: dict[str, Any]) -> list[str]:
    libc = ctypes.CDLL(None, use_errno=True)
    held = []
    if os.getuid() == 0 and _readable_by_all(sys.base_prefix):
        # The kernel exempts root from the process limit, and root owns every file of the host.
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
            libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self/uid_map belongs to root
    uid, gid = os.getuid(), os.getgid()
    if uid != 0:
        held.append("not root")
    everything = _NEWUSER | _NEWNET | _NEWPID | _NEWNS | _NEWIPC
    whole = libc.unshare(everything) == 0
    if not whole and libc.unshare(_NEWUSER | _NEWNET) != 0:
        return held
    held.append("no network")
    with contextlib.suppress(OSError):
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"1000 {uid} 1")
        _write("/proc/self/gid_map", f"1000 {gid} 1")
    if whole:
        held += _hide_files(libc, job)
        held += _own_processes(libc)
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    if libc.capset(header, ctypes.create_string_buffer(24)) == 0:
        held.append("no capabilities")
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        held.append("no new privileges")
    return held


def _hide_files(libc: ctypes.CDLL, job: dict[str, Any]) -> list[str]:
    """Everything read-only, then empty memory-backed folders over what is private."""
    held: list[str] = []
    if libc.mount(None, b"/", None, _MS_REC_PRIVATE, None) != 0:
        return held
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", 1, 0, 0, 0))  # MOUNT_ATTR_RDONLY
    if libc.syscall(_MOUNT_SETATTR, -1, b"/", _AT_RECURSIVE, attributes, 32) == 0:
        held.append("read-only files")
    size = f"size={job['limits']['disk_bytes']},mode=700".encode()
    if libc.mount(b"none", b"/tmp", b"tmpfs", _MS_NOSUID_NODEV, size) == 0:
        held.append("disk limit")
    # The interpreter is kept at hand, as it may live under the home that is about to go.
    spare = Path("/tmp/python")
    base = Path(sys.base_prefix).resolve()
    spare.mkdir()
    kept = libc.mount(bytes(base), bytes(spare), None, _MS_BIND, None) == 0
    hidden = kept
    private = [Path(p) for p in (*_PRIVATE, job["home"]) if p and p != "/"]
    for place in (p.resolve() for p in private if p.is_dir()):
        done = libc.mount(b"none", bytes(place), b"tmpfs", _MS_NOSUID_NODEV, b"size=1m") == 0
        hidden = hidden and done
        if done and kept and base.is_relative_to(place):
            base.mkdir(parents=True)
            libc.mount(bytes(spare), bytes(base), None, _MS_BIND, None)
    libc.umount2(bytes(spare), _MNT_DETACH)
    if hidden:
        held.append("no home")
    os.chdir("/tmp")
    return held


def _own_processes(libc: ctypes.CDLL) -> list[str]:
    """Go on as process 1 of a new process namespace: when it ends, all it started end with it."""
    child = os.fork()
    if child:
        os.closerange(0, 3)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return ["own processes"]


def _limit(limits: dict[str, int], held: list[str]) -> list[str]:
    done = []
    wanted = {
        "cpu limit": (resource.RLIMIT_CPU, limits["cpu_s"]),
        "memory limit": (resource.RLIMIT_AS, limits["memory_bytes"]),
        "file size limit": (resource.RLIMIT_FSIZE, limits["disk_bytes"]),
        "open files limit": (resource.RLIMIT_NOFILE, limits["open_files"]),
        "no core dumps": (resource.RLIMIT_CORE, 0),
    }
    if "not root" in held:  # root is exempt: to claim the limit there would be untrue
        wanted["process limit"] = (resource.RLIMIT_NPROC, limits["processes"])
    for name, (which, most) in wanted.items():
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(which, (most, most))
            done.append(name)
    return done


def _readable_by_all(path: str) -> bool:
    place = Path(path).resolve()
    return all(part.stat().st_mode & 0o005 == 0o005 for part in (place, *place.parents))


def _write(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
