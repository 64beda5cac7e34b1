"""Whose joules are the pair's: the sensors of the machine that serves it, or none."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from perwatt.core.errors import GradeError, PerwattError, SensorUnavailableError
from perwatt.core.spec import RunSpec
from perwatt.endpoints.ollama_server import address as ollama_address
from perwatt.runner.session_endpoint import named
from perwatt.sensors.pick import Picked, pick, sensor_named

__all__ = ["any_accelerator", "find_energy"]


def find_energy(spec: RunSpec) -> tuple[Picked | None, str]:
    """The sensors to sample, and the sentence that says so.

    A server on another machine draws its power there: this host's sensors are then used only when
    they are named, and otherwise energy is unknown, never guessed.
    """
    name, given = named(spec.endpoint)
    address = ollama_address(given) if name == "ollama" else given or ""
    elsewhere = _elsewhere(address)
    if elsewhere and spec.sensors == ("auto",):
        host = urlsplit(address).hostname
        line = f"Energy is UNKNOWN: {host} is another machine, and nothing here reads its power."
        return _unknown(line, spec)
    try:
        picked = pick(
            spec.sensors,
            uses_accelerator=_may_use_accelerator(name),
            boundary=spec.boundary,
            require_grade=spec.require_grade,
            fall_back=not elsewhere,
        )
    except SensorUnavailableError as error:
        if not elsewhere:
            raise
        # This machine's own sensors cannot stand in for those of another.
        return _unknown(f"Energy is UNKNOWN: {error.message}", spec)
    return picked, picked.energy_line


def _unknown(line: str, spec: RunSpec) -> tuple[None, str]:
    if spec.require_grade is not None:
        msg = f"The run requires energy of grade {spec.require_grade}. {line}"
        raise GradeError(msg, "Start `perwatt sampler` there, and name it: --sensors remote:URL.")
    return None, line


def _elsewhere(address: str) -> bool:
    if "://" not in address:
        return False
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def _may_use_accelerator(name: str) -> bool:
    """The embedded engine is a CPU build; any other engine uses a GPU if there is one."""
    return name not in {"llamacpp", "replay"} and any_accelerator()


def any_accelerator() -> bool:
    """Is there a GPU here whose energy or power can be read?"""
    for name in ("nvml", "amdsmi"):
        try:
            sensor = sensor_named(name)
            sensor.probe()
        except PerwattError:
            continue
        sensor.close()
        return True
    return False
