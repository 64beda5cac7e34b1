"""Scored again: the model is not asked, joules stay to the last bit, and what changed is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.errors import (
    InterruptedRunError,
    PerwattError,
    RunDirError,
    SpecError,
    UnknownNameError,
)
from perwatt.core.spec import RunSpec
from perwatt.runner.events import Event, Progress
from perwatt.runner.rescore import Rescored, Rescoring, rescore
from perwatt.runner.start import resume, start
from perwatt.runner.summary import summarise_run
from perwatt.store.exchange.read import read_foreign
from perwatt.store.exchange.to_run import write_run
from perwatt.store.load import load_tables

CHANGED_BY_SCORING = {"score", "extracted", "abstained", "scorer"}


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERWATT_SCORE_CACHE", "none")


def silent(_: Event) -> None:
    return None


def spec(server: Any, questions: Path, out: Path, **given: Any) -> RunSpec:
    values = {"model": ["m"], "endpoint": server.url, "workload": str(questions), "out": out}
    return RunSpec.resolve({**values, "idle_s": 0.1, "warmup": 0, **given})


def again(directory: Path, **how: Any) -> Rescored:
    return rescore(directory, Rescoring(**how), silent)


def scores(directory: Path) -> list[float | None]:
    rows = load_tables(directory).requests
    return [s for _, s in sorted(zip(rows["item_id"], rows["score"], strict=True))]


def run_json(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "run.json").read_text())
    return found


@pytest.fixture
def finished(server: Any, questions: Path, tmp_path: Path) -> Path:
    server.answer = lambda n: "Answer: A" if n % 2 else "Answer: B"
    return start(spec(server, questions, tmp_path / "r"), silent)


def test_nothing_but_scores_is_touched(server: Any, finished: Path) -> None:
    before, run, asked = load_tables(finished), run_json(finished), server.asked
    done = again(finished)
    assert (done.scored, done.changed, done.cached) == (10, 0, 0)
    after = load_tables(finished)
    assert server.asked == asked
    assert after.requests == before.requests  # joules and their intervals among them, bit for bit
    assert after.power == before.power
    anew = ("rescored", "files")  # scores tell the seconds that they took
    left = {k: v for k, v in run.items() if k not in anew}
    assert {k: v for k, v in run_json(finished).items() if k not in anew} == left
    assert summarise_run(after) == summarise_run(before)


def test_another_scorer_decides_until_it_is_taken_back(finished: Path) -> None:
    before = load_tables(finished)
    own = scores(finished)
    done = again(finished, scorer="none")
    assert done.changed == 10
    assert done.scorers["none"].abstained == 10
    other = load_tables(finished)
    assert set(other.requests["scorer"]) == {"none"}
    assert set(other.requests["score"]) == {None}
    assert sorted(other.scores["scorer"]) == ["exact"] * 10 + ["none"] * 10
    for name in set(before.requests) - CHANGED_BY_SCORING:
        assert other.requests[name] == before.requests[name], name
    assert run_json(finished)["rescored"] == [{"scorer": "none", "kind": None}]
    again(finished)
    assert scores(finished) == own
    assert run_json(finished)["rescored"] == []


def test_one_kind_alone(finished: Path) -> None:
    done = again(finished, scorer="none", kind="odd")
    assert done.scored == 5
    rows = load_tables(finished).requests
    kinds = set(zip(rows["kind"], rows["scorer"], strict=True))
    assert kinds == {("even", "exact"), ("odd", "none")}
    again(finished, scorer="none", kind="even")
    assert set(load_tables(finished).requests["scorer"]) == {"none"}
    again(finished, kind="odd")
    rows = load_tables(finished).requests
    assert ("odd", "exact") in set(zip(rows["kind"], rows["scorer"], strict=True))
    with pytest.raises(UnknownNameError, match="kind"):
        again(finished, kind="od")
    with pytest.raises(UnknownNameError, match="scorer"):
        again(finished, scorer="exactly")


def test_an_interrupted_run_is_scored_and_can_still_be_resumed(
    server: Any, questions: Path, tmp_path: Path
) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 4:
            raise KeyboardInterrupt

    out = tmp_path / "r"
    server.answer = lambda _: "Answer: A"
    with pytest.raises(InterruptedRunError):
        start(spec(server, questions, out), interrupt)
    done = again(out)
    assert 4 <= done.scored < 10
    assert run_json(out)["status"] == "interrupted"
    assert not summarise_run(load_tables(out)).complete
    resume(out, silent)
    assert scores(out) == [1.0] * 10


def test_a_run_that_kept_no_items_takes_its_workload_s_if_it_is_the_same(
    finished: Path, questions: Path
) -> None:
    own = scores(finished)
    (finished / "items.jsonl").unlink()
    assert again(finished).changed == 0
    assert scores(finished) == own
    questions.write_text(questions.read_text().replace("Question 3", "Question 33"))
    with pytest.raises(RunDirError, match="have changed"):
        again(finished)


def test_scores_of_another_tool_stand_beside_ours(tmp_path: Path) -> None:
    table = tmp_path / "theirs.csv"
    lines = ["item,model,score,answer,reference"]
    lines += [f"q{n},m,{n % 2},{'Oslo' if n < 3 else 'Bern'},Oslo" for n in range(6)]
    table.write_text("\n".join(lines) + "\n")
    out = tmp_path / "r"
    write_run([read_foreign(table, {}, 1.0)], out)
    before = load_tables(out)
    assert scores(out) == [0, 1, 0, 1, 0, 1]
    with pytest.raises(SpecError, match="--scorer"):
        again(out)
    done = again(out, scorer="exact")
    assert scores(out) == [1, 1, 1, 0, 0, 0]
    assert (done.scored, done.changed) == (6, 4)
    after = load_tables(out)
    for name in set(before.requests) - CHANGED_BY_SCORING:
        assert after.requests[name] == before.requests[name], name
    theirs = set(before.scores["scorer"])
    assert set(after.scores["scorer"]) == theirs | {"exact"}
    assert summarise_run(after).pairs[0].metrics["accuracy"].value == pytest.approx(0.5)


def test_what_cannot_be_scored_is_said(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(RunDirError):
        again(tmp_path / "nowhere")
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"item_id": "q1", "label": 1}\n')
    with pytest.raises(SpecError, match="--labels"):
        again(finished, labels=labels)
    with pytest.raises(SpecError, match=r"--judge .*no answer would be judged"):
        again(finished, judging={"judge": ["smollm2-135m"]})
    run = run_json(finished)
    (finished / "run.json").write_text(json.dumps({**run, "kind": "serve"}))
    with pytest.raises(RunDirError, match="perwatt serve"):
        again(finished)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.jsonl", "", "holds none"),
        ("l.jsonl", '{"item_id": "q1", "label": 1}\n{"item_id": "q2"}\n', "Line 2 .*no label"),
        ("l.jsonl", "[1]\n", "Line 1 .*no.* JSON object"),
        ("l.jsonl", '{"item_id": "q1", "label": "perhaps"}\n', "Line 1 .*'perhaps'"),
        ("l.csv", "item_id,label\nq1,2\n", "Line 2 .*'2'"),
        ("l.csv", "item,label\nq1,1\n", "no item_id"),
        ("absent.csv", None, "no file of labels"),
    ],
)
def test_labels_that_cannot_be_read_are_named(
    finished: Path, tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    with pytest.raises(PerwattError, match=f"(?s){said}"):
        again(finished, scorer="judge", labels=file, judging={"judge": ["http://127.0.0.1:9/v1=m"]})
