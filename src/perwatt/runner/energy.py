"""Whose joules are the pair's: the sensors of the machine that serves it, or none."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from perwatt.core.errors import SensorUnavailableError
from perwatt.core.registry import registry
from perwatt.core.spec import RunSpec
from perwatt.sensors.pick import Picked, pick

__all__ = ["find_energy"]


def find_energy(spec: RunSpec) -> tuple[Picked | None, str]:
    """The sensors to sample, and the sentence that says so.

    A server on another machine draws its power there: this host's sensors are then used only when
    they are named, and otherwise energy is unknown, never guessed.
    """
    if _elsewhere(spec.endpoint) and spec.sensors == ("auto",):
        host = urlsplit(spec.endpoint).hostname
        return None, (
            f"Energy is UNKNOWN: {host} is another machine, and nothing here reads its power."
        )
    picked = pick(
        spec.sensors,
        uses_accelerator=_may_use_accelerator(spec.endpoint),
        pids=(),
        require_grade=spec.require_grade,
    )
    return picked, picked.energy_line


def _elsewhere(endpoint: str) -> bool:
    if "://" not in endpoint:
        return False
    host = urlsplit(endpoint).hostname or ""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def _may_use_accelerator(endpoint: str) -> bool:
    """The embedded engine is a CPU build; a user's own server uses the GPU if there is one."""
    if "://" not in endpoint:
        return False
    sensor = registry("sensor").get("nvml")()
    try:
        sensor.probe()
    except SensorUnavailableError:
        return False
    sensor.close()
    return True
