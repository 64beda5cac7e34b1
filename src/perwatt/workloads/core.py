"""`core`: the built-in suite. Original items under CC0, written and generated for perwatt.

Made by `python -m perwatt.workloads.authoring`; how it was calibrated is in docs/workloads.md.
"""

from __future__ import annotations

from importlib.resources import files

import msgspec

from perwatt.core.errors import FileError
from perwatt.core.records import Item, Message, Workload
from perwatt.workloads.hashing import workload_sha256

__all__ = ["SHA256", "VERSION", "core"]

VERSION = "1"
SHA256 = "54c4feb5ba23eab47c7d8b3a55ea0fac8c3c89bab074fd0061fc047a7a2e3bc8"
"""Of the items of this version. A changed item is a new version, never a silent edit."""


def core() -> Workload:
    """The built-in workload. Raises FileError when the installed data file was altered."""
    data = files("perwatt.workloads") / "data"
    lines = (data / f"core-v{VERSION}.jsonl").read_bytes().splitlines()
    items = tuple(msgspec.json.decode(line, type=Item) for line in lines)
    examples = msgspec.json.decode(
        (data / f"core-v{VERSION}-examples.json").read_bytes(), type=dict[str, tuple[Message, ...]]
    )
    sha256 = workload_sha256(items)
    if sha256 != SHA256:
        msg = f"The installed file core-v{VERSION}.jsonl is not the one perwatt was released with."
        raise FileError(msg, "Reinstall perwatt; for items of your own use a .jsonl file.")
    return Workload(
        name="core",
        version=VERSION,
        items=items,
        sha256=sha256,
        licence="CC0-1.0",
        source="written and generated for perwatt",
        examples=examples,
    )
