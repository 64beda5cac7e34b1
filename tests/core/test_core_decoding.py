"""What several threads decode at once was looked at before any of them began."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from emulated.runs import Answered, write_run_directory

WATCHED = """
    import asyncio, sys, threading
    from pathlib import Path

    built = []

    def watch(frame, event, _):
        # msgspec calls this for each class that it looks at, and for each only once.
        if event == "call" and frame.f_code.co_name == "get_class_annotations":
            built.append(frame.f_locals["obj"].__name__)

    def begin():
        threading.setprofile(watch)
        sys.setprofile(watch)

    here = Path(sys.argv[1])
    {script}
    sys.setprofile(None)
    print(",".join(built))
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        answers = [
            Answered(pair="small", item=f"q{n}", score=float(n % 2), energy_j=1.0 + n)
            for n in range(4)
        ]
        write_run_directory(tmp_path / name, answers)
    return tmp_path


def built(runs: Path, script: str) -> list[str]:
    whole = textwrap.dedent(WATCHED).replace("{script}", textwrap.dedent(script))
    done = subprocess.run(
        [sys.executable, "-c", whole, str(runs)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [name for name in done.stdout.strip().split(",") if name]


def test_the_watch_sees_a_class_that_was_not_prepared(runs: Path) -> None:
    script = """
        import msgspec
        class Late(msgspec.Struct):
            x: int
        begin()
        msgspec.convert({"x": 1}, Late)
    """
    assert built(runs, script) == ["Late"]


def test_a_study_opens_runs_in_threads_that_find_every_class_ready(runs: Path) -> None:
    script = """
        from perwatt.study.study import open_study
        begin()
        with open_study([here]) as study:
            assert len(study.runs) == 2 and study.cells()
    """
    assert built(runs, script) == []


def test_a_served_report_answers_in_threads_that_find_every_class_ready(runs: Path) -> None:
    script = """
        import json
        from perwatt.report.served import served_app
        app = served_app([here])

        async def ask(path, query=""):
            heard = []
            async def send(message):
                heard.append(message)
            async def receive():
                return {"type": "http.request", "body": b"", "more_body": False}
            scope = {
                "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http",
                "path": path, "raw_path": path.encode(), "query_string": query.encode(),
                "headers": [(b"host", b"localhost")], "server": ("localhost", 80), "root_path": "",
            }
            await app(scope, receive, send)
            body = b"".join(message.get("body", b"") for message in heard)
            assert heard[0]["status"] == 200, (path, body)
            return body

        begin()
        for path in ("/", "/study", "/run/one", "/run/one/requests", "/api/runs", "/api/run/one"):
            asyncio.run(ask(path))
        found = json.loads(asyncio.run(ask("/api/run/one/requests")))
        first = found["requests"][0]["request_id"]
        for path in ("/run/one/request", "/api/run/one/request"):
            asyncio.run(ask(path, "id=" + first))
    """
    assert built(runs, script) == []
