"""The recipes that come with Tunedeck: beside the code in a checkout, inside the package in a wheel."""

from pathlib import Path

from engines.recipe.errors import RecipeError

_PACKAGE = Path(__file__).parent
_FOLDER = next(
    (folder for folder in (_PACKAGE / "recipes", _PACKAGE.parent / "recipes") if folder.is_dir()),
    _PACKAGE / "recipes",
)


def bundled_recipes() -> dict[str, Path]:
    """Every bundled recipe by its name: the path below `recipes/` without `.yaml`."""
    return {
        str(path.relative_to(_FOLDER).with_suffix("")): path
        for path in sorted(_FOLDER.rglob("*.yaml"), key=lambda path: (len(path.parts), path))
    }


def describe(path: Path) -> str:
    """The first comment line of a recipe, which says what it is."""
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline()
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def find_recipe(name: str) -> Path:
    """A file of that name, else the bundled recipe."""
    if Path(name).exists():
        return Path(name)
    bundled = bundled_recipes()
    found = bundled.get(name.removesuffix(".yaml").removeprefix("recipes/"))
    if found is None:
        known = ", ".join(recipe for recipe in bundled if not recipe.startswith("smoke/"))
        raise RecipeError(
            f"{name}: there is no such file, nor a recipe of that name", hint=f"the recipes are: {known}"
        )
    return found
