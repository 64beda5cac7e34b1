"""llama-bench's results, `-o json`, `-o jsonl` or `-o csv`: tokens a second of each test.

As tools/llama-bench of llama.cpp 08d0baac documents them: an object for each test of a model, with
the repetitions' own `samples_ts` in JSON and only their mean and standard deviation in CSV. A test
is a prompt (`pp512`), a generation (`tg128`) or one after the other; times are without tokenizing
and sampling, one sequence at a time. It knows no energy.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from perwatt.core.errors import FileError
from perwatt.core.records import PairIdentity, Verdict
from perwatt.core.study import Published
from perwatt.stats.student import t_quantile
from perwatt.store.exchange.fields import Fields, read_json, read_lines, whole_number
from perwatt.store.exchange.foreign import Foreign
from perwatt.store.exchange.sheet import Sheet

__all__ = ["is_llama_bench", "is_llama_bench_header", "read_llama_bench"]

_NEEDED = {"build_commit", "model_filename", "n_prompt", "n_gen", "avg_ts"}
_SETTINGS = (
    *("n_gpu_layers", "n_threads", "n_batch", "n_ubatch", "type_k", "type_v", "flash_attn"),
    *("split_mode", "backends", "n_cpu_moe", "no_kv_offload", "use_mmap"),
)
SYNTHETIC = (
    "llama-bench feeds tokens that are no text, one sequence at a time, and leaves tokenizing"
    " and sampling out: its rates are the engine's best, not an answer's."
)


def is_llama_bench(values: Any) -> bool:
    """Is it its array of tests, or one of them?"""
    first = values[0] if isinstance(values, list) and values else values
    return isinstance(first, dict) and set(first) >= _NEEDED


def is_llama_bench_header(names: list[str]) -> bool:
    return set(names) >= _NEEDED


def read_llama_bench(path: Path) -> Foreign:
    """All tests of the file. Raises FileError naming the test, or the line."""
    tests = list(_tests(path))
    if not tests:
        msg = f"{path} holds no test."
        raise FileError(msg, "Let llama-bench finish one, with -o json.")
    varied = [name for name in _SETTINGS if len({repr(t.values.get(name)) for t in tests}) > 1]
    pairs: dict[str, PairIdentity] = {}
    published: list[Published] = []
    for number, test in enumerate(tests):
        identity = _identity(test, varied)
        pairs[identity.pair_id] = identity
        published += _figures(test, identity.pair_id, f"{path.name}, test {number + 1}")
    return Foreign(
        tool="llama-bench",
        file=path.name,
        published=tuple(published),
        pairs=tuple(pairs.values()),
        verdicts=(Verdict(code="imported-method", severity="note", sentence=SYNTHETIC),),
    )


def _tests(path: Path) -> Iterator[Fields]:
    if path.suffix == ".csv":
        yield from _table(path)
    elif path.suffix == ".jsonl":
        for place, values in read_lines(path):
            yield Fields(values, place)
    else:
        values = read_json(path)
        for number, test in enumerate(values if isinstance(values, list) else [values]):
            yield Fields(test, f"{path} at [{number}]")


def _table(path: Path) -> Iterator[Fields]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                place = f"Line {reader.line_num} of {path}"
                if None in row or None in row.values():
                    msg = f"{place} has not as many columns as the header."
                    raise FileError(msg, "Write it again with -o csv.")
                yield Fields({name: _number(text) for name, text in row.items()}, place)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} cannot be read: {error}."
        raise FileError(msg, "Write it again with -o csv.") from None


def _number(text: str) -> Any:
    """A cell as the number that it is, if it is one."""
    try:
        value = json.loads(text, parse_int=whole_number)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text


def _figures(test: Fields, pair_id: str, source: str) -> list[Published]:
    prompt, gen = test.tokens("n_prompt") or 0, test.tokens("n_gen") or 0
    depth = test.tokens("n_depth") or 0
    name = "+".join([*([f"pp{prompt}"] if prompt else []), *([f"tg{gen}"] if gen else [])])
    sheet = Sheet(
        tool="llama_bench",
        pair_id=pair_id,
        workload=(name or "nothing") + (f" @ d{depth}" if depth else ""),
        load="closed:1",
        source=source,
        method="llama-bench's mean over its repetitions, without an interval",
    )
    samples = [
        value
        for value in (Fields({"v": v}, test.place).number("v") for v in test.items("samples_ts"))
        if value is not None
    ]
    mean, n = test.number("avg_ts"), len(samples)
    half = None
    if n > 1 and mean is not None:
        middle = math.fsum(samples) / n
        spread = math.sqrt(math.fsum((value - middle) ** 2 for value in samples) / (n - 1))
        half = t_quantile(0.975, n - 1) * spread / math.sqrt(n)
    kind = "pp" if not gen else "pg" if prompt else "tg"
    sheet.put(
        f"avg_ts.{kind}",
        mean,
        "tok/s",
        n=n or None,
        low=None if half is None or mean is None else mean - half,
        high=None if half is None or mean is None else mean + half,
        method=f"Student's t over {n} repetitions, by perwatt" if half is not None else None,
    )
    sheet.put(f"stddev_ts.{kind}", test.number("stddev_ts"), "tok/s", n=n or None)
    return sheet.rows


def _identity(test: Fields, varied: list[str]) -> PairIdentity:
    """Told from the file's other pairs by the settings that vary in it."""
    file = PureWindowsPath(test.needed("model_filename")).name  # which splits at / and \\ alike
    kind = test.text("model_type")
    device = test.text("gpu_info") or test.text("cpu_info")
    given = {name: test.values[name] for name in _SETTINGS if name in test}
    # JSON says true and false where CSV says 1 and 0; the pair is one.
    settings = {k: int(v) if isinstance(v, bool) else v for k, v in given.items()}
    digest = hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()[:6]
    words = [f"{name} {settings.get(name)}" for name in varied]
    return PairIdentity(
        pair_id=f"{file} on {device} {digest}",
        label=", ".join([file.removesuffix(".gguf"), *words]),
        model=file.removesuffix(".gguf"),
        model_file=file,
        model_bytes=test.tokens("model_size", 2**62),
        parameters=test.tokens("model_n_params", 2**62),
        engine="llama.cpp",
        engine_version=str(test.values.get("build_commit") or "") or None,
        precision=kind.split(" ", 2)[2] if kind and kind.count(" ") > 1 else None,
        device=device or None,
        settings=settings,
    )
