"""optimum-benchmark's `benchmark_report.json`: latency, throughput, memory and CodeCarbon's joules.

As of huggingface/optimum-benchmark b263af46 (trackers/{latency,energy,memory}.py, scenarios): an
object for each of load_model, prefill, decode, per_token …, and beside it, or with it in
`benchmark.json`, the configuration. Its energy is in kWh for one call on a whole batch: watts that
CodeCarbon reads once a second, its model of the CPU where that has no counter, a constant for each
memory module; prefill is a generation of one token, decode a whole one less that. The scenario
`energy_star` tracks one pass over a whole data set: joules and seconds are then of all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perwatt.core.errors import FileError
from perwatt.core.estimate import Grade
from perwatt.core.records import Boundary, PairIdentity, Verdict
from perwatt.store.exchange.fields import Fields, read_json
from perwatt.store.exchange.foreign import Foreign
from perwatt.store.exchange.sheet import Sheet

__all__ = ["CONFIG", "REPORT", "WHOLE", "is_optimum", "read_optimum"]

REPORT, CONFIG, WHOLE = "benchmark_report.json", "benchmark_config.json", "benchmark.json"
_PARTS = ("latency", "throughput", "energy", "efficiency", "memory")
_STATISTICS = ("mean", "p50", "p90", "p95", "p99", "stdev", "total")
METHOD = "optimum-benchmark's own figure, without an interval"
CODECARBON = (
    "optimum-benchmark's joules are CodeCarbon's, read once a second: memory is a constant and"
    " the CPU often a model, so all but the GPU's are grade D; they are of {}, and decode is a"
    " difference of two separate measurements."
)
CALL, DATASET = "a call on a whole batch", "one pass over the whole data set"
_PASS = ("preprocess_dataset", "forward", "prefill", "decode", "call")
"""What the scenario `energy_star` does for every sample and tracks once."""


def is_optimum(values: Any) -> bool:
    """Is it a report, or a benchmark of configuration and report?"""
    if not isinstance(values, dict):
        return False
    report = values.get("report", values)
    parts = report.values() if isinstance(report, dict) else ()
    return bool(parts) and all(_is_target(part) for part in parts)


def read_optimum(path: Path) -> Foreign:
    """The folder, its report or its benchmark.json. Raises FileError naming file and field."""
    file = _file(path)
    whole = Fields(read_json(file), str(file))
    if "report" in whole:
        report, config = whole.inner("report"), whole.maybe("config")
    else:
        report, beside = whole, file.with_name(CONFIG)
        config = Fields(read_json(beside), str(beside)) if beside.is_file() else None
    identity = _identity(config, file)
    sheet = Sheet(
        tool="optimum",
        pair_id=identity.pair_id,
        workload=_workload(config),
        load=_load(config),
        source=file.name,
        method=METHOD,
    )
    star = _is_energy_star(config)
    for target in report.values:
        if _is_target(report.values[target]):
            _put(sheet, target, report.inner(target), whole=star and target in _PASS)
    if not sheet.rows:
        msg = f"{file} holds no measurement."
        raise FileError(msg, "Switch latency, energy or memory on in the scenario.")
    return Foreign(
        tool=f"optimum-benchmark {_version(config)}".strip(),
        file=file.name,
        published=tuple(sheet.rows),
        pairs=(identity,),
        verdicts=tuple(_verdicts(sheet, config, file)),
    )


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = next((path / name for name in (REPORT, WHOLE) if (path / name).is_file()), None)
    if found is None:
        msg = f"{path} holds no {REPORT}."
        raise FileError(msg, "Give the folder that optimum-benchmark wrote its results to.")
    return found


def _is_target(part: Any) -> bool:
    return isinstance(part, dict) and bool(part) and set(part) <= set(_PARTS)


def _is_energy_star(config: Fields | None) -> bool:
    scenario = config.maybe("scenario") if config else None
    return scenario is not None and scenario.text("name") in ("energy_star", "energy-star")


def _put(sheet: Sheet, target: str, part: Fields, *, whole: bool) -> None:
    """`whole`: of all of a data set, whose seconds are no latency and are not called one."""
    latency = part.maybe("latency")
    if latency and whole:
        unit = latency.text("unit") or "s"
        sheet.put(
            f"{target}.dataset_s.total", latency.number("total"), unit, reason=f"of {DATASET}"
        )
    elif latency:
        count = latency.tokens("count") or len(latency.items("values")) or None
        for statistic in _STATISTICS:
            unit = latency.text("unit") or "s"
            sheet.put(f"{target}.latency.{statistic}", latency.number(statistic), unit, n=count)
    if throughput := part.maybe("throughput"):
        unit = throughput.text("unit") or ""
        sheet.put(f"{target}.throughput", throughput.number("value"), unit)
    if energy := part.maybe("energy"):
        _put_energy(sheet, target, energy, whole=whole)
    if efficiency := part.maybe("efficiency"):
        sheet.put(
            f"{target}.efficiency",
            efficiency.number("value") or None,  # 0 is what it writes for no energy
            efficiency.text("unit") or "",
            grade="D",
            boundary="system",
        )
    if memory := part.maybe("memory"):
        for name in memory.values:
            if name != "unit":
                sheet.put(f"{target}.memory.{name}", memory.number(name), memory.text("unit") or "")


def _put_energy(sheet: Sheet, target: str, energy: Fields, *, whole: bool) -> None:
    parts: tuple[tuple[str, Grade, Boundary], ...] = (
        ("gpu", "B", "accelerator"),
        ("cpu", "D", "package"),
        ("ram", "D", "system"),
        ("total", "D", "system"),
    )
    for name, grade, boundary in parts:
        value = energy.number(name)
        reason = f"of {DATASET}" if whole else None
        if name == "gpu" and not value:
            value = None  # 0 is what it writes where there is no GPU
        if name == "total":
            parts_of_it = (
                "GPU, CPU and memory as CodeCarbon estimates them, not all that a host draws"
            )
            reason = f"{reason}; {parts_of_it}" if reason else parts_of_it
        unit = energy.text("unit") or "kWh"
        sheet.put(
            f"{target}.energy.{name}", value, unit, grade=grade, boundary=boundary, reason=reason
        )


def _identity(config: Fields | None, file: Path) -> PairIdentity:
    backend = config.maybe("backend") if config else None
    if backend is None:
        name = file.resolve().parent.name
        return PairIdentity(pair_id=name, label=name, model=name, engine="unknown")
    model = backend.text("model") or "unnamed model"
    engine = backend.text("name") or "unknown"
    dtype = backend.text("torch_dtype") or backend.text("dtype")
    quantization = backend.text("quantization_scheme")
    precision = quantization or dtype
    environment = config.maybe("environment") if config else None
    device = _device(backend, environment)
    names = ("device", "device_ids", "device_map", "attn_implementation", "torch_compile", "task")
    settings = {name: backend.values[name] for name in names if name in backend}
    told = f"{model}@{precision or 'unknown'}"
    return PairIdentity(
        pair_id=f"{told} {engine} on {device or 'unknown device'}",
        label=f"{model} {precision or ''}".strip(),
        model=model,
        engine=engine,
        engine_version=backend.text("version"),
        precision=precision,
        device=device,
        settings=settings,
    )


def _device(backend: Fields, environment: Fields | None) -> str | None:
    if environment is None:
        return backend.text("device")
    if backend.text("device") != "cpu" and (gpus := environment.items("gpu")):
        names = [str(name) for name in gpus]
        used = backend.text("device_ids")
        count = len(used.split(",")) if used else len(names)
        return f"{count}x {names[0]}"
    return (environment.text("cpu") or "").strip() or backend.text("device")


def _workload(config: Fields | None) -> str:
    scenario = config.maybe("scenario") if config else None
    if scenario is None:
        return "unknown"
    backend = config.maybe("backend") if config else None
    words = [(backend.text("task") if backend else None) or scenario.text("name") or "inference"]
    shapes = scenario.maybe("input_shapes")
    generate = scenario.maybe("generate_kwargs")
    length = shapes.number("sequence_length") if shapes else None
    new = generate.number("max_new_tokens") if generate else None
    words += [dataset] if (dataset := scenario.text("dataset_name")) else []
    words += [f"{length:g} in"] if length else []
    words += [f"{new:g} out"] if new else []
    return ", ".join(words)


def _load(config: Fields | None) -> str:
    """A whole batch at a time, which perwatt's words for loads do not have."""
    scenario = config.maybe("scenario") if config else None
    shapes = scenario.maybe("input_shapes") if scenario else None
    batch = shapes.number("batch_size") if shapes else None
    return "unknown" if not batch else "closed:1" if batch == 1 else f"batch of {batch:g}"


def _version(config: Fields | None) -> str:
    environment = config.maybe("environment") if config else None
    return (environment.text("optimum_benchmark_version") if environment else None) or ""


def _verdicts(sheet: Sheet, config: Fields | None, file: Path) -> Iterator[Verdict]:
    if any(row.estimate.grade for row in sheet.rows):
        sentence = CODECARBON.format(DATASET if _is_energy_star(config) else CALL)
        yield Verdict(code="imported-method", severity="warning", sentence=sentence)
    for row in sheet.rows:
        value = row.estimate.value
        if ".energy." in row.metric and value is not None and value < 0:
            sentence = (
                f"{row.metric} of {file.name} is {value:g} {row.estimate.unit}: a difference of"
            )
            sentence += " two measurements that came out below zero, so it is no energy."
            yield Verdict(code="imported-negative", severity="invalid", sentence=sentence)
    if config is None:
        sentence = f"No {CONFIG} lay beside {file.name}: model, device and workload are not known."
        yield Verdict(code="imported-unnamed", severity="warning", sentence=sentence)
