"""Ray, imported when a cluster is asked for, and kept from crashing on a package beside it."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import ModuleType

from perwatt.core.errors import MissingExtraError

__all__ = ["import_ray", "rocm_is_broken"]


def import_ray() -> ModuleType:
    """The module `ray`; nothing is started. Raises MissingExtraError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        with _without_amdsmi(rocm_is_broken()):
            return importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError("ray", "cluster", "A cluster") from error


def rocm_is_broken() -> bool:
    """Is the package `amdsmi` installed without the library it wraps?

    Ray 2.60 imports it and expects nothing worse than ImportError, so that `import ray` itself
    fails on a machine without ROCm. So does that of every process of a cluster made here, also
    where this one has imported it already.
    """
    said = io.StringIO()  # it prints what it misses
    try:
        with redirect_stdout(said), redirect_stderr(said):
            importlib.import_module("amdsmi")
    except ImportError:
        return False
    except Exception:  # KeyError and OSError so far; whatever it is, Ray must not meet it
        return True
    return False


@contextmanager
def _without_amdsmi(hide: bool) -> Iterator[None]:
    if not hide:
        yield
        return
    for name in [name for name in sys.modules if name.partition(".")[0] == "amdsmi"]:
        del sys.modules[name]
    sys.modules["amdsmi"] = None  # type: ignore[assignment]  # Python's way to say: not installed
    try:
        yield
    finally:
        del sys.modules["amdsmi"]
