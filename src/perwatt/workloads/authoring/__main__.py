"""`python -m perwatt.workloads.authoring` writes the data files of `core` anew."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from perwatt.workloads.authoring.build import build_examples, build_items
from perwatt.workloads.core import VERSION
from perwatt.workloads.hashing import canonical, workload_sha256


def main(folder: Path) -> None:
    """Write items and examples into `folder` and say the hash that `core.SHA256` must hold."""
    items = build_items()
    lines = b"".join(canonical(item) + b"\n" for item in items)
    (folder / f"core-v{VERSION}.jsonl").write_bytes(lines)
    examples = msgspec.json.format(msgspec.json.encode(build_examples()), indent=1) + b"\n"
    (folder / f"core-v{VERSION}-examples.json").write_bytes(examples)
    sys.stdout.write(f"{len(items)} items, sha256 {workload_sha256(items)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "data")
