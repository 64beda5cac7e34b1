"""What `--model` may be for an engine that reads Hugging Face models: a folder or a hub id."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from perwatt.core.errors import FileError
from perwatt.endpoints.cache import file_sha256

__all__ = ["DTYPES", "Source", "folder_or_hub", "split_dtype"]

DTYPES = {
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
    "float32": "float32",
    "fp32": "float32",
}
WEIGHTS = ("*.safetensors", "*.bin")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the weights are."""

    place: str
    """A folder, or a hub id."""
    name: str
    gguf: str | None = None
    """A file within `place`."""
    stored: str | None = None
    """The file's own precision, where it is de-quantised to be computed with."""
    sha256: str | None = None
    n_bytes: int | None = None
    licence: str | None = None


def split_dtype(model: str) -> tuple[str, str | None]:
    """(`name`, `bfloat16`) of `name@bf16`; what is no such type stays part of the name."""
    name, at, last = model.rpartition("@")
    dtype = DTYPES.get(last.lower())
    return (name, dtype) if at and dtype else (model, None)


def folder_or_hub(name: str) -> Source:
    """Hashes the weights of a folder, which takes seconds. Raises FileError."""
    path = Path(name).expanduser()
    if path.is_dir():
        return _folder(path)
    if name.startswith(("/", "./", "../", "~")) or name.count("/") > 1:
        msg = f"--model {name}: there is no such folder."
        raise FileError(msg, "Give a folder with a config.json, or a hub id such as org/model.")
    return Source(place=name, name=name.rpartition("/")[2])


def _folder(path: Path) -> Source:
    if not (path / "config.json").is_file():
        msg = f"--model {path}: the folder has no config.json, so it holds no model."
        raise FileError(msg, "Give the folder that a model was saved in.")
    files = next((found for kind in WEIGHTS if (found := sorted(path.glob(kind)))), [])
    if not files:
        msg = f"--model {path}: the folder holds no weights ({' or '.join(WEIGHTS)})."
        raise FileError(msg, "Give the folder that a model was saved in.")
    hashes = [file_sha256(file) for file in files]
    joined = hashlib.sha256("".join(hashes).encode()).hexdigest()
    return Source(
        place=str(path.resolve()),
        name=path.resolve().name,
        sha256=hashes[0] if len(hashes) == 1 else joined,
        n_bytes=sum(file.stat().st_size for file in files),
    )
