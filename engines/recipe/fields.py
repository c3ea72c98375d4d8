"""The fields of an engine's schema, flat: what a form has to ask for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engines.recipe.document import parse_value
from engines.recipe.errors import RecipeError

_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_FIXED = ("engine",)


@dataclass(frozen=True)
class RecipeField:
    """One key of a recipe."""

    key: str
    """Dotted, under the names that recipes use."""
    help: str
    """The field's docstring."""
    kind: str
    """Its type and bounds in words: `integer >= 1`, `sdpa | eager`."""
    default: str
    """As YAML; `required` where there is none."""


def fields_of(schema: type[BaseModel], above: str = "") -> Iterator[RecipeField]:
    """Every key that may be set, blocks key by key after themselves."""
    for name, field in schema.model_fields.items():
        key = f"{above}{field.alias or name}"
        if key in _FIXED:
            continue
        block = _block_in(field.annotation)
        if block is None or field.annotation is not block:
            words = " ".join([_words(field.annotation), *_bounds(field)])
            yield RecipeField(key, " ".join((field.description or "").split()), words, _default(field))
        if block is not None:
            yield from fields_of(block, f"{key}.")


def as_yaml(value: Any) -> str:
    """A value in one line, as `--set` reads it back."""
    if isinstance(value, str) and "\n" not in value:
        try:
            if parse_value(value) == value:
                return value
        except RecipeError:
            pass
    return json.dumps(value, ensure_ascii=False)


def _block_in(annotation: Any) -> type[BaseModel] | None:
    """The block that a field holds, or may hold; not those in lists."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin = get_origin(annotation)
    if origin is Annotated:
        return _block_in(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return next((found for arm in get_args(annotation) if (found := _block_in(arm))), None)
    return None


def _words(annotation: Any) -> str:
    origin, arms = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bounds = [word for one in arms[1:] for word in _bounds_in([one, *getattr(one, "metadata", [])])]
        return " ".join([_words(arms[0]), *bounds])
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(_words(arm) for arm in arms))
    if origin is Literal:
        return " | ".join(map(str, arms))
    if origin in (list, tuple, set):
        return f"list of {_words(arms[0])}" if arms else "list"
    if origin is dict or annotation is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "block"
    plain = {int: "integer", float: "number", str: "text", bool: "true | false", type(None): "null"}
    return plain.get(annotation, "value")


def _bounds(field: FieldInfo) -> list[str]:
    return _bounds_in(field.metadata)


def _bounds_in(metadata: list[Any]) -> list[str]:
    return [
        f"{sign} {_number(getattr(one, name))}"
        for one in metadata
        for name, sign in _BOUNDS.items()
        if isinstance(getattr(one, name, None), int | float)
    ]


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    return as_yaml(value)
