"""Which GPUs processes have open, as the kernel's DRM drivers say in /proc/<pid>/fdinfo.

amdgpu, i915, xe and others write `drm-pdev: 0000:03:00.0` there for each open file of a GPU
(Documentation/gpu/drm-usage-stats.rst). NVIDIA's own driver does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["gpus_of"]


def gpus_of(pids: Iterable[int], proc: Path = Path("/proc")) -> set[str]:
    """PCI addresses of the GPUs that these processes have open; those of others' are not seen."""
    found = set()
    for pid in pids:
        try:
            entries = list((proc / str(pid) / "fdinfo").iterdir())
        except OSError:
            continue  # it ended, or is another user's
        for entry in entries:
            try:
                text = entry.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # closed while we looked
            for line in text.splitlines():
                key, _, value = line.partition(":")
                if key == "drm-pdev":
                    found.add(value.strip().lower())
    return found
