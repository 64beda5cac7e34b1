"""Facts a study needs beside what was measured: perwatt's own, and a user's file over them.

[[model]]                       keys of predict.models.ModelFacts
name = "my-model-7b"
released = "2026-05"
active_b = 7.2
source = "its model card"

[[device]]                      keys of predict.devices.Device
name = "Emulated 80GB"
place = "cloud"
source = "emulated"

[gdp]                           category = its share of the gross domestic product, any unit
"Legal" = 0.9
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from perwatt.core.errors import SpecError, UnknownNameError
from perwatt.predict.catalogue import Key, Named, entries, read_toml
from perwatt.predict.devices import Device, device_key, find_device
from perwatt.predict.models import ModelFacts, find_model, model_key

__all__ = ["Facts", "load_facts"]

_TABLES = ("model", "device", "gdp")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of models, devices and categories. Empty: perwatt's own catalogues alone."""

    models: tuple[ModelFacts, ...] = ()
    """The user's own, which go before perwatt's."""
    devices: tuple[Device, ...] = ()
    gdp: Mapping[str, float] = {}
    """Weight of each category, above 0, in the user's unit."""
    path: str | None = None
    """The user's file, by its own name."""

    def model(self, text: str) -> ModelFacts | None:
        """See `predict.models.find_model`."""
        return find_model(text, self.models)

    def device(self, text: str) -> Device | None:
        """See `predict.devices.find_device`."""
        return find_device(text, self.devices)


def load_facts(path: Path) -> Facts:
    """A user's file. FileError where it cannot be read, SpecError for a key or value in it."""
    tables = read_toml(path, "facts")
    for key in tables:
        if key not in _TABLES:
            mend = UnknownNameError("table", key, _TABLES).mend
            msg = f"{path} has an unknown table {key!r}."
            raise SpecError(msg, mend)
    models = entries(tables.get("model", []), ModelFacts, "model", path)
    devices = entries(tables.get("device", []), Device, "device", path)
    _told_once(models, model_key, path)
    _told_once(devices, device_key, path)
    return Facts(
        models=models,
        devices=devices,
        gdp=_weights(tables.get("gdp", {}), path),
        path=path.name,
    )


def _told_once(found: Sequence[Named], key: Key, path: Path) -> None:
    owner: dict[str, str] = {}
    for entry in found:
        for spelling in {key(name) for name in (entry.name, *entry.aliases)}:
            if owner.setdefault(spelling, entry.name) != entry.name or not spelling:
                msg = f"{path} has two entries for {spelling!r}: {owner[spelling]}, {entry.name}."
                raise SpecError(msg, "Leave one of them, or name them apart.")


def _weights(table: object, path: Path) -> dict[str, float]:
    mend = 'Write lines such as "Legal" = 0.9 under [gdp].'
    if not isinstance(table, Mapping):
        msg = f"{path} has a gdp that is no table."
        raise SpecError(msg, mend)
    weights = {}
    for category, weight in table.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or weight <= 0:
            msg = f"{path} gives {category!r} in [gdp] the weight {weight!r}, not a number above 0."
            raise SpecError(msg, mend)
        weights[str(category)] = float(weight)
    return weights
