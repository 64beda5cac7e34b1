"""The spec's fields as command-line options: one definition, in core/spec.py."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import Parameter

from perwatt.core.spec import RunSpec

__all__ = ["with_spec_options"]


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
        typed = Annotated[bare, Parameter(help=help_text, negative="", show_default=False)]
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
