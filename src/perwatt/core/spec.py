"""One typed spec: it is the command line, the TOML file and the Python call (DESIGN §6).

Field descriptions are the command line's help. pydantic is used here and nowhere else.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from perwatt.core.errors import FileError, SpecError, UnknownNameError

__all__ = ["RunSpec"]


class RunSpec(BaseModel):
    """Everything that decides what a run does. Saved resolved in run.json, and can be run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Annotated[
        tuple[str, ...],
        Field(
            min_length=1,
            description="Model name, name@precision or GGUF file; repeat it to add a pair.",
        ),
    ]
    endpoint: Annotated[
        str,
        Field(description="`llamacpp` (embedded), or the URL of any OpenAI-compatible server."),
    ] = "llamacpp"
    workload: Annotated[
        str, Field(description="Workload name (see `perwatt list`) or a .jsonl file of items.")
    ] = "core"
    limit: Annotated[
        int | None, Field(ge=1, description="Ask only N items, spread over kinds and levels.")
    ] = None
    repeats: Annotated[int, Field(ge=1, description="Ask each item N times.")] = 1
    rounds: Annotated[
        int,
        Field(
            ge=1,
            description="Split the items into N blocks and alternate the pairs over them"
            " (A B, B A …), so that a drifting machine favours none.",
        ),
    ] = 1
    load: Annotated[
        str, Field(pattern=r"^closed:[1-9]\d*$", description="`closed:N`: N requests in flight.")
    ] = "closed:1"
    seed: Annotated[int, Field(ge=0, description="Seeds item order, sampling and statistics.")] = 0
    temperature: Annotated[float, Field(ge=0, description="0 is greedy.")] = 0.0
    top_p: Annotated[float | None, Field(gt=0, le=1, description="Nucleus sampling.")] = None
    top_k: Annotated[int | None, Field(ge=1, description="Keep the k likeliest tokens.")] = None
    min_p: Annotated[float | None, Field(ge=0, le=1, description="Least relative probability.")] = (
        None
    )
    max_tokens: Annotated[
        int | None, Field(ge=1, description="Longest answer; default is each item's own.")
    ] = None
    sensors: Annotated[
        tuple[str, ...],
        Field(
            min_length=1,
            description="Sensor, as `name` or `name:address`; `auto` is the best graded that"
            " works. Repeat it to add one.",
        ),
    ] = ("auto",)
    boundary: Annotated[
        Literal["accelerator", "package", "system"] | None,
        Field(description="Which joules count, where the sensors offer several boundaries."),
    ] = None
    require_grade: Annotated[
        Literal["A", "B", "C", "D"] | None,
        Field(description="Stop before the first query unless energy is at least this grade."),
    ] = None
    attribution: Annotated[
        str, Field(description="How requests in flight together share the device's joules.")
    ] = "phase"
    sample_hz: Annotated[float, Field(gt=0, le=1000, description="Sensor readings per second.")] = (
        50.0
    )
    idle_s: Annotated[
        float, Field(ge=0, description="Seconds of idle measured before each stretch of load.")
    ] = 2.0
    per_query: Annotated[
        bool,
        Field(
            description="Repeat each item, at random phases of the sensor's tick, until 5 s and 50"
            " ticks of it are measured: joules of single queries. Needs closed:1."
        ),
    ] = False
    warmup: Annotated[int, Field(ge=0, description="Requests asked first and not counted.")] = 2
    threads: Annotated[int | None, Field(ge=1, description="Embedded engine's threads.")] = None
    context: Annotated[
        int, Field(ge=64, description="Embedded engine's context for each request in flight.")
    ] = 2048
    port: Annotated[
        int, Field(ge=0, le=65535, description="Embedded engine's port; 0 picks a free one.")
    ] = 0
    timeout_s: Annotated[float, Field(gt=0, description="Longest wait for any one chunk.")] = 120.0
    api_key_env: Annotated[
        str | None, Field(description="Environment variable that holds the server's key.")
    ] = None
    accept_terms: Annotated[
        tuple[str, ...], Field(description="Models whose licence terms you have read and accept.")
    ] = ()
    out: Annotated[
        Path | None, Field(description="Run directory; default runs/<time>-<names>.")
    ] = None

    @field_validator("api_key_env")
    @classmethod
    def _names_a_variable(cls, value: str | None) -> str | None:
        # A pasted key would be saved in run.json; a variable's name has no such characters.
        if value is not None and not value.isidentifier():
            msg = "give the variable's name, not the key itself"
            raise ValueError(msg)
        return value

    @field_validator("per_query")
    @classmethod
    def _one_at_a_time(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("load", "closed:1") != "closed:1":
            msg = f"with --load {info.data['load']} queries share the device"
            raise ValueError(msg)
        return value

    @property
    def in_flight(self) -> int:
        return int(self.load.removeprefix("closed:"))

    @classmethod
    def resolve(cls, given: Mapping[str, Any], file: Path | None = None) -> Self:
        """Options given on the command line over those of a TOML file over the defaults.

        Raises FileError for a file that cannot be read, SpecError naming the option or line.
        """
        values: dict[str, Any] = _read_toml(file) if file else {}
        from_file = set(values) - set(given)
        values.update(given)
        for name in values:
            if name not in cls.model_fields:
                where = f"option in {file}" if name in from_file else "option"
                raise UnknownNameError(where, name, cls.model_fields)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0]) if first["loc"] else "spec"
            place = f"{name} in {file}" if name in from_file else f"--{name.replace('_', '-')}"
            if first["type"] == "missing":
                msg = f"The option {place} is missing."
                raise SpecError(msg, "Name a model, such as --model smollm2-135m.") from None
            shown = "" if name == "api_key_env" else f" {first['input']!r}"
            reason = first["msg"].removeprefix("Value error, ")
            msg = f"{place}{shown} is not usable: {reason[:1].lower()}{reason[1:]}."
            raise SpecError(msg, f"It means: {cls.model_fields[name].description}") from None

    def to_json(self) -> dict[str, Any]:
        """The resolved spec as plain JSON values; `RunSpec.resolve` reads it back."""
        return self.model_dump(mode="json")


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        msg = f"There is no spec file {file}."
        raise FileError(msg, "Give a TOML file, or options such as --model.") from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"The spec file {file} cannot be read: {error}."
        raise FileError(msg) from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"The spec file {file} is not valid TOML: {error}."
        raise SpecError(msg) from None
    if isinstance(values.get("model"), str):  # one model needs no brackets
        values["model"] = [values["model"]]
    return values
