"""As `vllm.platforms`."""

from __future__ import annotations


class _Platform:
    device_type = "cuda"

    def get_device_name(self) -> str:
        return "Stand-in GPU"


current_platform = _Platform()
