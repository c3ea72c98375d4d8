"""Themes of one's own: `themes/NAME.yaml` in the home directory, with Textual's names for the colours.

primary: "#56b4e9"
background: black
dark: true
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

from engines.recipe.errors import RecipeError

FOLDER = "themes"
_COLOURS = sorted(
    field.name
    for field in fields(Theme)
    if field.name not in ("name", "dark", "variables", "luminosity_spread", "text_alpha")
)


def read_themes(home: Path) -> list[Theme]:
    """The themes of a home directory, by name. RecipeError where one is wrong."""
    return [_theme(path) for path in sorted((home / FOLDER).glob("*.yaml"))]


def _theme(path: Path) -> Theme:
    # They bring pydantic, which the first frame does not need.
    from engines.recipe.document import read_document
    from engines.recipe.wording import nearest

    values: Any = read_document(path).data
    if not isinstance(values, dict) or "primary" not in values:
        raise RecipeError(f"{path}: names no `primary` colour", hint='write lines like `primary: "#56b4e9"`')
    for name, value in values.items():
        if name == "dark" and isinstance(value, bool):
            continue
        if name not in _COLOURS:
            allowed = ", ".join([*_COLOURS, "dark"])
            raise RecipeError(
                f"{path}: {name}: unknown key; allowed: {allowed}", hint=nearest(str(name), _COLOURS)
            )
        try:
            Color.parse(str(value))
        except ColorParseError as error:
            raise RecipeError(
                f"{path}: {name}: `{value}` is no colour", hint='write one like "#56b4e9" or `darkblue`'
            ) from error
    return Theme(name=path.stem, **values)
