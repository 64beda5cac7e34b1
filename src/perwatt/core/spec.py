"""One typed spec: it is the command line, the TOML file and the Python call (DESIGN §6).

Field descriptions are the command line's help. pydantic is used here and nowhere else.
"""

from __future__ import annotations

import json
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
from perwatt.core.load import Load, parse_load
from perwatt.core.protocols import Timeouts
from perwatt.core.slo import parse_slo

__all__ = ["RunSpec"]

LOOKS = 10
"""Blocks of a run that ends when its pairs are ranked, where --rounds does not say."""
SLOTS = 8
"""Places of the embedded engine where requests arrive by the clock."""


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
        Field(
            description="`llamacpp` (embedded), the URL of any OpenAI-compatible server, `ollama`"
            " or ollama:URL, `transformers` or `vllm` (in process), or replay:PATH."
        ),
    ] = "llamacpp"
    workload: Annotated[
        str,
        Field(
            description="Workload or suite name (see `perwatt list`), synthetic:prompt=300,"
            "output=150,n=200, trace:FILE, probe:order,of=NAME, hf:ORG/NAME, a suite's .toml, or a"
            " .jsonl, .parquet, .csv or .json file of items or a folder of them."
        ),
    ] = "core"
    limit: Annotated[
        int | None,
        Field(ge=1, description="Ask only N items, picked as --sample says; of a trace its first."),
    ] = None
    sample: Annotated[
        str,
        Field(
            description="How --limit picks: even (over kinds and levels), category (even over"
            " categories), random, or weights:WHOM (wildchat, natural-reasoning, or a TOML file of"
            " shares by category)."
        ),
    ] = "even"
    skip_bad: Annotated[
        bool, Field(description="Leave bad rows of a workload's file out, and count them.")
    ] = False
    classify: Annotated[
        bool,
        Field(description="Give items without a category one, by the local classifier."),
    ] = False
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
        str,
        Field(
            description="How requests arrive: closed:N (N in flight), constant:R, poisson:R or"
            " gamma:R:CV (R a second), burst, trace[:FILE][:xSPEED], sweep:A..B or sweep:A/s..B/s;"
            " @30s after one for a time limit; commas between stages."
        ),
    ] = "closed:1"
    max_in_flight: Annotated[
        int | None,
        Field(
            ge=1,
            description="Where requests arrive by the clock, hold back those above N; the wait"
            " counts as latency from schedule. Default: no bound.",
        ),
    ] = None
    warmup_s: Annotated[
        float,
        Field(ge=0, description="Leave requests due in a stage's first N seconds out of speeds."),
    ] = 0.0
    cooldown_s: Annotated[
        float,
        Field(ge=0, description="Leave those due in a timed stage's last N seconds out as well."),
    ] = 0.0
    retries: Annotated[
        int,
        Field(
            ge=0,
            le=10,
            description="Ask up to N times again after a 429, a 5xx or a lost connection, if no"
            " chunk had come. Every attempt is kept.",
        ),
    ] = 0
    slo: Annotated[
        str | None,
        Field(description="Limits for goodput, such as ttft=0.5,tpot=0.05,latency=5 (seconds)."),
    ] = None
    workers: Annotated[
        int, Field(ge=1, le=64, description="Processes that ask; more than one core's load needs.")
    ] = 1
    seed: Annotated[int, Field(ge=0, description="Seeds item order, sampling and statistics.")] = 0
    temperature: Annotated[
        float | None, Field(ge=0, description="0 is greedy; default: the workload's, else 0.")
    ] = None
    top_p: Annotated[float | None, Field(gt=0, le=1, description="Nucleus sampling.")] = None
    top_k: Annotated[int | None, Field(ge=1, description="Keep the k likeliest tokens.")] = None
    min_p: Annotated[float | None, Field(ge=0, le=1, description="Least relative probability.")] = (
        None
    )
    repetition_penalty: Annotated[
        float | None, Field(gt=0, description="Above 1: repeat less; needs a server that has it.")
    ] = None
    thinking: Annotated[
        bool | None,
        Field(
            description="Reason before answering, or `--thinking=false`: do not; default: the"
            " workload's, else the model's."
        ),
    ] = None
    effort: Annotated[
        str | None, Field(description="How hard to reason, in the server's words, such as low.")
    ] = None
    max_tokens: Annotated[
        int | None, Field(ge=1, description="Longest answer; default is each item's own.")
    ] = None
    logprobs: Annotated[
        bool, Field(description="Keep each answer's log-probabilities, for perplexity.")
    ] = False
    extra_body: Annotated[
        dict[str, Any],
        Field(description="JSON object of further fields to send, such as a server's own options."),
    ] = {}
    judge: Annotated[
        tuple[str, ...],
        Field(
            description="Who judges answers that only a reader can: ENDPOINT=MODEL, such as"
            " http://localhost:8000/v1=qwen3, or an embedded model's name. Repeat it: they vote."
        ),
    ] = ()
    judge_mode: Annotated[
        Literal["pairwise", "pointwise"] | None,
        Field(description="Against the reference in both orders, or alone; default: the item's."),
    ] = None
    judge_budget: Annotated[
        str | None,
        Field(
            description="Most a judge may use: requests=500,tokens=1e6,seconds=600,joules=5e4;"
            " each=512 for the longest reply."
        ),
    ] = None
    judge_key_env: Annotated[
        str | None, Field(description="Environment variable that holds the judge's key.")
    ] = None
    rank: Annotated[
        Literal["accuracy", "ipj"] | None,
        Field(
            description="Stop as soon as two pairs are ranked by this with --confidence, looking"
            " after every round (default: 10 rounds)."
        ),
    ] = None
    confidence: Annotated[float, Field(gt=0.5, lt=1, description="Of --rank.")] = 0.95
    margin: Annotated[
        float,
        Field(ge=0, description="--rank also stops where they differ by less than this, surely."),
    ] = 0.0
    home: Annotated[
        str | None,
        Field(
            description="Kind or category that the gap to the other domains is taken from; default:"
            " the best, found on other items."
        ),
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
    slots: Annotated[
        int | None,
        Field(
            ge=1,
            description="Embedded engine's places; default: as many as the load has in flight, or"
            " 8 where it does not say.",
        ),
    ] = None
    timeout_s: Annotated[
        float, Field(gt=0, description="Longest wait for the first chunk, and between chunks.")
    ] = 120.0
    connect_timeout_s: Annotated[
        float, Field(gt=0, description="Longest wait for a connection.")
    ] = 10.0
    first_timeout_s: Annotated[
        float | None,
        Field(gt=0, description="Longest wait for the first chunk; default --timeout-s."),
    ] = None
    total_timeout_s: Annotated[
        float | None, Field(gt=0, description="Longest that a whole request may take.")
    ] = None
    api_key_env: Annotated[
        str | None, Field(description="Environment variable that holds the server's key.")
    ] = None
    accept_terms: Annotated[
        tuple[str, ...], Field(description="Models whose licence terms you have read and accept.")
    ] = ()
    out: Annotated[
        Path | None, Field(description="Run directory; default runs/<time>-<names>.")
    ] = None

    @field_validator("api_key_env", "judge_key_env")
    @classmethod
    def _names_a_variable(cls, value: str | None) -> str | None:
        # A pasted key would be saved in run.json; a variable's name has no such characters.
        if value is not None and not value.isidentifier():
            msg = "give the variable's name, not the key itself"
            raise ValueError(msg)
        return value

    @field_validator("load")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        parse_load(value)  # raises SpecError, which says what cannot be read and how to mend it
        return value

    @field_validator("slo")
    @classmethod
    def _limits_can_be_read(cls, value: str | None) -> str | None:
        if value is not None:
            parse_slo(value)
        return value

    @field_validator("extra_body", mode="before")
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            msg = f"it is not JSON ({error})"
            raise ValueError(msg) from None

    @field_validator("per_query")
    @classmethod
    def _one_at_a_time(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("load", "closed:1") != "closed:1":
            msg = f"with --load {info.data['load']} queries share the device"
            raise ValueError(msg)
        return value

    @property
    def parsed_load(self) -> Load:
        return parse_load(self.load)

    @property
    def parallel(self) -> int:
        """Most requests in flight; where nothing bounds them, the engine's places."""
        return self.slots or self.parsed_load.most_in_flight or self.max_in_flight or SLOTS

    @property
    def blocks(self) -> int:
        """Of the items, between which the pairs take turns; --rank looks after each."""
        return LOOKS if self.rank and self.rounds == 1 else self.rounds

    @property
    def timeouts(self) -> Timeouts:
        return Timeouts(
            connect_s=self.connect_timeout_s,
            first_s=self.first_timeout_s or self.timeout_s,
            chunk_s=self.timeout_s,
            total_s=self.total_timeout_s,
        )

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
            shown = "" if name in {"api_key_env", "judge_key_env"} else f" {first['input']!r}"
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
