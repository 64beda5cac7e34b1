"""A child process is always stopped: on close, on failure, on kill -9 of its parent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from perwatt.core.errors import EngineError, FileError, PortInUseError
from perwatt.endpoints.engine_process import EngineProcess, check_port

READY = """
import json, os, sys, time
config = json.loads(sys.stdin.readline())
print(json.dumps({"url": "here", "told": config, "sid": os.getsid(0) == os.getpid()}), flush=True)
time.sleep(60)
"""


def engine(tmp_path: Path, code: str) -> EngineProcess:
    return EngineProcess([sys.executable, "-c", code], "Tiny Q4_1", tmp_path / "engine.log")


def test_started_told_and_stopped(tmp_path: Path, gone: Callable[..., bool]) -> None:
    async def go() -> None:
        child = engine(tmp_path, READY)
        answer = await child.start({"a": 1}, 120)
        pid = child.pid
        assert pid is not None
        assert answer["told"] == {"a": 1, "parent": os.getpid()}
        assert answer["sid"], "Ctrl-C in a terminal must not reach it"
        assert child.exit_code is None
        await child.stop()
        await child.stop()
        assert gone(pid)

    asyncio.run(go())


def test_one_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: Callable[..., bool]
) -> None:
    monkeypatch.setattr("perwatt.endpoints.engine_process.STOP_S", 0.2)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY

    async def go() -> None:
        child = engine(tmp_path, deaf)
        await child.start({}, 120)
        pid = child.pid
        assert pid is not None
        await child.stop()
        assert gone(pid)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import sys; print('E model: error: bad magic', file=sys.stderr); sys.exit(3)",
            r"exit code 3.*bad magic.*engine\.log",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
        ('print(\'{"error": "no memory"}\', flush=True)', "could not start: no memory"),
        ("import time; time.sleep(60)", "not ready after"),
    ],
)
def test_failures_to_start_are_one_sentence(tmp_path: Path, code: str, words: str) -> None:
    async def go() -> None:
        child = engine(tmp_path, code)
        try:
            await child.start({}, 1.0 if words == "not ready after" else 120)
        finally:
            await child.stop()

    with pytest.raises(EngineError, match=words):
        asyncio.run(go())


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    child = EngineProcess([sys.executable], "Tiny", tmp_path / "none" / "engine.log")
    with pytest.raises(FileError, match="cannot be started"):
        asyncio.run(child.start({}, 1.0))


def test_a_port_in_use(tmp_path: Path) -> None:
    check_port(0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"Port {port} is in use"):
            check_port(port)
    check_port(port)


PARENT = """
import asyncio, json, sys
from pathlib import Path
from perwatt.endpoints.engine_process import EngineProcess
async def main():
    code, log = map(Path, sys.argv[1:])
    child = EngineProcess([sys.executable, "-c", code.read_text()], "x", log)
    await child.start({}, 120)
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""

CHILD = """
import json, sys, threading, time
from perwatt.endpoints import llamacpp_child as child
from perwatt.endpoints.parent_death import die_with_parent
config = json.loads(sys.stdin.buffer.readline())
{guard}
print(json.dumps({{"url": "here"}}), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
@pytest.mark.parametrize(
    "guard",
    [
        "threading.Thread(target=child._watch_lifeline, daemon=True).start()",
        "die_with_parent(config['parent'])",
    ],
    ids=["lifeline", "pdeathsig"],
)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_each_guard_alone_outlives_no_parent(
    tmp_path: Path, guard: str, how: int, gone: Callable[..., bool]
) -> None:
    code = tmp_path / "child.py"
    code.write_text(CHILD.format(guard=guard))
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(code), str(tmp_path / "log")], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    try:
        pid = int(parent.stdout.readline())
        assert not gone(pid, 0.1)
        parent.send_signal(how)
        assert gone(pid)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def test_a_child_whose_parent_ended_before_it_looked(tmp_path: Path) -> None:
    from perwatt.endpoints import llamacpp_child

    done = subprocess.run(
        [sys.executable, "-m", llamacpp_child.__name__],
        input=json.dumps({"parent": 1 if os.getpid() != 1 else 2}).encode() + b"\n",
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")
