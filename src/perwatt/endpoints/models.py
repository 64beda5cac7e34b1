"""Models by name, by name@precision, or by the path of a GGUF file → weights on disk."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from perwatt.core.errors import SpecError, UnknownNameError
from perwatt.endpoints.cache import file_sha256
from perwatt.endpoints.gguf_file import GgufFile, read_gguf
from perwatt.endpoints.packages import GEMMA3_270M, SMOLLM2_135M, ModelPackage
from perwatt.endpoints.requantize import PRECISIONS, is_upcast, requantized

__all__ = ["KnownModel", "Weights", "check_model", "known_models", "resolve"]

_BY_NAME: dict[str, ModelPackage] = {m.name: m for m in (SMOLLM2_135M, GEMMA3_270M)}


class KnownModel(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `perwatt list`."""

    name: str
    title: str
    package: str
    """Distribution and version that the weights come in."""
    licence: str
    state: str
    """`installed`, `cached`, or how to get it."""
    file_bytes: int
    precision: str
    terms: str | None
    """What must be accepted first; None for a free licence."""
    precisions: tuple[str, ...] = tuple(PRECISIONS)
    """What `name@precision` can be, beside the precision as shipped."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """A model ready to load."""

    name: str
    """As asked for; for a file its name without folder."""
    title: str
    header: GgufFile
    sha256: str
    licence: str | None
    precision: str
    upcast_from: str | None = None

    @property
    def label(self) -> str:
        note = f" (up-cast from {self.upcast_from})" if self.upcast_from else ""
        return f"{self.title} {self.precision}{note}"


def known_models() -> list[KnownModel]:
    """Every model that can be asked for by name. Downloads nothing."""
    return [
        KnownModel(
            name=m.name,
            title=m.title,
            package=f"{m.distribution} {m.version}",
            licence=m.licence,
            state=m.state(),
            file_bytes=m.file_bytes,
            precision=m.precision,
            terms=m.terms,
        )
        for m in _BY_NAME.values()
    ]


def check_model(model: str, accepted_terms: tuple[str, ...] = ()) -> None:
    """All that can be wrong with a model before anything is fetched or made.

    Raises UnknownNameError, SpecError (precision), FileError, TermsError, MissingExtraError.
    """
    source, precision = _split(model)
    if _is_path(source):
        read_gguf(Path(source).expanduser())
    else:
        _known(source).check(accepted_terms)
    if precision is not None and precision not in PRECISIONS:
        own = None if _is_path(source) else _known(source).precision
        if precision != own:
            _no_such_precision(model, precision)


def resolve(
    model: str,
    accepted_terms: tuple[str, ...] = (),
    stop: threading.Event | None = None,
) -> Weights:
    """Find, fetch, assemble or convert. Blocks for seconds; `stop` set makes it give up early.

    Raises as `check_model` does, and DiskFullError; EngineError when it was stopped.
    """
    stop = stop or threading.Event()
    source, precision = _split(model)
    if _is_path(source):
        path = Path(source).expanduser()
        header = read_gguf(path)
        title, licence = header.name or path.stem, header.licence
        name = path.name if precision is None else f"{path.name}@{precision}"
    else:
        package = _known(source)
        header = read_gguf(package.find(accepted_terms, stop))
        title, licence, name = package.title, package.licence, model
    own = header.precision
    upcast_from = header.metadata.get("perwatt.upcast_from")
    if precision is not None and precision != own.upper():
        if precision not in PRECISIONS:
            _no_such_precision(model, precision)
        if upcast_from is None and is_upcast(header, precision):
            upcast_from = own
        header = read_gguf(requantized(header, precision, upcast_from, stop))
        own = precision
    return Weights(
        name=name,
        title=title,
        header=header,
        sha256=file_sha256(header.path),
        licence=licence,
        precision=own,
        upcast_from=upcast_from,
    )


def _split(model: str) -> tuple[str, str | None]:
    source, at, precision = model.rpartition("@")
    if not at or "/" in precision or precision.lower().endswith(".gguf"):
        return model, None
    return source, precision.upper()


def _is_path(source: str) -> bool:
    return source.lower().endswith(".gguf") or "/" in source or "\\" in source


def _known(name: str) -> ModelPackage:
    if name not in _BY_NAME:
        raise UnknownNameError("model", name, _BY_NAME)
    return _BY_NAME[name]


def _no_such_precision(model: str, precision: str) -> None:
    msg = f"--model {model}: weights cannot be made in the precision {precision}."
    raise SpecError(msg, f"Known: {', '.join(PRECISIONS)}.")
