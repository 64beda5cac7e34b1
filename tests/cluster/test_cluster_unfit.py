"""Nodes that cannot do what others can: told, and the jobs are done where they can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.cluster.connect import STORE_BYTES, Connection
from perwatt.cluster.record import read_cluster
from perwatt.cluster.run import resume, start
from perwatt.cluster.study import shard_cells
from perwatt.core.errors import EngineError, InterruptedRunError, SpecError
from perwatt.core.spec import RunSpec
from perwatt.runner.events import Event, Progress, Stage
from perwatt.study.study import open_study

SpecOf = Callable[..., RunSpec]

pytestmark = pytest.mark.filterwarnings(
    # Ray leaves pipes and sockets of the workers it started to the collector.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


@contextmanager
def one_more_node(cluster: Connection, **environment: str) -> Iterator[None]:
    """A third node whose processes have an environment of their own."""
    added = cluster.local.add_node(
        num_cpus=1,
        object_store_memory=STORE_BYTES,
        node_ip_address="127.0.0.1",
        include_log_monitor=False,
        env_vars=environment,
    )
    try:
        yield
    finally:
        cluster.local.remove_node(added)


def quiet(_: Event) -> None:
    """Nobody listens."""


def requests_in(out: Path) -> int:
    return sum(len(f.read_text().splitlines()) for f in out.glob("*/items.jsonl"))


def test_a_node_without_the_model_leaves_the_jobs_to_others(
    ray_cluster: Connection, spec: SpecOf, tmp_path: Path, recording: Path
) -> None:
    # The recording is the model here, and one node of three has it.
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "answers-of-it.jsonl").write_bytes(recording.read_bytes())
    asked = spec(model=["a", "b", "c"], endpoint="replay:~/answers-of-it.jsonl", limit=4)
    with one_more_node(ray_cluster, HOME=str(tmp_path / "home")):
        out = start(asked, "auto", quiet, share_machine=True)
    cluster = read_cluster(out)
    assert [job.status for job in cluster.jobs] == ["complete"] * 3
    assert requests_in(out) == 12
    (able,) = {job.attempts[-1].node for job in cluster.jobs}
    failed = [a for job in cluster.jobs for a in job.attempts if a.outcome == "failed"]
    assert failed
    assert able not in {a.node for a in failed}
    assert any(s.endswith("Another node is tried.") for s in cluster.sentences)


def test_what_no_node_can_do_is_told_once_and_for_all(
    ray_cluster: Connection, spec: SpecOf
) -> None:
    asked = spec(model=["a"], endpoint="replay:/absent/answers.jsonl", limit=4)
    with pytest.raises(EngineError, match=r"1 of 1 jobs were not done; a: .*/absent/") as told:
        start(asked, "auto", quiet, share_machine=True)
    assert asked.out is not None
    assert told.value.mend is not None
    assert str(asked.out) in told.value.mend
    (job,) = read_cluster(asked.out).jobs
    assert sorted(a.node for a in job.attempts) == ["node1", "node2"]


def test_a_node_that_can_keep_nothing_is_told_before_anything_is_asked(
    ray_cluster: Connection, spec: SpecOf, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    asked = spec(limit=4)
    place = tmp_path / "file" / "runs"
    with (
        one_more_node(ray_cluster, PERWATT_CLUSTER_DIR=str(place)),
        pytest.raises(EngineError, match="No run can be kept in") as told,
    ):
        start(asked, "auto", quiet)
    assert str(place) in told.value.message
    assert "PERWATT_CLUSTER_DIR" in str(told.value.mend)
    assert asked.out is not None
    assert not asked.out.exists()


def test_what_was_brought_home_untold_is_not_asked_again(
    ray_cluster: Connection, spec: SpecOf
) -> None:
    """The head was killed between a run's arrival and the note of it."""
    asked = spec(model=["one"], limit=4)
    out = start(asked, "auto", quiet)
    cluster = read_cluster(out)
    job = cluster.jobs[0]
    directory, job.directory, job.status, cluster.status = job.directory, None, "running", "running"
    cluster.write(out)
    heard: list[Event] = []
    resume(out, heard.append)
    cluster = read_cluster(out)
    assert (cluster.status, cluster.jobs[0].directory) == ("complete", directory)
    assert not any(isinstance(e, Stage) and "begins" in e.text for e in heard)
    assert len(list(out.glob("*/run.json"))) == 1


def test_where_the_clusters_own_head_is_lost_all_is_stopped_and_can_be_gone_on_with(
    ray_cluster: Connection, spec: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = spec(model=["one"], limit=12, extra_body={"speed": 1})

    def lose(event: Event) -> None:
        if isinstance(event, Progress) and event.done >= 2:
            monkeypatch.setattr("perwatt.cluster.head.listens", lambda _: False)
            monkeypatch.setattr("perwatt.cluster.head.GONE_S", 0.0)
            monkeypatch.setattr("perwatt.cluster.head.LOOK_S", 0.0)

    with pytest.raises(
        InterruptedRunError, match="head of the Ray cluster at auto was lost"
    ) as told:
        start(asked, "auto", lose)
    monkeypatch.undo()
    out = asked.out
    assert out is not None
    assert told.value.mend == f"Start the cluster again, then go on with: perwatt resume {out}"
    assert read_cluster(out).status == "interrupted"
    resume(out, quiet)
    cluster = read_cluster(out)
    assert cluster.status == "complete"
    assert [a.outcome for a in cluster.jobs[0].attempts] == ["stopped", "done"]
    assert requests_in(out) == 12


def test_another_version_is_refused_for_study_and_scores_too(
    ray_cluster: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perwatt.cluster.nodes.__version__", "99.0")
    answers = [Answered(pair="one", item="q1", score=1.0, energy_j=2.0)]
    with (
        open_study([write_run_directory(tmp_path / "run", answers)]) as study,
        pytest.raises(SpecError, match=r"this is 99\.0"),
    ):
        shard_cells(study, "auto")
