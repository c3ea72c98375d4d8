"""A recipe as a form: values as they stand, changes, and copies."""

from pathlib import Path

import pytest

from cockpit.recipe_edits import copy_changed, copy_for_editing, form_rows, jobs_of_recipe, problem_of
from engines.recipe.errors import RecipeError
from engines.recipe.expand import load_recipe

RECIPE = """\
# A sweep
defaults: {seed: 7}
jobs:
  train:
    engine: sft
    model: {base: pocket}
    task: pocket-math
    matrix: {learning_rate: [0.1, 0.2], model.dtype: [float32, auto]}
  say: {engine: command, argv: [echo, hi]}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(RECIPE)
    return path


def test_rows_have_what_the_recipe_says_from_wherever_it_says_it(recipe: Path) -> None:
    rows = {row.field.key: row for row in form_rows(recipe, "train", ["jobs.train.lora.r=4"])}

    assert jobs_of_recipe(recipe) == ["train", "say"]
    assert (rows["seed"].value, rows["seed"].is_set, rows["seed"].target) == ("7", True, "jobs.train.seed")
    assert (rows["task.name"].value, rows["lora.r"].value) == ("pocket-math", "4")
    assert (rows["max_length"].value, rows["max_length"].is_set) == ("1024", False)
    sweep = rows["learning_rate"]
    assert (sweep.value, sweep.target, sweep.in_matrix) == (
        "[0.1, 0.2]",
        "jobs.train.matrix.learning_rate",
        True,
    )
    assert rows["model.dtype"].target is None  # a dotted key of a matrix has no `--set`
    assert [row.is_set for row in form_rows(recipe, "say", [])][:2] == [True, True]


def test_changes_are_checked_in_the_words_of_the_loader_and_written_to_a_new_file(recipe: Path) -> None:
    changes = ["jobs.train.matrix.learning_rate=[0.3]", "jobs.say.argv=[echo, bye]"]
    wrong, _ = problem_of(recipe, ["jobs.train.max_length=3"])

    assert "jobs.train.max_length: should be greater than or equal to 8 (it is 3)" in wrong
    assert problem_of(recipe, changes) == ("", 3)
    first, second = (copy_changed(recipe, changes, recipe.parent / "own") for _ in range(2))
    assert (first.name, second.name) == ("sweep.yaml", "sweep-2.yaml")
    assert first.read_text().startswith("# A sweep\n")
    assert load_recipe(first).jobs == load_recipe(recipe, changes).jobs
    assert recipe.read_text() == RECIPE


def test_what_is_ones_own_is_edited_in_place_and_anything_else_as_a_copy(recipe: Path) -> None:
    own = recipe.parent / "own"
    copied = copy_for_editing(recipe, own)

    assert (copied.parent, copied.read_text()) == (own, RECIPE)
    assert copy_for_editing(copied, own) == copied


def test_a_file_that_names_no_engine_has_no_form(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("jobs: {a: {argv: [x]}}")

    with pytest.raises(RecipeError, match="names no engine"):
        form_rows(tmp_path / "x.yaml", "a", [])
