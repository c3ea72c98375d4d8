"""The fields of every engine, as a form shows them."""

import pytest

from engines.recipe.document import parse_value
from engines.recipe.fields import as_yaml, fields_of
from engines.recipe.schemas import ENGINES, recipe_class


@pytest.mark.parametrize("engine", ENGINES)
def test_every_field_has_a_type_and_help_and_a_default_that_reads_back(engine: str) -> None:
    fields = list(fields_of(recipe_class(engine)))

    assert len({field.key for field in fields}) == len(fields) > 15
    assert not [field.key for field in fields if field.kind in ("", "value")]
    assert [field.key for field in fields if not field.help] == []
    for field in fields:
        assert field.default == "required" or as_yaml(parse_value(field.default)) == field.default


def test_types_and_bounds_are_in_words() -> None:
    fields = {field.key: field for field in fields_of(recipe_class("sft"))}

    assert fields["seed"].kind == "integer >= 0 < 2147483648"
    assert fields["device"].kind == "auto | cpu | cuda"
    assert fields["lora.r"].help == "Rank of the update matrices."
    assert fields["task.name"].default == "required"
    assert fields["model.from"].kind == "text | null"


@pytest.mark.parametrize(
    "value", ["word", "1e5", "true", "", "a: b", "two\nlines", 3, 1e-5, None, [1, "x"], {"a": [True]}]
)
def test_a_value_in_a_line_is_read_back_as_it_was(value: object) -> None:
    text = as_yaml(value)

    assert "\n" not in text
    assert parse_value(text) == value
