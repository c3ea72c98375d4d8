"""The schema of each engine, looked up by name, and all of them as one JSON Schema for editors."""

from importlib import import_module
from typing import Any, get_args

from engines.recipe.blocks import BaseRecipe, EngineName
from engines.recipe.errors import RecipeError
from engines.recipe.experiment import ExperimentBlock
from engines.recipe.wording import nearest

ENGINES: tuple[str, ...] = get_args(EngineName)


def recipe_class(engine: str) -> type[BaseRecipe]:
    """The schema of an engine. Imports that one engine's module, which is light."""
    schema: type[BaseRecipe] = import_module(f"engines.{engine}").Recipe
    return schema


def verbs_of(engine: str) -> dict[str, str]:
    """What an engine can do beside running jobs: where each command is, `module:function`. See `engines.verbs`."""
    return dict(getattr(import_module(f"engines.{engine}"), "VERBS", {}))


def find_verb(engine: str, verb: str) -> str:
    """Where a verb's command is. Raises RecipeError that lists what there is."""
    with_verbs = [name for name in ENGINES if verbs_of(name)]
    if engine not in with_verbs:
        what = "has no verbs" if engine in ENGINES else "does not exist"
        known = ", ".join(with_verbs) or "none"
        raise RecipeError(
            f"engine `{engine}` {what}; those with verbs are: {known}",
            hint=nearest(engine, with_verbs) or "`tunedeck engine` lists the verbs",
        )
    verbs = verbs_of(engine)
    if verb not in verbs:
        what = f"has no verb `{verb}`" if verb else "needs a verb"
        raise RecipeError(
            f"engine `{engine}` {what}; its verbs are: {', '.join(verbs)}",
            hint=nearest(verb, verbs) or "`tunedeck engine` lists the verbs",
        )
    return verbs[verb]


def recipe_schema() -> dict[str, Any]:
    """A draft 2020-12 schema for editors. The loader checks more: links between jobs, and rules across fields."""
    definitions: dict[str, Any] = {}
    bodies = []
    for engine in ENGINES:
        model = recipe_class(engine)
        body = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
        definitions |= body.pop("$defs", {})
        body["properties"] |= _graph_keys("model" in model.outputs)
        definitions[f"{engine}_job"] = body
        bodies.append({"$ref": f"#/$defs/{engine}_job"})
    # `defaults` and `matrix` supply fields too, so a body in a pipeline need not have all of its own.
    loose = {
        f"{engine}_body": {
            key: value for key, value in definitions[f"{engine}_job"].items() if key != "required"
        }
        for engine in ENGINES
    }
    definitions |= loose
    above = ExperimentBlock.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions |= above.pop("$defs", {})
    top = above["properties"]
    pipeline = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            **top,
            "defaults": {"type": "object"},
            "jobs": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in loose]},
            },
        },
        "required": ["jobs"],
        "additionalProperties": False,
    }
    for engine in ENGINES:
        definitions[f"{engine}_job"] = definitions[f"{engine}_job"] | {
            "properties": definitions[f"{engine}_job"]["properties"] | {"name": {"type": "string"}, **top}
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tunedeck recipe",
        "anyOf": [*bodies, pipeline],
        "$defs": definitions,
    }


def _graph_keys(trains_a_model: bool) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "needs": {"type": "array", "items": {"type": "string"}, "description": "Jobs to wait for."},
        "matrix": {
            "type": "object",
            "additionalProperties": {"type": "array", "minItems": 1},
            "description": "One job for every combination of these values; keys may be dotted.",
        },
    }
    if trains_a_model:
        keys["eval"] = {"type": ["boolean", "object"], "description": "Evaluate the model afterwards."}
    return keys
