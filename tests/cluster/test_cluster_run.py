"""A run on a real Ray cluster: every planned request once, whoever dies on the way."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from perwatt.cli import main
from perwatt.cluster.connect import STORE_BYTES, Connection
from perwatt.cluster.record import Cluster, read_cluster
from perwatt.cluster.run import is_cluster, resume, start
from perwatt.core.errors import InterruptedRunError, SpecError
from perwatt.core.spec import RunSpec
from perwatt.runner.events import Event, Progress
from perwatt.runner.plan import make_plan
from perwatt.store.integrity import changed_file
from perwatt.store.journal import read_journal
from perwatt.study.study import open_study
from perwatt.workloads.load import load

SpecOf = Callable[..., RunSpec]
SLOW = {"speed": 1}
"""Forty answers of a tenth of a second: long enough to be killed in."""

pytestmark = pytest.mark.filterwarnings(
    # Ray leaves pipes and sockets of the workers it started to the collector.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


def planned(spec: RunSpec) -> set[str]:
    plan = make_plan(spec, load(spec.workload).items)
    return {job.request_id for segment in plan.segments for job in segment.jobs}


def runs_in(out: Path) -> dict[str, dict[str, Any]]:
    return {f.parent.name: json.loads(f.read_bytes()) for f in sorted(out.glob("*/run.json"))}


def counted(out: Path) -> Counter[str]:
    """Finished requests of all runs together."""
    ids: Counter[str] = Counter()
    for name in runs_in(out):
        journal = read_journal(out / name / "journal.jsonl")
        ids.update(r.request_id for r in journal.requests if r.request_id in journal.done)
    return ids


def all_once(out: Path, spec: RunSpec) -> None:
    assert counted(out) == Counter(planned(spec))
    for name, run in runs_in(out).items():
        assert run["status"] == "complete"
        assert changed_file(out / name, run) is None


def answers(out: Path) -> tuple[int, float]:
    with open_study([out]) as study:
        assert [f for f in study.faults if f.left_out] == []
        (found,) = study.db.execute("SELECT count(*), sum(score) FROM answers").fetchall()
    return found


class Ears:
    """Keeps all events; calls `then` once, when so much is done."""

    def __init__(self, at: int = 0, then: Callable[[], None] | None = None) -> None:
        self.heard: list[Event] = []
        self.at = at
        self.then = then

    def __call__(self, event: Event) -> None:
        self.heard.append(event)
        if self.then and isinstance(event, Progress) and event.done >= self.at:
            then, self.then = self.then, None
            then()

    @property
    def progress(self) -> list[Progress]:
        return [event for event in self.heard if isinstance(event, Progress)]


def job_processes(word: str) -> list[int]:
    """Pids of this cluster's processes whose command line has `word`."""
    found = []
    ours = os.environ["PERWATT_CLUSTER_DIR"].encode()  # another suite may run on this machine
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                env = (entry / "environ").read_bytes()
            except OSError:
                continue
            if word in line and ours in env:
                found.append(int(entry.name))
    return found


def asked_by(pid: int) -> int:
    """How many requests that job's process has finished."""
    spec = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[-2]
    journal = Path(spec.removesuffix(".spec.json")) / "journal.jsonl"
    return len(read_journal(journal).done) if journal.is_file() else 0


def parents_of(pids: list[int]) -> list[int]:
    return [
        int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in pids
    ]


def test_pairs_are_spread_and_a_study_reads_them(
    ray_cluster: Connection, spec: SpecOf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = spec()
    out = tmp_path / "out"
    file = tmp_path / "spec.toml"
    options = ("endpoint", "workload", "sensors", "idle_s", "warmup", "extra_body", "out", "model")
    values = {name: asked.to_json()[name] for name in options}
    extra = json.dumps(values.pop("extra_body"))
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    file.write_text("\n".join([*lines, f"extra_body = '{extra}'"]))
    main(["run", str(file), "--cluster", "auto", "--share-machine", "--fail-on-errors"])
    told = capsys.readouterr().out
    assert told.index("node1 (") < told.index(f"Study them with: perwatt study {out}")
    assert "node2 (" in told
    all_once(out, asked)
    assert answers(out) == (80, 60.0)
    cluster = read_cluster(out)
    assert cluster.status == "complete"
    assert {job.attempts[0].node for job in cluster.jobs} == {"node1", "node2"}
    assert sorted(runs_in(out)) == sorted(str(job.directory) for job in cluster.jobs)
    # What is one machine is known, and that its nodes saw each other's joules is said.
    assert len({node.machine for node in cluster.nodes}) == 1
    assert any("each sees the others' joules" in sentence for sentence in cluster.sentences)
    for node in cluster.nodes:
        assert node.clocks[0].bound_s < 5.0
        assert abs(node.clocks[0].offset_s) <= node.clocks[0].bound_s + 0.001
    for run in runs_in(out).values():
        assert run["spec"]["workload"] == asked.workload
        assert run["workload"]["name"] == "forty"
        assert run["cluster"]["shared_machine"] is True
    assert not list(Path(os.environ["PERWATT_CLUSTER_DIR"]).iterdir())


def test_items_are_sharded_and_whoever_dies_goes_on_from_its_journal(
    ray_cluster: Connection, spec: SpecOf
) -> None:
    asked = spec(model=["one"], extra_body=SLOW)
    killed: list[int] = []

    def kill_worker() -> None:
        begun = [pid for pid in job_processes("perwatt.cluster.child") if asked_by(pid)]
        killed.extend(parents_of(begun)[:1])
        os.kill(killed[0], signal.SIGKILL)

    out = start(asked, "auto", Ears(8, kill_worker), spread="items", share_machine=True)
    assert killed
    all_once(out, asked)
    assert answers(out) == (40, 30.0)
    cluster = read_cluster(out)
    (hurt,) = [job for job in cluster.jobs if len(job.attempts) > 1]
    assert [a.outcome for a in hurt.attempts] == ["worker-lost", "done"]
    assert hurt.attempts[1].resumed
    assert hurt.attempts[0].node == hurt.attempts[1].node
    assert hurt.directory is not None
    assert runs_in(out)[hurt.directory]["sessions"] == 2
    assert any("died while it did" in sentence for sentence in cluster.sentences)
    runs_of: dict[str, set[str]] = {}
    for name in runs_in(out):
        for line in (out / name / "items.jsonl").read_text().splitlines():
            item = json.loads(line)
            if item.get("group"):
                runs_of.setdefault(item["group"], set()).add(name)
    assert len(runs_of) == 5
    assert all(len(names) == 1 for names in runs_of.values())
    with open_study([out]) as study:  # one workload, of one hash: one pair
        assert len(study.pairs) == 1
        assert len({run.workload_sha256 for run in study.runs}) == 1


def test_stopped_by_the_user_it_can_be_gone_on_with(ray_cluster: Connection, spec: SpecOf) -> None:
    asked = spec(extra_body=SLOW, limit=14)

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError) as told:
        start(asked, "auto", Ears(4, interrupt))
    out = asked.out
    assert out is not None
    assert told.value.mend == f"Go on with: perwatt resume {out}"
    assert read_cluster(out).status == "interrupted"
    assert not job_processes("perwatt.cluster.child")
    assert is_cluster(out)

    def kill_job() -> None:
        os.kill(job_processes("perwatt.cluster.child")[0], signal.SIGKILL)

    resume(out, Ears(18, kill_job))
    assert len(counted(out)) == sum(counted(out).values()) == 28
    cluster = read_cluster(out)
    assert cluster.status == "complete"
    attempts = [a for job in cluster.jobs for a in job.attempts]
    assert attempts[0].outcome == "stopped"
    assert all(job.attempts[-1].resumed for job in cluster.jobs if len(job.attempts) > 1)
    assert any("signal 9" in (a.sentence or "") for a in attempts)
    # Nodes of one machine took turns.
    spans = sorted((a.started, a.ended or "") for a in attempts)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert any("take turns" in sentence for sentence in cluster.sentences)
    before = (out / "cluster.json").read_bytes()
    resume(out, Ears())
    assert (out / "cluster.json").read_bytes() == before


def test_a_key_is_not_sent_and_its_absence_is_told(ray_cluster: Connection, spec: SpecOf) -> None:
    os.environ["SOMEBODYS_KEY"] = "sesame-open"  # here, and on no node: they were started before
    try:
        with pytest.raises(SpecError, match="has no variable SOMEBODYS_KEY") as told:
            start(spec(api_key_env="SOMEBODYS_KEY"), "auto", Ears())
    finally:
        del os.environ["SOMEBODYS_KEY"]
    assert "sesame" not in str(told.value)


def test_another_version_on_a_node_is_one_sentence(
    ray_cluster: Connection, spec: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perwatt.cluster.nodes.__version__", "99.0")
    asked = spec()
    with pytest.raises(SpecError, match=r"has perwatt .*, and this is 99\.0"):
        start(asked, "auto", Ears())
    assert asked.out is not None
    assert not asked.out.exists()  # nothing was begun, nothing is left


def test_a_node_that_leaves_gives_its_job_to_another(ray_cluster: Connection, spec: SpecOf) -> None:
    asked = spec(extra_body=SLOW, limit=16)

    def leave() -> None:
        children = job_processes("perwatt.cluster.child")
        workers = parents_of(children)
        raylets = parents_of(workers)
        local = ray_cluster.local
        gone = next(
            node
            for node in local.worker_nodes
            if node.all_processes["raylet"][0].process.pid == raylets[0]
        )
        local.remove_node(gone, allow_graceful=False)

    try:
        out = start(asked, "auto", Ears(5, leave), share_machine=True)
    finally:  # as it was found
        ray_cluster.local.add_node(
            num_cpus=1,
            object_store_memory=STORE_BYTES,
            node_ip_address="127.0.0.1",
            include_log_monitor=False,
        )
    assert len(counted(out)) == sum(counted(out).values()) == 32
    cluster: Cluster = read_cluster(out)
    assert sum(node.lost is not None for node in cluster.nodes) == 1
    hurt = next(job for job in cluster.jobs if len(job.attempts) > 1)
    assert hurt.attempts[0].outcome == "node-lost"
    assert hurt.attempts[1].node != hurt.attempts[0].node
    assert not hurt.attempts[1].resumed
    assert any("left the cluster" in sentence for sentence in cluster.sentences)
    assert answers(out)[0] == 32
