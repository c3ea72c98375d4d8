"""pydantic's findings in words for the person who wrote the recipe."""

import difflib
from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint with the known word that is most like this one, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def explain(schema: type[BaseModel], detail: ErrorDetails) -> tuple[str, str]:
    """What is wrong with one value and what is allowed; and a hint, where there is one."""
    *parents, last = detail["loc"] or ("",)
    if detail["type"] == "extra_forbidden":
        known = sorted(_keys_at(schema, parents))
        return f"unknown key; allowed: {', '.join(known)}", nearest(str(last), known)
    if detail["type"] == "missing":
        return "is required", ""
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    given = detail["input"]
    if isinstance(given, str | int | float | bool) or given is None:
        message += f" (it is {_shown(given)})"
    expected = str(detail.get("ctx", {}).get("expected", ""))
    choices = [word.strip("' ") for word in expected.replace(" or ", ",").split(",")]
    return message, nearest(str(given), choices) if detail["type"] == "literal_error" else ""


def _shown(value: Any) -> str:
    text = "empty" if value is None else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _keys_at(schema: type[BaseModel], location: Iterable[Any]) -> set[str]:
    """The keys that the block at this place accepts, under the names that recipes use."""
    model = schema
    for part in location:
        field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            continue  # a list index or the arm of a union
        model = inner
    return {field.alias or name for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, Annotated, list, tuple, dict):
        return next((model for arm in get_args(annotation) if (model := _model_in(arm))), None)
    return None
