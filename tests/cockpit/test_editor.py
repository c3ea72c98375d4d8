"""An editor on a copy of a recipe, and what comes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cockpit.screens.editor import edit, editor_of


class Terminal:
    """The part of an app that hands its terminal over."""

    @contextmanager
    def suspend(self) -> Iterator[None]:
        yield


APP: Any = Terminal()
RECIPE = "engine: command\nargv: [echo, a]\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "say.yaml"
    path.write_text(RECIPE)
    return path


def test_visual_goes_before_editor_and_both_may_have_arguments() -> None:
    assert editor_of({"VISUAL": "code --wait", "EDITOR": "nano"}) == ["code", "--wait"]
    assert editor_of({"EDITOR": "'/my tools/ed'"}) == ["/my tools/ed"]
    assert editor_of({}) == ["vi"]


def test_a_changed_copy_stays_and_is_checked(recipe: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    edited, said = edit(APP, recipe, own, {"EDITOR": "sed -i s/echo/true/"})

    assert edited == own / "say.yaml"
    assert said.endswith("say.yaml: 1 job, no mistakes found")
    assert (recipe.read_text(), edited.read_text()) == (RECIPE, RECIPE.replace("echo", "true"))
    again, said = edit(APP, edited, own, {"EDITOR": "sed -i s/argv/arg/"})
    assert again == edited
    assert "arg: unknown key" in said


@pytest.mark.parametrize(
    ("editor", "said"),
    [
        ("true", "nothing was changed"),
        ("false", "false ended with 1"),
        ("/no/such/editor", "/no/such/editor: No such file or directory; set $VISUAL or $EDITOR"),
        ("'unclosed", "it cannot be edited: No closing quotation"),
    ],
)
def test_an_unchanged_copy_is_removed_and_the_reason_told(
    recipe: Path, tmp_path: Path, editor: str, said: str
) -> None:
    assert edit(APP, recipe, tmp_path / "own", {"EDITOR": editor}) == (recipe, said)
    assert list((tmp_path / "own").glob("*")) == []
