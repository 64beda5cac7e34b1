"""Is the model that answered the one that was asked for, under whatever form of its name?"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

__all__ = ["another_model", "shown_name"]

_VERSION = re.compile(r"[-@:_](v?\d[\d.\-]*|latest|preview|free)$", re.IGNORECASE)
"""`-2024-08-06`, `-0613`, `:latest`, `@20250101`, `-001`."""


def another_model(asked: str, served: str | None, aliases: AbstractSet[str] = frozenset()) -> bool:
    """False where the names may mean one model: a listed alias, a vendor's prefix, a version."""
    if served is None or served == asked or served in aliases:
        return False
    theirs = _bare(served)
    return all(not _same(theirs, _bare(name)) for name in {asked, *aliases})


def shown_name(model: str) -> str:
    """llama.cpp's server calls its model by the whole path of its file: the name is enough."""
    if model.endswith(".gguf"):
        return model.replace("\\", "/").rpartition("/")[2].removesuffix(".gguf")
    return model


def _same(served: str, asked: str) -> bool:
    """A version may be added to what was asked for, or be left out of it; not be another."""
    return served == asked or _stem(served) == asked or served == _stem(asked)


def _bare(name: str) -> str:
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
    return last.removesuffix(".gguf")


def _stem(name: str) -> str:
    return _VERSION.sub("", name)
