"""A run in MLflow: in a folder, and on a server that speaks its REST protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.core.errors import FileError
from perwatt.runner.summary import summarise_run
from perwatt.store.exchange.export_mlflow import without_secrets, write_mlflow
from perwatt.store.exchange.export_table import ExportRun
from perwatt.store.load import load_tables

pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ExportRun:
    path = tmp_path_factory.mktemp("mlflow") / "mine"
    answers = [
        Answered(pair=pair, item=f"q{n}", score=float(n % 2), energy_j=joules)
        for pair, joules in (("a", 1.0), ("b", 3.0))
        for n in range(4)
    ]
    write_run_directory(path, answers)
    tables = load_tables(path)
    spec = {
        **tables.run["spec"],
        "api_key_env": "MY_KEY",
        "extra_body": {"api_key": "sk-secret"},
        "out": "/home/alice/secret-project/mine",
        "workload": "/home/alice/secret-project/items.jsonl,question=Frage",
        "sensors": ["replay:/home/alice/watts.csv"],
        "endpoint": "http://127.0.0.1:1/v1/chat",
    }
    verdict = {
        "code": "x",
        "severity": "note",
        "sentence": "Go on: perwatt resume /home/alice/secret-project/mine",
    }
    about = {**tables.run, "spec": spec, "verdicts": [verdict]}
    return ExportRun(name="mine", path=path, run=about, summary=summarise_run(tables))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that fails is asked once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def test_a_folder_holds_each_pair_as_a_run(run: ExportRun, tmp_path: Path) -> None:
    lines = write_mlflow([run], str(tmp_path / "mlruns"), experiment="phones")
    assert len(lines) == 2
    runs = sorted((tmp_path / "mlruns").glob("*/*/metrics"))
    by_pair = {(each.parent / "params" / "pair.model").read_text(): each.parent for each in runs}
    values = {
        name: float((by_pair["b"] / "metrics" / name).read_text().split()[1])
        for name in ("ipj", "ipj_low", "ipj_high", "accuracy", "attempted")
    }
    assert values["ipj"] == pytest.approx(0.5 / 3)
    assert values["ipj_low"] < values["ipj"] < values["ipj_high"]
    assert (values["accuracy"], values["attempted"]) == (0.5, 4.0)
    tags = {path.name: path.read_text() for path in (by_pair["a"] / "tags").iterdir()}
    assert (tags["perwatt.grade"], tags["perwatt.boundary"]) == ("B", "accelerator")
    assert tags["perwatt.run_id"] == run.run["run_id"]
    assert "log-probabilities" in tags["perwatt.missing.perplexity"]
    kept = by_pair["a"] / "artifacts"
    assert sorted(path.name for path in (kept / "tables").iterdir()) == [
        "metrics.parquet",
        "power.parquet",
        "requests.parquet",
        "scores.parquet",
    ]
    assert json.loads((kept / "run.json").read_text())["spec"]["api_key_env"] == "MY_KEY"
    for path in (tmp_path / "mlruns").rglob("*"):
        told = path.read_bytes() if path.is_file() else b""
        assert b"sk-secret" not in told and b"alice" not in told
    params = {path.name: path.read_text() for path in (by_pair["a"] / "params").iterdir()}
    assert params["spec.workload"] == "items.jsonl,question=Frage"
    assert json.loads(params["spec.sensors"]) == ["replay:watts.csv"]
    assert params["spec.endpoint"] == "http://127.0.0.1:1/v1/chat"
    sentence = json.loads((kept / "run.json").read_text())["verdicts"][0]["sentence"]
    assert sentence == "Go on: perwatt resume mine"


def test_another_tools_joules_keep_their_grade(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    answers = [Answered(pair="a", item=f"q{n}", score=1.0, energy_j=1.0) for n in range(3)]
    write_run_directory(path, answers, grade="C")
    tables = load_tables(path)
    own = msgspec.structs.replace(tables, run={**tables.run, "ledgers": {}})
    write_mlflow(
        [ExportRun(name="mine", path=path, run=own.run, summary=summarise_run(own))],
        str(tmp_path / "mlruns"),
    )
    (tags,) = (tmp_path / "mlruns").glob("*/*/tags")
    told = [(tags / f"perwatt.{name}").read_text() for name in ("grade", "boundary")]
    assert told == ["C", "accelerator"]


def test_a_pair_is_written_once(run: ExportRun, tmp_path: Path) -> None:
    first = write_mlflow([run], str(tmp_path / "mlruns"))
    again = write_mlflow([run], str(tmp_path / "mlruns"))
    assert [line.split()[0] for line in again] == [line.split()[0] for line in first]
    assert all("was there already" in line for line in again)


INFO = {"run_id": "r1", "experiment_id": "7", "artifact_uri": "mlflow-artifacts:/7/r1"}


class Tracking(BaseHTTPRequestHandler):
    """As much of MLflow's REST API 2.0 as a client needs to write a run."""

    def do_GET(self) -> None:
        if "runs/get?" in self.path:
            self._say(200, {"run": {"info": INFO, "data": {}}})
        else:
            self._say(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": self.path})

    def do_POST(self) -> None:
        asked = json.loads(self._body())
        verb = self.path.removeprefix("/api/2.0/mlflow/")
        self._server.seen.append((verb, asked))
        answers: dict[str, Any] = {
            "experiments/create": {"experiment_id": "7"},
            "runs/create": {"run": {"info": INFO, "data": {}}},
            "runs/update": {"run_info": INFO},
        }
        self._say(200, answers.get(verb, {}))

    def do_PUT(self) -> None:
        self._server.files[self.path.rsplit("/artifacts/", 1)[1]] = self._body()
        self._say(200, {})

    @property
    def _server(self) -> TrackingServer:
        assert isinstance(self.server, TrackingServer)
        return self.server

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _say(self, status: int, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


class TrackingServer(ThreadingHTTPServer):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Tracking)
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.files: dict[str, bytes] = {}


@pytest.fixture
def server() -> Iterator[TrackingServer]:
    with TrackingServer() as tracking:
        thread = threading.Thread(target=tracking.serve_forever)
        thread.start()
        yield tracking
        tracking.shutdown()
        thread.join()


def test_a_server_is_told_the_same(run: ExportRun, server: TrackingServer) -> None:
    lines = write_mlflow([run], f"http://127.0.0.1:{server.server_port}", text=False)
    assert lines == ["r1 a", "r1 b"]
    batches = [asked for verb, asked in server.seen if verb == "runs/log-batch"]
    metrics = {one["key"]: one["value"] for batch in batches for one in batch.get("metrics", [])}
    params = {one["key"]: one["value"] for batch in batches for one in batch.get("params", [])}
    assert metrics["ipj"] == pytest.approx(0.5 / 3)  # of the pair that came last
    assert params["spec.api_key_env"] == "MY_KEY"
    assert "sk-secret" not in json.dumps(server.seen)
    assert {"run.json", "requests.parquet"} <= {name.rsplit("/", 1)[-1] for name in server.files}
    updates = [asked for verb, asked in server.seen if verb == "runs/update"]
    assert updates[-1]["status"] == "FINISHED"


def test_a_server_that_is_not_there_is_one_sentence(run: ExportRun) -> None:
    with TrackingServer() as gone:
        port = gone.server_port
    with pytest.raises(FileError, match="MLflow cannot write to http://127") as told:
        write_mlflow([run], f"http://me:pass-word@127.0.0.1:{port}")
    assert "pass-word" not in str(told.value)


def test_secrets_are_left_out_and_names_of_variables_stay() -> None:
    found = without_secrets(
        {
            "api_key_env": "MY_KEY",
            "max_tokens": 64,
            "accept_terms": True,
            "extra_body": {"token": "t", "Authorization": "Bearer t", "top_k": 3},
            "endpoint": "openai:http://me:pw@host/v1",
            "sensors": ["prometheus:http://me:pw@host/q"],
        }
    )
    assert found == {
        "api_key_env": "MY_KEY",
        "max_tokens": 64,
        "accept_terms": True,
        "extra_body": {"top_k": 3},
        "endpoint": "openai:http://host/v1",
        "sensors": ["prometheus:http://host/q"],
    }
