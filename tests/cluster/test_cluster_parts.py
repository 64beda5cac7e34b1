"""What needs no cluster: addresses, jobs, what is sent, progress, the record and its lock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.cluster import parcel
from perwatt.cluster.child import End, decode
from perwatt.cluster.connect import parse_address
from perwatt.cluster.jobs import check_spread, make_jobs, server_elsewhere
from perwatt.cluster.progress import Watch
from perwatt.cluster.ray_import import import_ray, rocm_is_broken
from perwatt.cluster.record import Cluster, Job, Node, locked, read_cluster, unfinished_clusters
from perwatt.cluster.run import to_spread
from perwatt.core.errors import MissingExtraError, RunDirError, SpecError
from perwatt.core.records import Item, Message
from perwatt.core.spec import RunSpec
from perwatt.runner.events import Event, Progress
from perwatt.workloads.load import load

SpecOf = Callable[..., RunSpec]


def node(name: str, kind: str = "Xeon", grade: str = "B") -> Node:
    return Node(name=name, host=name, machine=name, kind=kind, grade=grade, boundary="package")


def item(n: int, group: str | None) -> Item:
    messages = (Message(role="user", content="?"),)
    return Item(id=f"q{n}", kind="k", messages=messages, reference="", scorer="none", group=group)


@pytest.mark.parametrize("text", ["auto", "10.0.0.5:6379", "head.lan:6379", "local:3", "local"])
def test_an_address_is_read(text: str) -> None:
    found = parse_address(text)
    assert (found.ray is None) == text.startswith("local")


@pytest.mark.parametrize("text", ["", "local:0", "local:65", "10.0.0.5", "http://x:1", "a b:1"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(SpecError, match="--cluster") as told:
        parse_address(text)
    assert told.value.mend


def test_a_spread_that_there_is_none_of() -> None:
    assert to_spread("items") == "items"
    with pytest.raises(SpecError, match="pairs, items, replicas"):
        to_spread("models")


@settings(max_examples=40, deadline=None)
@given(
    groups=st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=30),
    shards=st.integers(1, 6),
)
def test_shards_hold_each_item_once_and_groups_whole(groups: list[str | None], shards: int) -> None:
    items = tuple(item(n, group) for n, group in enumerate(groups))
    parts = [parcel.shard_of(items, shard, shards) for shard in range(shards)]
    assert sorted(i.id for part in parts for i in part) == sorted(i.id for i in items)
    for name in {group for group in groups if group}:
        assert sum(any(i.group == name for i in part) for part in parts) == 1


def test_what_is_sent_keeps_the_workload_it_is_of(spec: SpecOf, tmp_path: Path) -> None:
    workload = load(spec().workload)
    part = parcel.shard_of(workload.items, 1, 3)
    file = tmp_path / "items.json"
    file.write_bytes(parcel.packed(workload, part))
    parcel.register()
    read = load(f"{parcel.NAME}:{file}")
    assert read.items == part
    assert (read.name, read.sha256, read.total) == ("forty", workload.sha256, 40)
    sent = parcel.spec_for(spec(limit=7, classify=True), ("one",), file, tmp_path / "x")
    assert (sent.limit, sent.classify, sent.model) == (None, False, ("one",))


def test_jobs_of_each_spread(spec: SpecOf) -> None:
    asked = spec()
    workload = load(asked.workload)
    nodes = [node("node1"), node("node2")]
    pairs = make_jobs(asked, workload, workload.items, nodes, "pairs")
    assert [(job.name, job.requests, job.node) for job in pairs] == [
        ("one", 40, None),
        ("two", 40, None),
    ]
    shards = make_jobs(asked, workload, workload.items, nodes, "items")
    assert [(job.name, job.shard) for job in shards] == [
        ("one-1of2", 0),
        ("one-2of2", 1),
        ("two-1of2", 0),
        ("two-2of2", 1),
    ]
    assert sum(job.requests for job in shards) == 80
    everywhere = make_jobs(asked, workload, workload.items, nodes, "replicas")
    assert [(job.node, job.requests) for job in everywhere] == [("node1", 80), ("node2", 80)]


@pytest.mark.parametrize("other", [node("node2", kind="M4"), node("node2", grade="D")])
def test_one_pairs_items_are_not_spread_over_unlike_nodes(spec: SpecOf, other: Node) -> None:
    asked = spec()
    workload = load(asked.workload)
    with pytest.raises(SpecError, match="--spread items"):
        make_jobs(asked, workload, workload.items, [node("node1"), other], "items")


def test_what_one_run_decides_is_not_cut_apart(spec: SpecOf) -> None:
    ranked = spec(rank="accuracy")
    check_spread(ranked, "replicas")
    with pytest.raises(SpecError, match="--rank"):
        check_spread(ranked, "pairs")
    with pytest.raises(SpecError, match="one name"):
        check_spread(spec(model=["a/x.gguf", "b/x.gguf"]), "pairs")


def test_one_server_for_all_nodes_is_known(spec: SpecOf) -> None:
    assert server_elsewhere(spec(endpoint="http://gpubox:8000/v1")) == "gpubox"
    assert server_elsewhere(spec(endpoint="http://localhost:8000/v1")) is None
    assert server_elsewhere(spec(endpoint="http://127.0.0.1:8000/v1")) is None
    assert server_elsewhere(spec(endpoint="llamacpp")) is None


def progress(done: int, total: int, watts: float | None, rate: float) -> Progress:
    return Progress(
        pair_id="p", done=done, total=total, failed=1, power_w=watts, rate_per_s=rate, eta_s=None
    )


def test_nodes_are_told_of_together() -> None:
    jobs = [
        Job(name="a", models=("a",), requests=100, status="running"),
        Job(name="b", models=("b",), requests=100, status="running"),
        Job(name="c", models=("c",), requests=50, status="complete"),
    ]
    heard: list[Event] = []
    watch = Watch(jobs, heard.append)
    watch.heard("node1", jobs[0], progress(10, 100, 30.0, 2.0))
    watch.heard("node2", jobs[1], progress(5, 60, None, 3.0))  # gone on with: 40 were done before
    last = heard[-1]
    assert isinstance(last, Progress)
    assert (last.done, last.total, last.failed) == (50 + 10 + 45, 250, 2)
    assert (last.power_w, last.rate_per_s) == (30.0, 5.0)
    assert last.eta_s == pytest.approx(29.0)
    assert "node1 p 30" in last.pair_id
    watch.ended("node1")
    assert watch.all().failed == 2  # what failed stays failed


def test_a_jobs_lines_are_read_and_others_passed_over() -> None:
    line = msgspec.json.encode(("End", {"outcome": "done"}))
    assert decode(line) == End(outcome="done")
    for other in (b"Loading weights", b'["Nobody", {}]', b'["End", {"what": 1}]', b"\xff", b""):
        assert decode(other) is None


def test_a_folder_is_one_heads_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with locked(out, new=True), pytest.raises(RunDirError, match="in use"), locked(out, new=False):
        pass
    (out / "something").touch()
    with pytest.raises(RunDirError, match="not empty"), locked(out, new=True):
        pass
    with pytest.raises(RunDirError, match="holds no"):
        read_cluster(out)
    (out / "cluster.json").write_text('{"format": 1')
    with pytest.raises(RunDirError, match="damaged"):
        read_cluster(out)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'perwatt\[cluster\]'"):
        import_ray()


def test_that_amdsmi_is_broken_is_known_after_ray_was_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A second cluster of one process needs the stand-in as the first did."""
    (tmp_path / "amdsmi.py").write_text("raise KeyError('libamd_smi.so')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "amdsmi"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    assert rocm_is_broken()


def test_runs_that_a_cluster_still_owes_are_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    out = tmp_path / "fleet"
    out.mkdir()
    jobs = [Job(name=name, models=(name,), status="waiting") for name in "abcdefg"]
    jobs[0].status = "complete"
    Cluster(
        perwatt_version="0",
        cluster_id="c",
        started="",
        address="auto",
        spread="pairs",
        share_machine=False,
        spec={},
        workload_sha256="",
        jobs=jobs,
    ).write(out)
    (fault,) = unfinished_clusters([tmp_path / "run", out, tmp_path / "absent"])
    assert (fault.code, fault.run, fault.left_out) == ("unfinished", "fleet", True)
    assert "lacks 6 of the 7 runs" in fault.sentence
    assert "b, c, d, e, f and 1 more" in fault.sentence
    assert fault.mend == f"Finish it with: perwatt resume {out}"
    (out / "cluster.json").write_text("{")
    (fault,) = unfinished_clusters([out])
    assert "is damaged" in fault.sentence
