"""One real Ray cluster for all of them: a head and two nodes, on loopback alone."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from perwatt.cluster.connect import Address, Connection, connected
from perwatt.core.spec import RunSpec

ITEMS = 40


@pytest.fixture(scope="session")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty questions, the last ten of which share a passage each two."""
    file = tmp_path_factory.mktemp("workload") / "forty.jsonl"
    rows = [
        {
            "id": f"q{n}",
            "kind": "knowledge",
            "messages": [{"role": "user", "content": f"What is {n}?"}],
            "reference": str(n),
            "scorer": "exact",
            **({"group": f"passage-{n // 2}"} if n >= 30 else {}),
        }
        for n in range(ITEMS)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Right answers to all but every fourth, each of which takes a tenth of a second."""
    file = tmp_path_factory.mktemp("recording") / "answers.jsonl"
    rows = []
    for n in range(ITEMS):
        reply = {
            "status": "ok",
            "text": str(n) if n % 4 else "wrong",
            "dispatched_ns": 0,
            "first_chunk_ns": 50_000_000,
            "first_answer_ns": 50_000_000,
            "last_chunk_ns": 100_000_000,
            "prompt_tokens": 10,
            "completion_tokens": 2,
        }
        rows.append({"item_id": f"q{n}", "reply": reply})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture
def spec(workload: Path, recording: Path, tmp_path: Path) -> Callable[..., RunSpec]:
    """A run of replayed answers; options go over its own."""

    def make(**options: Any) -> RunSpec:
        given: dict[str, Any] = {
            "model": ["one", "two"],
            "endpoint": f"replay:{recording}",
            "workload": str(workload),
            "sensors": ["estimated"],
            "idle_s": 0.1,
            "warmup": 0,
            "extra_body": {"speed": 0},
            "out": str(tmp_path / "out"),
        }
        return RunSpec.resolve({**given, **options})

    return make


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Connection:
    """One for all tests of this folder, and ended after the last of them."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed (the `cluster` extra)")
    patch = _OPEN.enter_context(pytest.MonkeyPatch.context())
    # Nodes keep what they are started with.
    patch.setenv("PERWATT_CLUSTER_DIR", str(tmp_path_factory.mktemp("node-disks")))
    patch.setenv("PERWATT_HOST_PROFILE", "/dev/null/absent")
    patch.setenv("PERWATT_SCORE_CACHE", "none")
    with _ray_warns():
        return _OPEN.enter_context(connected(Address(None, 2)))


_OPEN = ExitStack()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Tests elsewhere measure time and power, and would find Ray's processes beside them."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        with _ray_warns():
            _OPEN.close()


@contextmanager
def _ray_warns() -> Iterator[None]:
    """Ray leaves sockets and pipes of its own processes to the collector, and warns of itself."""
    with warnings.catch_warnings():
        for kind in (ResourceWarning, DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", kind)
        yield
