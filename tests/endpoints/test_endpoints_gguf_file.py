"""The quick header check: every way in which a model file can be wrong is one sentence."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perwatt.core.errors import FileError
from perwatt.endpoints.gguf_file import read_gguf


def test_a_whole_file(tiny_gguf: Path) -> None:
    header = read_gguf(tiny_gguf)
    assert (header.architecture, header.name, header.licence) == ("llama", "Tiny", "cc0-1.0")
    assert (header.precision, header.chat_template, header.context_length) == ("Q4_1", True, 64)
    assert header.parameters == 8 * 64 + 32 * 64 + 96 * 64 + 64
    assert {t.type for t in header.tensors} == {"F32", "Q4_1", "Q8_0"}


def test_agrees_with_the_gguf_package_on_every_tensor_type() -> None:
    gguf = pytest.importorskip("gguf", reason="needs the `local` extra")
    from perwatt.endpoints.gguf_file import _TENSOR_TYPES

    for number, (name, block, n_bytes) in _TENSOR_TYPES.items():
        kind = gguf.GGMLQuantizationType(number)
        assert (kind.name, *gguf.GGML_QUANT_SIZES[kind]) == (name, block, n_bytes)


def test_agrees_with_the_gguf_package_on_file_types() -> None:
    gguf = pytest.importorskip("gguf", reason="needs the `local` extra")
    from perwatt.endpoints.gguf_file import FILE_TYPES

    theirs = {
        int(k): k.name.removeprefix("MOSTLY_").removeprefix("ALL_") for k in gguf.LlamaFileType
    }
    ours = {k: v for k, v in FILE_TYPES.items() if k in theirs}
    assert ours == {k: theirs[k] for k in ours}
    assert len(ours) > 25


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_any_truncation_is_reported(tiny_gguf: Path, tmp_path: Path, share: float) -> None:
    whole = tiny_gguf.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FileError, match=r"cut short|empty"):
        read_gguf(cut)


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(at=st.integers(4, 700), byte=st.integers(0, 255))
def test_a_damaged_byte_never_gives_a_traceback(
    tiny_gguf: Path, tmp_path: Path, at: int, byte: int
) -> None:
    damaged = bytearray(tiny_gguf.read_bytes())
    damaged[at] = byte
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damaged)
    try:
        header = read_gguf(path)
    except FileError:
        return
    assert header.parameters >= 0
    assert header.precision


def test_how_much_is_missing_is_said(tiny_gguf: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_gguf.read_bytes()[:-1000])
    size = cut.stat().st_size / 1000
    with pytest.raises(FileError, match=rf"it is {size:.3g} kB but its header promises"):
        read_gguf(cut)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"GG", "cut short"),
        (b"PK\3\4 a zip file", "not a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "version 50331648"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "no weights"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "cut short"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63), "cut short"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 77), "unknown type 77"),
        (
            b"GGUF" + struct.pack("<IQQQ11sIH", 3, 0, 1, 11, b"split.count", 2, 4),
            "one of 4 parts",
        ),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(FileError, match=words) as caught:
        read_gguf(path)
    assert str(path) in str(caught.value)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="There is no model file"):
        read_gguf(tmp_path / "none.gguf")
    with pytest.raises(FileError, match="is a folder"):
        read_gguf(tmp_path)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF")

    def refuse(*_: object, **__: object) -> None:  # root may read anything, so chmod shows nothing
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FileError, match="may not be read"):
        read_gguf(path)
