"""The same weights in another precision, made here and kept in the cache.

Every tensor is read back to 32-bit floats and encoded again with the `gguf` package, so a target
with more bits than the source costs more and knows no more: an up-cast, and labelled so.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from perwatt.core.errors import EngineError, MissingExtraError
from perwatt.endpoints.cache import cache_dir, file_sha256, locked, whole_file
from perwatt.endpoints.gguf_file import FILE_TYPES, GgufFile, TensorInfo

__all__ = ["CONVERTER", "PRECISIONS", "is_upcast", "requantized"]

CONVERTER = 1
"""Raise it when the same source would give other bytes."""

PRECISIONS = {
    "F32": 32.0,
    "F16": 16.0,
    "BF16": 16.0,
    "Q8_0": 8.5,
    "Q5_1": 6.0,
    "Q5_0": 5.5,
    "Q4_1": 5.0,
    "Q4_0": 4.5,
}
"""Bits per weight, scales included."""

_ENDS = ("token_embd.weight", "output.weight")
"""Vocabulary tensors: quantizers keep these finer than the rest, and so do we."""


def is_upcast(source: GgufFile, precision: str) -> bool:
    """Would `precision` store more bits for each weight than the source's own matrices do?"""
    return PRECISIONS[precision] > _matrix_bits(source)


def requantized(
    source: GgufFile, precision: str, upcast_from: str | None, stop: threading.Event
) -> Path:
    """The converted file, made once for each source hash, precision and converter version.

    Raises DiskFullError, FileError, MissingExtraError (`gguf`), EngineError when `stop` is set.
    """
    digest = file_sha256(source.path)
    name = f"{source.path.stem}-{digest[:12]}-{precision}-v{CONVERTER}.gguf"
    target = cache_dir() / name
    with locked(target):
        if not target.exists():
            with whole_file(target) as temporary:
                _convert(source, temporary, precision, upcast_from, digest, stop)
    return target


def _convert(
    source: GgufFile,
    target: Path,
    precision: str,
    upcast_from: str | None,
    digest: str,
    stop: threading.Event,
) -> None:
    try:
        import gguf
        import numpy as np
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            error.name or "gguf", "local", f"The precision {precision}"
        ) from None

    reader = gguf.GGUFReader(source.path)
    writer = gguf.GGUFWriter(target, source.architecture)
    try:
        _copy_metadata(reader, writer, gguf)
        writer.add_file_type(next(k for k, v in FILE_TYPES.items() if v == precision))
        writer.add_string("perwatt.source_sha256", digest)
        if upcast_from:
            writer.add_string("perwatt.upcast_from", upcast_from)
        kinds = {t.name: _target_type(t, source, precision) for t in source.tensors}
        for tensor in reader.tensors:
            kind = gguf.GGMLQuantizationType[kinds[tensor.name]]
            shape = [int(n) for n in reversed(tensor.shape)]
            block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
            n_bytes = int(tensor.n_elements) // block * block_bytes
            any_float = np.dtype(np.float32)  # `raw_dtype` decides
            writer.add_tensor_info(tensor.name, shape, any_float, n_bytes, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in reader.tensors:
            if stop.is_set():
                raise EngineError(f"Converting {source.path.name} to {precision} was stopped.")
            kind = gguf.GGMLQuantizationType[kinds[tensor.name]]
            data = tensor.data
            if tensor.tensor_type != kind:
                floats = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
                data = gguf.quants.quantize(floats, kind)
            writer.write_tensor_data(data)
    finally:
        writer.close()


def _copy_metadata(reader: Any, writer: Any, gguf: Any) -> None:
    skipped = {"general.architecture", "general.file_type", "perwatt.source_sha256"}
    for field in reader.fields.values():
        if field.name in skipped or field.name.startswith(("GGUF.", "perwatt.upcast")):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)


def _target_type(tensor: TensorInfo, source: GgufFile, precision: str) -> str:
    """Norms, and what the source keeps in F32 among quantized weights, stay as they are."""
    small = sum(size > 1 for size in tensor.shape) < 2
    kept = tensor.type == "F32" and source.precision != "F32"
    if small or kept or tensor.type.startswith("I"):
        return tensor.type
    if tensor.name in _ENDS and PRECISIONS[precision] < _bits(tensor) < 16:
        return tensor.type if tensor.type in PRECISIONS else precision
    if precision.startswith("Q") and tensor.shape[0] % 32:
        return "F16"
    return precision


def _matrix_bits(source: GgufFile) -> float:
    """Bits of each weight in the matrices between the vocabulary tensors."""
    inner = [t for t in source.tensors if len(t.shape) > 1 and t.name not in _ENDS and t.n_bytes]
    elements = sum(t.elements for t in inner)
    return sum((t.n_bytes or 0) * 8 for t in inner) / elements if elements else 32.0


def _bits(tensor: TensorInfo) -> float:
    return (tensor.n_bytes or 0) * 8 / tensor.elements
