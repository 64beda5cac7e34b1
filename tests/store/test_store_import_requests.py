"""Other tools' requests as rows with marks, tokens and joules."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from perwatt.core.errors import FileError
from perwatt.runner.summary import summarise_run
from perwatt.store.exchange.foreign import Foreign
from perwatt.store.exchange.read import read_foreign
from perwatt.store.exchange.to_run import write_run
from perwatt.store.items import read_items
from perwatt.store.load import load_tables

GOLDEN = Path(__file__).parents[1] / "golden" / "exchange"


def rows_of(foreign: Foreign, out: Path) -> list[dict[str, Any]]:
    write_run([foreign], out)
    table = load_tables(out).requests
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def test_aiperfs_requests_have_its_own_times(tmp_path: Path) -> None:
    foreign = read_foreign(GOLDEN / "aiperf")
    rows = rows_of(foreign, tmp_path / "run")
    lines = [
        json.loads(line)
        for line in (GOLDEN / "aiperf" / "profile_export.jsonl").read_text().splitlines()
    ]
    assert len(rows) == len(lines) == 6
    assert min(row["scheduled_ns"] for row in rows) == 0
    by_id = {row["item_id"].rsplit("/", 1)[1]: row for row in rows}  # no inputs.json, no prompts
    for line in lines:
        row, said = by_id[line["metadata"]["x_request_id"]], line["metrics"]
        ttft_ms = (row["first_chunk_ns"] - row["dispatched_ns"]) / 1e6
        assert ttft_ms == pytest.approx(said["time_to_first_token"]["value"], abs=1e-6)
        latency_ms = (row["last_chunk_ns"] - row["dispatched_ns"]) / 1e6
        assert latency_ms == pytest.approx(said["request_latency"]["value"], abs=1e-6)
        assert row["dispatched_ns"] >= row["scheduled_ns"]
        # Its gaps, summed, end where its latency does.
        assert row["chunk_offsets_ns"][-1] / 1e6 == pytest.approx(latency_ms, abs=1e-3)
        assert (row["completion_tokens"], row["energy_gross_j"]) == (8, None)
    assert load_tables(tmp_path / "run").run["spec"]["load"] == "closed:2"


def test_aiperfs_energy_is_graded_by_how_it_was_read(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "aiperf", tmp_path / "aiperf")
    file = tmp_path / "aiperf" / "profile_export_aiperf.json"
    whole = json.loads(file.read_text())
    whole["nvidia_energy_per_output_token"] = {"unit": "mJ/token", "avg": 250.0}
    gpu: dict[str, Any] = {"gpu_index": 0, "gpu_name": "H100"}
    whole["telemetry_data"] = {"endpoints": {"localhost:9400": {"gpus": {"gpu_0": gpu}}}}
    # Their names as AIPerf 0.13 wrote them, asking a DCGM exporter.
    for field, grade in (("nvidia_power_usage", "C"), ("nvidia_energy_consumption", "B")):
        gpu["metrics"] = {field: {"unit": "MJ"}}
        file.write_text(json.dumps(whole))
        foreign = read_foreign(tmp_path / "aiperf")
        found = [r.estimate for r in foreign.published if "energy_per_output" in r.metric]
        assert [(e.value, e.grade, e.boundary) for e in found] == [(250.0, grade, "accelerator")]
        assert foreign.pairs[0].device == "1x H100"
        assert "every GPU" in foreign.verdicts[0].sentence


def test_aiperfs_requests_are_known_by_their_prompts(tmp_path: Path) -> None:
    """Its request ids are new in each run; two runs of one data set must pair all the same."""
    shutil.copytree(GOLDEN / "aiperf", tmp_path / "a")
    lines = (tmp_path / "a" / "profile_export.jsonl").read_text().splitlines()
    sessions = {json.loads(line)["metadata"]["conversation_id"] for line in lines}
    prompts = {session: f"Say {number % 3}." for number, session in enumerate(sorted(sessions))}
    data = [
        {"session_id": name, "payloads": [{"messages": [{"role": "user", "content": text}]}]}
        for name, text in prompts.items()
    ]
    (tmp_path / "a" / "inputs.json").write_text(json.dumps({"data": data}))
    rows = rows_of(read_foreign(tmp_path / "a"), tmp_path / "run")
    assert len(rows) == len(lines)
    assert len({row["item_id"] for row in rows}) == 3
    assert {(row["item_id"], row["repeat"]) for row in rows} == {
        (row["item_id"], repeat) for row in rows for repeat in range(len(lines) // 3)
    }
    items = read_items(tmp_path / "run") or ()
    assert sorted(item.messages[0].content for item in items) == ["Say 0.", "Say 1.", "Say 2."]
    again = read_foreign(tmp_path / "a")
    assert {a.item_id for a in again.answers} == {r["item_id"].rsplit("/", 1)[1] for r in rows}


def test_aiperfs_files_may_have_another_prefix(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "aiperf", tmp_path / "c_2")
    with pytest.raises(FileError, match=f"Name those in it: {tmp_path / 'c_2'}$"):
        read_foreign(tmp_path)
    file = (tmp_path / "c_2" / "profile_export_aiperf.json").rename(tmp_path / "c_2" / "foo.json")
    (tmp_path / "c_2" / "profile_export.jsonl").rename(tmp_path / "c_2" / "foo.jsonl")
    foreign = read_foreign(file)
    assert len(foreign.answers) == 6
    # Its `start_time` has no time zone; the requests' own marks are since 1970.
    marks = [answer.marks for answer in foreign.answers if answer.marks]
    assert foreign.started_s == pytest.approx(min(m.dispatched_ns for m in marks) / 1e9)


def test_guidellms_requests_are_known_by_their_prompts(tmp_path: Path) -> None:
    whole = json.loads((GOLDEN / "guidellm.json").read_text())
    both = read_foreign(GOLDEN / "guidellm.json").answers
    for benchmark in whole["benchmarks"]:
        for request in benchmark["requests"]["successful"]:
            request["request_id"] += "-another"
    (tmp_path / "again.json").write_text(json.dumps(whole))
    again = read_foreign(tmp_path / "again.json").answers
    assert [(a.item_id, a.repeat) for a in again] == [(a.item_id, a.repeat) for a in both]
    assert all(answer.messages for answer in both)
    body = {"body": {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}}
    whole["benchmarks"][0]["requests"]["successful"][0]["request_args"] = json.dumps(body)
    (tmp_path / "again.json").write_text(json.dumps(whole))
    first = read_foreign(tmp_path / "again.json").answers[0]
    assert (first.messages, first.item_id.endswith("-another")) == ((), True), (
        "a picture is no text"
    )


def test_guidellms_benchmarks_are_stages(tmp_path: Path) -> None:
    foreign = read_foreign(GOLDEN / "guidellm.json")
    rows = rows_of(foreign, tmp_path / "run")
    assert [row["stage"] for row in rows] == [0, 0, 0, 1, 1, 1]
    run = load_tables(tmp_path / "run").run
    assert run["spec"]["load"] == "closed:1,closed:2"
    said = json.loads((GOLDEN / "guidellm.json").read_text())["benchmarks"][0]["requests"]
    for row, one in zip(rows, said["successful"], strict=False):
        ttft_ms = (row["first_chunk_ns"] - row["dispatched_ns"]) / 1e6
        assert ttft_ms == pytest.approx(one["time_to_first_token_ms"], abs=0.001)
        assert row["text"] == one["output"]
        assert (row["prompt_tokens"], row["completion_tokens"]) == (
            one["prompt_tokens"],
            one["output_tokens"],
        )
    ttft = next(r for r in foreign.published if r.metric == "guidellm.time_to_first_token_ms.mean")
    assert ttft.estimate.n == 3
    assert ttft.estimate.low is not None


def test_what_guidellm_cut_or_lost_is_no_answer(tmp_path: Path) -> None:
    whole = json.loads((GOLDEN / "guidellm.json").read_text())
    requests = whole["benchmarks"][0]["requests"]
    cut, lost = requests["successful"][1], requests["successful"][2]
    lost["info"]["error"] = "connection reset"
    requests["successful"] = requests["successful"][:1]
    requests["incomplete"], requests["errored"] = [cut], [lost]
    path = tmp_path / "g.json"
    path.write_text(json.dumps(whole))
    foreign = read_foreign(path)
    rows = rows_of(foreign, tmp_path / "run")
    assert [row["status"] for row in rows[:3]] == ["ok", "error", "cancelled"]
    assert rows[1]["error"] == "connection reset"
    assert "imported-cut" in [verdict.code for verdict in foreign.verdicts]


def test_vllms_detailed_results_are_marks(tmp_path: Path) -> None:
    rows = rows_of(read_foreign(GOLDEN / "vllm_detailed.json"), tmp_path / "run")
    first, second, failed = rows
    assert (first["dispatched_ns"], first["first_chunk_ns"]) == (0, 250_000_000)
    assert first["chunk_offsets_ns"] == [250_000_000, 375_000_000, 500_000_000]
    assert second["dispatched_ns"] == 125_000_000
    assert second["last_chunk_ns"] == 125_000_000 + 1_000_000_000
    assert (failed["status"], failed["error"]) == ("error", "Internal Server Error")
    assert (failed["first_chunk_ns"], failed["completion_tokens"]) == (None, None)
    assert load_tables(tmp_path / "run").run["spec"]["load"] == "closed:2"


def test_vllms_results_of_a_pooling_model_have_figures_alone(tmp_path: Path) -> None:
    whole = json.loads((GOLDEN / "vllm_detailed.json").read_text())
    for name in ("ttfts", "itls", "output_lens", "generated_texts", "start_times"):
        del whole[name]  # `input_lens` and `errors` stay
    (tmp_path / "pooling.json").write_text(json.dumps(whole))
    foreign = read_foreign(tmp_path / "pooling.json")
    assert foreign.answers == ()
    assert "vllm.request_throughput" in [row.metric for row in foreign.published]
    assert [verdict.code for verdict in foreign.verdicts] == ["imported-aggregates"]


def test_older_results_of_vllm_say_that_starts_are_unknown(tmp_path: Path) -> None:
    whole = json.loads((GOLDEN / "vllm_detailed.json").read_text())
    del whole["start_times"]
    (tmp_path / "old.json").write_text(json.dumps(whole))
    foreign = read_foreign(tmp_path / "old.json")
    assert [verdict.code for verdict in foreign.verdicts] == ["imported-marks"]
    rows = rows_of(foreign, tmp_path / "run")
    assert [row["dispatched_ns"] for row in rows] == [0, 0, 0]


def query(
    joules: float | None, seconds: float, watts: float, *, right: bool = False
) -> dict[str, Any]:
    """A row of the study harness's data set, as `dataclasses.asdict` makes it."""
    stats = {"avg": watts, "max": watts, "median": watts, "min": watts}
    metrics = {
        "energy_metrics": {"per_query_joules": joules, "total_joules": joules},
        "latency_metrics": {
            "per_token_ms": 10.0,
            "throughput_tokens_per_sec": 100.0,
            "time_to_first_token_seconds": 0.25,
            "total_query_seconds": seconds,
        },
        "power_metrics": {"gpu": {"per_query_watts": stats, "total_watts": stats}},
        "token_metrics": {"input": 100, "output": 50, "total": 150},
        "phase_metrics": {"prefill_energy_j": None, "decode_energy_j": None},
        "gpu_info": {"name": "NVIDIA H100", "vendor": "NVIDIA", "backend": "nvml"},
        "lm_correctness": right,
        "lm_response": "It is 4.",
    }
    return {
        "problem": "What is 2 + 2?",
        "answer": "4",
        "subject": "math",
        "model_answers": {"acme/Wise-8B": "It is 4."},
        "model_metrics": {"acme/Wise-8B": metrics},
    }


def save_to_disk(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """As `datasets.Dataset.save_to_disk` does: Arrow streams beside state.json."""
    folder.mkdir()
    table = pa.Table.from_pylist([dict(row) for row in rows])
    file = str(folder / "data-00000-of-00001.arrow")
    with pa.OSFile(file, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    (folder / "state.json").write_text("{}")


def profile(folder: Path, queries: Sequence[Mapping[str, Any]]) -> Path:
    """What `ipw profile` leaves."""
    save_to_disk(folder, queries)
    summary = {
        "model": "acme/Wise-8B",
        "profiler_config": {"client_id": "vllm", "dataset_id": "ipw"},
        "dataset": "ipw",
        "dataset_name": None,
        "hardware_label": "H100",
        "generated_at": 1795258517.25,
        "total_queries": len(queries),
        "versions": {"ipw": "0.1.0", "python": "3.12.1"},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_the_study_harness_keeps_its_joules_and_loses_its_false_scores(tmp_path: Path) -> None:
    foreign = read_foreign(profile(tmp_path / "p", [query(500.0, 2.0, 250.0), query(None, 1, 99)]))
    assert foreign.tool == "intelligence-per-watt 0.1.0"
    codes = [verdict.code for verdict in foreign.verdicts]
    assert codes == ["imported-method", "imported-partial", "imported-unscored"]
    one, other = rows_of(foreign, tmp_path / "run")
    assert (one["energy_gross_j"], one["grade"], one["boundary"]) == (500.0, "B", "accelerator")
    assert (one["energy_low_j"], one["energy_net_j"], one["power_mean_w"]) == (None, None, 250.0)
    assert one["attribution"] == "the tool's own"
    assert (one["first_chunk_ns"], one["last_chunk_ns"]) == (250_000_000, 2_000_000_000)
    assert (one["score"], one["prompt_tokens"], one["completion_tokens"]) == (None, 100, 50)
    assert (other["energy_gross_j"], other["grade"]) == (None, None)
    run = load_tables(tmp_path / "run").run
    assert run["energy"]["grade"] == "B"
    assert run["imported"]["energy"] == {"acme/Wise-8B": {"boundary": "accelerator", "grade": "B"}}
    assert run["pairs"]["acme/Wise-8B"]["device"] == "NVIDIA H100"


def test_scores_that_were_made_are_taken(tmp_path: Path) -> None:
    queries = [query(5.0, 2.0, 2.5, right=True), query(5.0, 2.0, 2.5)]
    rows = rows_of(read_foreign(profile(tmp_path / "p", queries)), tmp_path / "run")
    assert [row["score"] for row in rows] == [1.0, 0.0]
    metrics = summarise_run(load_tables(tmp_path / "run")).pairs[0].metrics
    # Queries ran one after the other, so two of 2 s each are one in 2 s.
    assert metrics["requests_per_s"].value == pytest.approx(0.5)
    assert metrics["j_per_correct"].value == pytest.approx(10.0)
    assert metrics["extraction_failure_share"].value == 0


def test_joules_that_stop_at_thirty_seconds_are_found(tmp_path: Path) -> None:
    whole, cut = query(6000.0, 60.0, 100.0), query(3000.0, 60.0, 100.0)
    foreign = read_foreign(profile(tmp_path / "a", [whole, cut, cut, query(100.0, 1.0, 100.0)]))
    (buffer,) = [v for v in foreign.verdicts if v.code == "imported-buffer"]
    assert buffer.severity == "invalid"
    assert "2 of the 3 queries longer than 30 s" in buffer.sentence
    sound = read_foreign(profile(tmp_path / "b", [whole, whole]))
    assert "imported-buffer" not in [v.code for v in sound.verdicts]


def test_a_cut_arrow_stream_is_named(tmp_path: Path) -> None:
    folder = profile(tmp_path / "p", [query(5.0, 2.0, 2.5)] * 50)
    file = folder / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(FileError, match="no whole Arrow stream"):
        read_foreign(folder)


def test_the_harness_traces(tmp_path: Path) -> None:
    foreign = read_foreign(GOLDEN / "ipw_run")
    one, two, late = rows_of(foreign, tmp_path / "run")
    assert (one["energy_gross_j"], one["prompt_tokens"], one["score"]) == (100.0, 250, 1.0)
    assert (two["energy_gross_j"], two["completion_tokens"], two["score"]) == (75.5, None, 0.0)
    assert (late["status"], late["error"], late["energy_gross_j"]) == ("error", "timed out", None)
    assert one["pair_id"] == "acme/Wise-8B"
    assert read_foreign(GOLDEN / "ipw_run" / "traces.jsonl").answers == foreign.answers


def test_the_traces_data_set_is_the_same_as_their_lines(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "ipw_run", tmp_path / "r")
    lines = (tmp_path / "r" / "traces.jsonl").read_text().splitlines()
    rows = [{"query_id": str(n), "trace_json": line} for n, line in enumerate(lines)]
    save_to_disk(tmp_path / "r" / "hf_dataset", rows)
    true = read_foreign(GOLDEN / "ipw_run")
    assert read_foreign(tmp_path / "r" / "hf_dataset").answers == true.answers


def test_a_profile_as_json_lines_is_the_same_as_its_data_set(tmp_path: Path) -> None:
    queries = [query(500.0, 2.0, 250.0, right=True), query(None, 1.0, 99.0)]
    folder = profile(tmp_path / "p", queries)
    lines = folder / "rows.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in queries))
    assert read_foreign(lines).answers == read_foreign(folder).answers


def test_queries_that_overlapped_are_invalid(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "ipw_run", tmp_path / "r")
    summary = tmp_path / "r" / "summary.json"
    summary.write_text(summary.read_text().replace('"concurrency": 1', '"concurrency": 4'))
    foreign = read_foreign(tmp_path / "r")
    assert ("imported-shared", "invalid") in [(v.code, v.severity) for v in foreign.verdicts]
    assert {answer.load for answer in foreign.answers} == {"closed:4"}


@pytest.mark.parametrize(
    ("name", "load", "ttft_ms", "latency", "per_s"),
    [
        ("aiperf", "closed:2", "aiperf.time_to_first_token.avg", "aiperf.request_latency.avg", 1e3),
        (
            "guidellm.json",
            "closed:1",
            "guidellm.time_to_first_token_ms.mean",
            "guidellm.request_latency.mean",
            1.0,
        ),
    ],
)
def test_perwatts_figures_of_the_requests_are_the_tools_own(
    name: str, load: str, ttft_ms: str, latency: str, per_s: float, tmp_path: Path
) -> None:
    foreign = read_foreign(GOLDEN / name)
    said = {row.metric: row.estimate.value for row in foreign.published if row.load == load}
    rows = [row for row in rows_of(foreign, tmp_path / "run") if row["stage"] == 0]
    ttft = [(row["first_chunk_ns"] - row["dispatched_ns"]) / 1e6 for row in rows]
    assert sum(ttft) / len(ttft) == pytest.approx(said[ttft_ms], rel=1e-4)
    took = [(row["last_chunk_ns"] - row["dispatched_ns"]) / 1e9 * per_s for row in rows]
    # GuideLLM's latency ends with the connection's last byte, after the last token.
    assert sum(took) / len(took) == pytest.approx(said[latency], rel=1e-4 if per_s > 1 else 0.1)
