"""Runs that step into a trap: told in a verdict, marked on the requests it caught."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.errors import GradeError, SensorUnavailableError
from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import Domain, PairIdentity, Prompt, Reading, Reply, Served
from perwatt.core.registry import registry
from perwatt.core.spec import RunSpec
from perwatt.runner.events import Event, Note
from perwatt.runner.start import start
from perwatt.store.load import load_tables

WATTS = 50.0
BUSY_HERE = {"neighbour-load", "sampler-stalled"}
"""Said of the machine that the tests run on, truly."""


class Lamp:
    """A counter of 50 W that starts again from 0 when it is told to."""

    begin = 0.0
    restarted = 0.0

    def probe(self) -> Sequence[Domain]:
        Lamp.begin = Lamp.begin or time.monotonic()
        return [
            Domain(
                name="lamp",
                kind="counter",
                boundary="package",
                source="lamp",
                grade="B",
                device="a lamp",
                max_power_w=100.0,
            )
        ]

    def read(self) -> Sequence[Reading]:
        now = time.monotonic()
        joules = WATTS * (now - (Lamp.restarted or Lamp.begin - 1000))
        return [Reading(domain="lamp", t_ns=time.monotonic_ns(), counter_j=joules)]

    def close(self) -> None:
        pass


class Slice(Lamp):
    """One that cannot tell the engine's joules from others'."""

    def select(self, pids: Sequence[int]) -> Sequence[Domain]:
        msg = "The engine sits on a slice of gpu0 beside others."
        raise SensorUnavailableError(msg, "Turn MIG off.")


@pytest.fixture(autouse=True)
def lamps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry("sensor"), "_code", {"lamp": Lamp, "slice": Slice})
    Lamp.begin = Lamp.restarted = 0.0
    yield


class Backwards:
    """An endpoint whose third request ends before it starts."""

    def __init__(self, config: EndpointConfig) -> None:
        self.config = config
        self.asked = 0

    async def open(self) -> Served:
        pair = self.config.pair_id
        identity = PairIdentity(pair_id=pair, label=pair, model=pair, engine="backwards")
        return Served(identity=identity, url=None, pids=(), uses_accelerator=False)

    async def render(self, prompt: Prompt) -> str | None:
        return None

    async def ask(self, prompt: Prompt) -> Reply:
        self.asked += 1
        start = time.monotonic_ns()
        await asyncio.sleep(0.05)
        end = start - 10**9 if self.asked == 3 else time.monotonic_ns()
        return Reply(status="ok", dispatched_ns=start, last_chunk_ns=end, text="Answer: A")

    async def close(self) -> None:
        pass


def spec(server: Any, questions: Path, out: Path, **given: Any) -> RunSpec:
    quick = {"idle_s": 0.3, "warmup": 0, "sample_hz": 100.0, "sensors": ["lamp"]}
    return RunSpec.resolve(
        {"model": ["m"], "endpoint": server.url, "workload": str(questions), "out": out}
        | quick
        | given
    )


def verdicts(out: Path) -> dict[str, dict[str, Any]]:
    return {v["code"]: v for v in json.loads((out / "run.json").read_text())["verdicts"]}


def test_a_reset_under_load_is_told_and_its_request_marked(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    server.token_s, server.rest_s = 0.025, 0.05

    def answer(n: int) -> str:
        if n == 4:
            Lamp.restarted = time.monotonic()
        return "Answer: A"

    server.answer = answer
    out = start(spec(server, questions, tmp_path / "r"), lambda _: None)
    said = verdicts(out)["reset"]
    assert said["severity"] == "warning" and "lamp started again 1 time(s)" in said["sentence"]
    assert said["mend"]
    requests = load_tables(out).requests
    marked = ["reset" in flags for flags in requests["flags"]]
    assert 1 <= sum(marked) <= 3
    # Where its joules were lost, they are unknown; and everywhere else they are known.
    unknown = [joules is None for joules in requests["energy_gross_j"]]
    assert all(m for m, u in zip(marked, unknown, strict=True) if u)
    run = json.loads((out / "run.json").read_text())
    assert {trap["code"] for trap in run["traps"]} - BUSY_HERE == {"reset"}
    assert run["energy"]["timings"][0]["domain"] == "lamp"


def test_a_quiet_run_steps_into_none(server: Any, questions: Path, tmp_path: Path) -> None:
    server.token_s = 0.05
    out = start(spec(server, questions, tmp_path / "r"), lambda _: None)
    run = json.loads((out / "run.json").read_text())
    assert {trap["code"] for trap in run["traps"]} <= BUSY_HERE
    assert load_tables(out).requests["energy_gross_j"].count(None) == 0


def test_a_sensor_that_cannot_be_used_is_told_and_the_run_goes_on(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    chosen = {"sensors": ["lamp", "lampp", "rapl:/nowhere"]}
    out = start(spec(server, questions, tmp_path / "r", **chosen), lambda _: None)
    run = json.loads((out / "run.json").read_text())
    unused = [v for v in run["verdicts"] if v["code"] == "sensor-unused"]
    assert "lampp was asked for and could not be used: There is no sensor" in unused[0]["sentence"]
    assert "/nowhere is absent" in unused[1]["sentence"] and unused[1]["mend"]
    assert run["energy"]["grade"] == "B"
    with pytest.raises(GradeError, match="lampp"):
        start(spec(server, questions, tmp_path / "s", **chosen, require_grade="B"), lambda _: None)
    assert not (tmp_path / "s").exists()


def test_joules_that_cannot_be_told_from_others_are_unknown(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    heard: list[Event] = []
    out = start(spec(server, questions, tmp_path / "r", sensors=["slice"]), heard.append)
    assert any(isinstance(e, Note) and "Energy is UNKNOWN" in e.text for e in heard)
    said = verdicts(out)["no-energy"]
    assert said["sentence"].startswith("The joules of m on openai-compatible are unknown: ")
    assert said["sentence"].endswith("The engine sits on a slice of gpu0 beside others.")
    assert set(load_tables(out).requests["energy_gross_j"]) == {None}
    with pytest.raises(SensorUnavailableError, match="slice of gpu0"):
        start(
            spec(server, questions, tmp_path / "s", sensors=["slice"], require_grade="B"),
            lambda _: None,
        )


def test_a_request_that_ends_before_it_starts_has_unknown_joules(
    monkeypatch: pytest.MonkeyPatch, questions: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(registry("endpoint"), "_code", {"backwards": Backwards})
    asked = RunSpec.resolve(
        {
            "model": ["m"],
            "endpoint": "backwards",
            "workload": str(questions),
            "out": tmp_path / "r",
            "idle_s": 0.2,
            "warmup": 0,
            "sensors": ["lamp"],
        }
    )
    out = start(asked, lambda _: None)
    said = verdicts(out)["marks-out-of-order"]
    assert said["sentence"].startswith("1 requests to m end before they start") and said["mend"]
    requests = load_tables(out).requests
    astray = ["marks-out-of-order" in flags for flags in requests["flags"]]
    assert [joules is None for joules in requests["energy_gross_j"]] == astray
    assert sum(astray) == 1
