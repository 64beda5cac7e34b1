"""Joules of each request of any program that speaks the OpenAI API, none of it changed.

Here the program is one question over plain HTTP and the server is perwatt's test server, so that
nothing has to be installed; in earnest point `--to` at your own, and your program at the address:

    perwatt serve --to http://localhost:8000/v1
    OPENAI_BASE_URL=http://127.0.0.1:8100/v1 your-program
"""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from perwatt.fakeserver import Settings, spawn


def main() -> None:
    with spawn(Settings()) as server, tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [sys.executable, "-m", "perwatt", "serve", "--to", f"{server.url}/v1"]
        address = subprocess.Popen(
            [*command, "--port", "0", "--out", str(run), "--idle-s", "0.5"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert address.stdout is not None
        url = address.stdout.readline().strip()
        any_program(url)
        address.send_signal(signal.SIGINT)  # Ctrl-C: the run is finished, and shown
        print(address.communicate()[0])


def any_program(url: str) -> None:
    host = url.removeprefix("http://").partition("/")[0]
    question = {"model": "fake", "messages": [{"role": "user", "content": "Which river?"}]}
    for number in range(5):
        connection = http.client.HTTPConnection(host)
        headers = {"X-Perwatt-Run": "rivers", "X-Perwatt-Item": f"question-{number}"}
        connection.request("POST", "/v1/chat/completions", json.dumps(question), headers)
        answer = connection.getresponse()
        tokens = json.loads(answer.read())["usage"]["completion_tokens"]
        joules, low, high = (
            answer.headers[f"X-Perwatt-{name}-J"] for name in ("Energy", "Low", "High")
        )
        print(f"{tokens} tokens for {joules} J [{low}, {high}]")
        connection.close()


if __name__ == "__main__":
    main()
