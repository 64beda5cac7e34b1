"""`perwatt fake-server` as a process: it serves, it writes its truth, and bad usage is one line."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perwatt.cli.fake_server import fake_server
from perwatt.core.errors import FileError, PerwattError, SpecError
from perwatt.fakeserver.truth import read_truth

CODE = (
    "from pathlib import Path; import sys; from perwatt.cli.fake_server import fake_server;"
    "fake_server(truth=Path(sys.argv[1]), json=True, ttft='1ms', itl='0', tokens=3, model=['m'])"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_stopped_and_tells_the_truth(tmp_path: Path, number: int) -> None:
    file = tmp_path / "truth.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert set(told) == {"url", "refused_url", "stalled_url", "pids"}
        connection = http.client.HTTPConnection(told["url"].removeprefix("http://"), timeout=120)
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]})
        connection.request("POST", "/v1/chat/completions", body, {"X-Request-Id": "one"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert len(answer["choices"][0]["message"]["content"].split()) == 3
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "1 requests, 0 of them cancelled" in err
    (truth,) = read_truth(file)
    assert (truth.request_id, truth.completion_tokens, truth.model) == ("one", 3, "m")


def test_a_worker_that_dies_is_told(tmp_path: Path) -> None:
    code = "from perwatt.core.errors import PerwattError\ntry:\n  " + CODE.replace("; ", "\n  ")
    code = code.replace(";", "\n  ") + "\nexcept PerwattError as error:\n  sys.exit(str(error))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "truth.jsonl")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    (worker,) = json.loads(process.stdout.readline())["pids"]
    os.kill(worker, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "A worker of the fake server ended by itself" in err


def test_bad_usage_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="--ttft 'soon' is not a length of time"):
        fake_server(ttft="soon")
    with pytest.raises(FileError, match="there is no folder"):
        fake_server(truth=tmp_path / "absent" / "truth.jsonl")
    with pytest.raises(PerwattError, match="There is no fault named 'rest'"):
        fake_server(fault=["rest:every=2"])
