"""What a GGUF file says of itself, read from its header alone, without numpy.

Layout after https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: magic, version, counts,
metadata, tensor infos, padding, tensor data. The tensor infos promise how long the file must be, so
a download that was cut short is known exactly.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.errors import FileError
from perwatt.core.units import format_bytes

__all__ = ["FILE_TYPES", "GgufFile", "TensorInfo", "read_gguf"]

# general.file_type (llama.cpp's llama_ftype) by the name people use.
FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE",
}  # fmt: skip

# ggml_type: (name, weights in a block, bytes of a block).
_TENSOR_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2),
    26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip

# Metadata value types: struct code by type number; 8 is a string, 9 an array.
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9


class TensorInfo(msgspec.Struct, frozen=True):
    """One tensor of the file. `shape` fastest dimension first, as stored."""

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    """From the start of the tensor data."""
    n_bytes: int | None
    """None for a tensor type newer than this table."""

    @property
    def elements(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count


class GgufFile(msgspec.Struct, frozen=True, kw_only=True):
    """The header, checked against the file's size."""

    path: Path
    n_bytes: int
    metadata: dict[str, Any]
    """Scalars and strings; arrays, such as the vocabulary, are left out."""
    tensors: tuple[TensorInfo, ...]
    alignment: int

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", "unknown"))

    @property
    def name(self) -> str | None:
        name = self.metadata.get("general.name")
        return name if isinstance(name, str) and name else None

    @property
    def licence(self) -> str | None:
        licence = self.metadata.get("general.license")
        return licence if isinstance(licence, str) and licence else None

    @property
    def parameters(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def precision(self) -> str:
        """As the file calls itself, else the type that holds most of its weights."""
        named = FILE_TYPES.get(self.metadata.get("general.file_type", -1))
        if named:
            return named
        held: dict[str, int] = {}
        for tensor in self.tensors:
            held[tensor.type] = held.get(tensor.type, 0) + tensor.elements
        return max(held, key=lambda name: held[name], default="unknown")

    @property
    def chat_template(self) -> bool:
        return bool(self.metadata.get("tokenizer.chat_template"))

    @property
    def context_length(self) -> int | None:
        length = self.metadata.get(f"{self.architecture}.context_length")
        return length if isinstance(length, int) else None


def read_gguf(path: Path) -> GgufFile:
    """Read and check the header. Raises FileError with one sentence for whatever is wrong."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise FileError(f"The model file {path} is empty.", _AGAIN)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                return _parse(path, view, size)
    except FileNotFoundError:
        msg = f"There is no model file {path}."
        raise FileError(
            msg, "Give the path of a GGUF file, or a name from `perwatt list`."
        ) from None
    except IsADirectoryError:
        msg = f"{path} is a folder, not a model file."
        raise FileError(msg, "Give the path of the .gguf file in it.") from None
    except PermissionError:
        msg = f"The model file {path} may not be read."
        raise FileError(msg, f"Allow it with: chmod u+r {path}") from None
    except OSError as error:
        raise FileError(f"The model file {path} cannot be read: {error.strerror}.") from None


_AGAIN = "Download it again."


class _CutError(Exception):
    """The header goes on past the end of the file."""


class _Cursor:
    """Reads little-endian values one after another and never past the end."""

    def __init__(self, view: mmap.mmap, size: int) -> None:
        self.view = view
        self.size = size
        self.at = 4

    def skip(self, count: int) -> int:
        start = self.at
        if count > self.size - start:
            raise _CutError
        self.at = start + count
        return start

    def scalar(self, code: str) -> Any:
        start = self.skip(struct.calcsize("<" + code))
        return struct.unpack_from("<" + code, self.view, start)[0]

    def string(self) -> str:
        length = self.scalar("Q")
        start = self.skip(length)
        return self.view[start : start + length].decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        """A scalar or string; an array is passed over and gives None."""
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind])
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            raise ValueError(f"metadata of unknown type {kind}")
        inner, count = self.scalar("I"), self.scalar("Q")
        if inner in _SCALARS:
            self.skip(struct.calcsize("<" + _SCALARS[inner]) * count)
        elif inner == _STRING:
            for _ in range(count):  # ends by _CutError if the count is nonsense
                self.skip(self.scalar("Q"))
        else:
            raise ValueError(f"an array of unknown type {inner}")
        return None


def _parse(path: Path, view: mmap.mmap, size: int) -> GgufFile:
    if view[:4] != b"GGUF":
        if b"GGUF".startswith(view[:4]):
            raise FileError(f"The model file {path} is cut short: it is {size} bytes long.", _AGAIN)
        msg = f"{path} is not a GGUF file: it does not begin with GGUF."
        raise FileError(msg, "Give a model in GGUF form; other forms must be converted first.")
    try:
        return _read(path, _Cursor(view, size), size)
    except _CutError:
        ends = f"it ends inside its header, at {format_bytes(size)}"
        msg = f"The model file {path} is cut short: {ends}."
        raise FileError(msg, _AGAIN) from None
    except ValueError as error:
        raise FileError(f"The model file {path} is damaged: it holds {error}.", _AGAIN) from None


def _read(path: Path, cursor: _Cursor, size: int) -> GgufFile:
    version = cursor.scalar("I")
    if version not in {2, 3}:
        msg = f"{path} is GGUF of version {version}, and only 2 and 3 can be read."
        raise FileError(msg, "Convert it again with a current llama.cpp.")
    n_tensors, n_values = cursor.scalar("Q"), cursor.scalar("Q")
    metadata: dict[str, Any] = {}
    for _ in range(n_values):
        key = cursor.string()
        value = cursor.value(cursor.scalar("I"))
        if value is not None:
            metadata[key] = value
    parts = metadata.get("split.count", 0)
    if isinstance(parts, int) and parts > 1:
        msg = f"{path} is one of {parts} parts of a split model, and split models are not read yet."
        raise FileError(msg, "Join them with llama.cpp's llama-gguf-split --merge.")
    tensors = tuple(_tensor(cursor) for _ in range(n_tensors))
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"an alignment of {alignment}")
    data = -(-cursor.at // alignment) * alignment
    promised = max((data + t.offset + (t.n_bytes or 0) for t in tensors), default=0)
    if promised > size:
        msg = (
            f"The model file {path} is cut short: it is {format_bytes(size)}"
            f" but its header promises {format_bytes(promised)}."
        )
        raise FileError(msg, _AGAIN)
    if not tensors:
        raise FileError(
            f"{path} holds no weights, only metadata.", "Give the file with the weights."
        )
    return GgufFile(
        path=path, n_bytes=size, metadata=metadata, tensors=tensors, alignment=alignment
    )


def _tensor(cursor: _Cursor) -> TensorInfo:
    name = cursor.string()
    n_dims = cursor.scalar("I")
    if n_dims > 4:
        raise ValueError(f"a tensor of {n_dims} dimensions")
    shape = tuple(cursor.scalar("Q") for _ in range(n_dims))
    kind, offset = cursor.scalar("I"), cursor.scalar("Q")
    elements = 1
    for length in shape:
        elements *= length
    if kind not in _TENSOR_TYPES:
        return TensorInfo(name, shape, f"type-{kind}", offset, None)
    type_name, block, block_bytes = _TENSOR_TYPES[kind]
    return TensorInfo(name, shape, type_name, offset, -(-elements // block) * block_bytes)
