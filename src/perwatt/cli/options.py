"""The spec's fields as command-line options: one definition, in core/spec.py."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import Group, Parameter

from perwatt.core.spec import RunSpec

__all__ = ["CLUSTER", "OUTPUT", "with_spec_options"]

_HEADINGS = {
    "What is asked": "model endpoint workload limit sample skip_bad classify repeats rounds seed",
    "How requests arrive": "load max_in_flight warmup_s cooldown_s retries slo workers",
    "Energy": "sensors boundary require_grade attribution sample_hz idle_s per_query warmup",
    "How answers are drawn": "temperature top_p top_k min_p repetition_penalty thinking effort"
    " max_tokens logprobs extra_body",
    "Judges": "judge judge_mode judge_budget judge_key_env",
    "Ranking and comparing": "rank confidence margin home",
    "Engine and server": "threads context port slots timeout_s connect_timeout_s first_timeout_s"
    " total_timeout_s api_key_env accept_terms",
}
"""Of `--help`, in their order: what nearly everybody gives first."""
_GROUPS = {
    field: Group(heading, sort_key=(1, place))
    for place, (heading, fields) in enumerate(_HEADINGS.items())
    for field in fields.split()
}
OUTPUT = Group("Output", sort_key=(2, 0))
CLUSTER = Group("Cluster", sort_key=(2, 1))


def with_spec_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command(given, *own)` an option for each field of RunSpec.

    `given` receives only what was typed, so that a TOML file's values and then the defaults fill in
    the rest. The command's own parameters, all but the first, stay as they are.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

    def wrapped(*args: Any, **options: Any) -> None:
        mine = {p.name for p in own}
        given = {k: v for k, v in options.items() if k not in mine and v is not None}
        rest = {k: v for k, v in options.items() if k in mine}
        command(given, *args, **rest)

    signature = inspect.Signature([*own, *_spec_parameters()])
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    wrapped.__doc__ = command.__doc__
    wrapped.__name__ = command.__name__
    wrapped.__module__ = command.__module__
    return wrapped


def _spec_parameters() -> list[inspect.Parameter]:
    parameters = []
    for name, field in RunSpec.model_fields.items():
        shown = (
            "" if field.is_required() or field.default in (None, (), {}) else _shown(field.default)
        )
        help_text = f"{field.description}{shown}"
        # Bounds and patterns are checked once, by RunSpec, so that every message is the same.
        bare: Any = _bare(field.annotation) | None
        option = Parameter(
            help=help_text, negative="", show_default=False, group=_GROUPS.get(name, OUTPUT)
        )
        typed = Annotated[bare, option]
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=typed)
        )
    return parameters


def _bare(annotation: Any) -> Any:
    """A repeatable option for a tuple, JSON text for a dict, the type itself for the rest."""
    if annotation == dict[str, Any]:
        return str
    return list[str] if annotation == tuple[str, ...] else annotation


def _shown(default: Any) -> str:
    value = ", ".join(default) if isinstance(default, tuple) else default
    return f" [default: {value}]"
