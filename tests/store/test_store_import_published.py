"""Other tools' aggregates as published figures: golden files of each tool's true schema."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from perwatt.core.errors import FileError, SpecError
from perwatt.core.estimate import Estimate
from perwatt.store.exchange.foreign import Foreign
from perwatt.store.exchange.read import read_foreign
from perwatt.store.exchange.to_run import write_run
from perwatt.store.load import load_tables
from perwatt.store.published import read_published

GOLDEN = Path(__file__).parents[1] / "golden" / "exchange"
SHARED = Path(os.environ.get("PERWATT_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
ENERGY = SHARED / "energy"


def figures(foreign: Foreign, load: str | None = None) -> dict[str, Estimate]:
    return {r.metric: r.estimate for r in foreign.published if load in (None, r.load)}


def codes(foreign: Foreign) -> list[str]:
    return [verdict.code for verdict in foreign.verdicts]


def test_mlenergy_v3_keeps_every_figure_and_says_what_it_is() -> None:
    foreign = read_foreign(GOLDEN / "mlenergy_v3.csv")
    found = figures(foreign, "closed:8")
    assert foreign.tool == "ML.ENERGY v3"
    token = found["mlenergy.j_per_out_token"]
    assert (token.value, token.unit, token.grade, token.boundary) == (1.25, "J", "B", "accelerator")
    assert (token.low, token.high, token.n) == (None, None, 0)
    assert found["mlenergy.itl_ms_p99"].value == 30.5
    assert found["mlenergy.itl_ms_p99"].grade is None
    vast = next(pair for pair in foreign.pairs if "Vast" in pair.model)
    assert (vast.device, vast.precision, vast.parameters) == ("4x B200", "fp8", 235_000_000_000)
    assert vast.settings["expert_parallel"] == 4
    assert {row.source for row in foreign.published} == {
        f"mlenergy_v3.csv, line {n}" for n in (2, 3, 4, 5)
    }


def test_rows_that_nothing_tells_apart_are_numbered() -> None:
    foreign = read_foreign(GOLDEN / "mlenergy_v3.csv")
    alike = [p.pair_id for p in foreign.pairs if p.model == "acme/Wise-8B"]
    assert alike == ["acme/Wise-8B@bfloat16 1xH100", "acme/Wise-8B@bfloat16 1xH100 (2)"]
    assert "imported-alike" in codes(foreign)


def test_mlenergy_v2_says_what_was_derived() -> None:
    found = figures(read_foreign(GOLDEN / "mlenergy_v2.csv"))
    assert found["mlenergy.tpot_s_mean"].value == 0.0625
    assert "computed" in (found["mlenergy.j_per_out_token_derived"].reason or "")


def test_the_leaderboards_own_json_has_the_same_figures_by_the_same_names() -> None:
    foreign = read_foreign(GOLDEN / "mlenergy_gpqa.json")
    found = figures(foreign)
    assert {r.workload for r in foreign.published} == {"mlenergy_gpqa"}
    assert [found[f"mlenergy.{name}"].value for name in ("j_per_out_token", "out_tok_per_s")] == [
        0.25,
        960.0,
    ]
    assert len({p.pair_id for p in foreign.pairs}) == 2  # told apart by max_num_batched_tokens


@pytest.mark.parametrize("version", [2, 3])
def test_the_published_tables_come_back_exactly(version: int, tmp_path: Path) -> None:
    path = ENERGY / f"mlenergy_v{version}_llm.csv"
    if not path.is_file():
        pytest.skip("the published table is not on this machine")
    write_run([read_foreign(path)], tmp_path / "run")
    name = "j_per_out_token" if version == 3 else "j_per_out_token_derived"
    with path.open(newline="") as file:
        true = [float(row[name]) for row in csv.DictReader(file)]
    rows = read_published(tmp_path / "run")
    assert [r.estimate.value for r in rows if r.metric == f"mlenergy.{name}"] == true


def test_llama_bench_is_the_same_in_all_its_formats() -> None:
    kinds = [read_foreign(GOLDEN / f"llama_bench.{kind}") for kind in ("json", "jsonl", "csv")]
    values = [[(r.workload, r.metric, r.estimate.value) for r in f.published] for f in kinds]
    assert values[0] == values[1] == values[2]
    assert kinds[0].pairs == kinds[1].pairs == kinds[2].pairs


def test_llama_benchs_repetitions_give_an_interval() -> None:
    foreign = read_foreign(GOLDEN / "llama_bench.json")
    rate = next(r.estimate for r in foreign.published if r.metric == "llama_bench.avg_ts.tg")
    assert (rate.value, rate.n) == (119.0, 3)
    # t(0.975, 2) = 4.30265 times 1/√3
    assert rate.low == pytest.approx(119 - 4.30265 / 3**0.5, rel=1e-5)
    assert "by perwatt" in rate.method
    alone = next(r.estimate for r in foreign.published if r.workload == "tg128 @ d512")
    assert (alone.value, alone.low) == (16.0, None)
    assert {p.engine_version for p in foreign.pairs} == {"8cf427ff"}
    assert {p.label for p in foreign.pairs} == {
        "Wise-7B-Q4_K_M, n_gpu_layers 99",
        "Wise-7B-Q4_K_M, n_gpu_layers 0",
    }


def test_optimum_benchmarks_energy_star_is_of_a_whole_data_set(tmp_path: Path) -> None:
    """Its seconds are minutes of work, and no time to a first token."""
    config = json.loads((GOLDEN / "optimum" / "benchmark_config.json").read_text())
    config["scenario"]["name"] = "energy_star"
    report = (GOLDEN / "optimum" / "benchmark_report.json").read_text()
    (tmp_path / "benchmark_config.json").write_text(json.dumps(config))
    (tmp_path / "benchmark_report.json").write_text(report)
    foreign = read_foreign(tmp_path)
    found = {row.metric: row.estimate for row in foreign.published}
    assert "optimum.prefill.latency.p50" not in found
    assert found["optimum.prefill.dataset_s.total"].value == 0.5
    assert found["optimum.load_model.latency.p50"].value == 3.5
    assert "whole data set" in (found["optimum.decode.energy.gpu"].reason or "")
    assert "of one pass over the whole data set" in foreign.verdicts[0].sentence


def test_optimum_benchmarks_joules_are_estimates() -> None:
    foreign = read_foreign(GOLDEN / "optimum")
    found = figures(foreign)
    assert foreign.tool == "optimum-benchmark 0.5.0"
    total, gpu = found["optimum.decode.energy.total"], found["optimum.decode.energy.gpu"]
    assert total.value == pytest.approx(7.4e-5)
    assert (total.unit, total.grade) == ("kWh", "D")
    assert (gpu.grade, gpu.boundary) == ("B", "accelerator")
    assert found["optimum.prefill.latency.p50"].n == 10
    assert "optimum.per_token.energy.total" not in found
    (pair,) = foreign.pairs
    assert (pair.device, pair.precision, pair.engine) == ("1x NVIDIA A10G", "float16", "pytorch")
    assert {r.load for r in foreign.published} == {"batch of 4"}
    assert read_foreign(GOLDEN / "optimum" / "benchmark_report.json").published == foreign.published


def test_an_energy_below_zero_is_named(tmp_path: Path) -> None:
    report = json.loads((GOLDEN / "optimum" / "benchmark_report.json").read_text())
    report["decode"]["energy"]["cpu"] = -1e-6
    (tmp_path / "benchmark_report.json").write_text(json.dumps(report))
    foreign = read_foreign(tmp_path)
    assert [v.severity for v in foreign.verdicts if "decode.energy.cpu" in v.sentence] == [
        "invalid"
    ]
    assert "imported-unnamed" in codes(foreign)  # and no configuration beside it


def test_vllms_appended_results_keep_their_loads() -> None:
    foreign = read_foreign(GOLDEN / "vllm_appended.json")
    assert {r.load for r in foreign.published} == {"poisson:4", "gamma:8:2"}
    assert figures(foreign, "poisson:4")["vllm.p99_itl_ms"].value == 250.0
    assert codes(foreign) == ["imported-load", "imported-aggregates"]


def test_a_run_of_aggregates_alone_is_whole(tmp_path: Path) -> None:
    foreign = read_foreign(GOLDEN / "mlenergy_v3.csv")
    write_run([foreign], tmp_path / "run")
    tables = load_tables(tmp_path / "run")
    assert tables.requests["request_id"] == []
    assert len(tables.requests) > 70  # the schema is there without a row
    assert tables.run["imported"]["tools"] == ["ML.ENERGY v3"]
    assert tables.run["imported"]["loads"] == []
    assert tables.run["energy"]["grade"] == "B"
    assert set(tables.run["files"]) == {
        "requests.parquet",
        "power.parquet",
        "scores.parquet",
        "published.parquet",
    }
    assert read_published(tmp_path / "run") == foreign.published


def test_a_figure_that_two_files_hold_is_refused(tmp_path: Path) -> None:
    foreign = read_foreign(GOLDEN / "mlenergy_v2.csv")
    with pytest.raises(SpecError, match=r"mlenergy_v2\.csv, line 2 and again"):
        write_run([foreign, foreign], tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("mlenergy_v3.csv", ",1.25,", ",much,", "Line 2 of .* has the j_per_out_token 'much'"),
        ("mlenergy_v3.csv", "H100,8,20.5", "H100,0,20.5", "Line 2 of .* max_batch_size 0.0"),
        ("mlenergy_v3.csv", ",chat,450,900\n8", "\n8", "Line 2 of .* not as many columns"),
        ("mlenergy_gpqa.json", '"acme/Wise-14B"', "7", r"configurations\[0\] has the number 7"),
        ("llama_bench.json", '"avg_ts": 7100.0', '"avg_ts": "fast"', r"\[0\] has the text 'fast'"),
        ("vllm_detailed.json", "[0.25, 0.5, 0.0]", "[0.25]", "1 ttfts and 3 input_lens"),
        ("vllm_detailed.json", '"model_id": "acme/Wise-8B"', '"model_id": 3', "model_id"),
        ("guidellm.json", '"version": 2', '"version": 1', "report of version 1"),
        ("guidellm.json", '"type_": "concurrent"', '"type_": null', "has no type_"),
    ],
)
def test_a_wrong_field_is_named_with_its_place(
    name: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    text = (GOLDEN / name).read_text()
    assert old in text
    path = tmp_path / name
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FileError, match=said):
        read_foreign(path)
