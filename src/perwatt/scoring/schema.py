"""`schema`: does the JSON in the answer keep to a JSON Schema?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from perwatt.core.errors import MissingExtraError
from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.extract import without_thinking
from perwatt.scoring.json import MISSING, find_json, same_json
from perwatt.scoring.known_options import takes
from perwatt.scoring.regex_bounded import BoundedSearch, RunawayError

__all__ = ["schema"]

_TYPES: dict[str, type] = {"object": dict, "array": list}
_MOST_FAULTS = 5


class _Schema:
    """Scores 1 when the answer's JSON is valid, else 0.

    Options: `schema`, a JSON Schema (draft 2020-12, or what its `$schema` says), as a table or as
    JSON text, by default the reference itself; `equals`, a value that it has to equal besides;
    `whole`, true to take the answer only if all of it is JSON, or one fenced block. References to
    other documents are not followed. Detail: `faults`, each with its place.
    """

    def __init__(self, jsonschema: Any, referencing: Any) -> None:
        self._jsonschema = jsonschema
        self._registry = referencing.Registry()  # knows no way to fetch a document
        self._bounded = BoundedSearch()
        self._validator = lru_cache(maxsize=64)(self._make)

    def __call__(self, item: Item, text: str) -> Judgement:
        wanted = item.options.get("schema", item.reference)
        try:
            validator = self._validator(wanted if isinstance(wanted, str) else json.dumps(wanted))
        except (ValueError, TypeError, RecursionError) as error:
            return _abstain(f"the item {item.id!r} has no usable schema: {str(error)[:200]}")
        said = without_thinking(text)
        found = _find(said, validator.schema, bool(item.options.get("whole")))
        if found is MISSING:
            return Judgement(value=0.0, explanation="no JSON of the right type found")
        try:
            shown = json.dumps(found, ensure_ascii=False)
            faults = [
                f"{error.json_path}: {error.message[:120]}"
                for _, error in zip(range(_MOST_FAULTS), validator.iter_errors(found), strict=False)
            ]
            equal = "equals" not in item.options or same_json(item.options["equals"], found)
        except RunawayError as error:
            return _abstain(f"a pattern in the schema of the item {item.id!r} {error}")
        except RecursionError:
            return Judgement(value=0.0, explanation="JSON nested too deeply")
        except Exception as error:  # jsonschema raises whatever a schema provokes
            return _abstain(
                f"the schema of the item {item.id!r} cannot be used: {str(error)[:200]}"
            )
        why = faults[0] if faults else None if equal else "valid, but not the value asked for"
        return Judgement(
            value=float(equal and not faults),
            extracted=shown,
            explanation=why or "valid",
            detail={"faults": faults},
        )

    def close(self) -> None:
        self._bounded.close()

    def _make(self, source: str) -> Any:
        schema = json.loads(source)
        if not isinstance(schema, dict | bool):
            msg = f"a schema is an object, not {source[:40]!r}"
            raise ValueError(msg)
        kind = self._jsonschema.validators.validator_for(
            schema, default=self._jsonschema.Draft202012Validator
        )
        try:
            kind.check_schema(schema)
        except self._jsonschema.SchemaError as error:
            raise ValueError(error.message) from error
        bounded = self._jsonschema.validators.extend(kind, {"pattern": self._pattern})
        return bounded(schema, registry=self._registry)

    def _pattern(self, _: Any, pattern: str, value: Any, __: Any) -> Iterator[Any]:
        if isinstance(value, str) and self._bounded(pattern, value, 0, 0, last=False) is None:
            yield self._jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


@takes("schema", "whole", "equals")
def schema() -> Scorer:
    """See `_Schema` for the options. Raises MissingExtraError without the package `jsonschema`."""
    try:
        import jsonschema
        import referencing
    except ImportError as error:
        raise MissingExtraError("jsonschema", "scoring", "The scorer 'schema'") from error
    return _Schema(jsonschema, referencing)


def _find(text: str, schema: Any, whole: bool) -> Any:
    kind = _TYPES.get(str(schema.get("type")) if isinstance(schema, dict) else "")
    if kind is not None:
        return find_json(text, kind, whole)
    found = find_json(text, object, whole=True)  # a scalar amid prose would be any word or number
    if found is MISSING and not whole:
        found = find_json(text, dict)
        return find_json(text, list) if found is MISSING else found
    return found


def _abstain(why: str) -> Judgement:
    return Judgement(value=None, abstained=True, explanation=why)
