"""Keys by name: every binding has an id, and `keymap.yaml` in the home directory may give it other keys.

queue.cancel: x
job.next-tab: tab,ctrl+n

An id is the place where the key works and what the help screen calls it; `tunedeck keys` lists them with their keys.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from textual.binding import Binding, BindingType

from engines.recipe.errors import RecipeError

KEYMAP_FILE = "keymap.yaml"
NAMED: dict[str, str] = {}
"""The keys of each id, of the screens and widgets that were imported."""

_PLACES = (
    "cockpit.app",
    "cockpit.screens.compare",
    "cockpit.screens.examples",
    "cockpit.screens.groups",
    "cockpit.screens.machine",
    "cockpit.screens.recipes",
    "cockpit.screens.report",
)
"""Modules that bring in everything that has keys."""


def named(place: str, *bindings: Binding) -> list[BindingType]:
    """The bindings with ids: `queue.cancel` for the one that is described as "Cancel" in the place `queue`."""
    found: list[BindingType] = []
    for binding in bindings:
        name = f"{place}.{binding.description.lower().replace(' ', '-')}"
        assert name not in NAMED or NAMED[name] == binding.key, f"two bindings are called {name}"
        NAMED[name] = binding.key
        found.append(replace(binding, id=name))
    return found


def all_keys() -> dict[str, str]:
    """The keys of every id there is."""
    for module in _PLACES:
        import_module(module)
    return dict(sorted(NAMED.items()))


def read_keymap(path: Path) -> dict[str, str]:
    """The file's keys by id; nothing where there is no file. RecipeError where it is wrong."""
    if not path.exists():
        return {}
    # They bring pydantic, which the first frame does not need.
    from engines.recipe.document import read_document
    from engines.recipe.wording import nearest

    known, chosen = all_keys(), read_document(path).data
    if not isinstance(chosen, dict):
        raise RecipeError(f"{path}: holds no mapping", hint="write lines like `queue.cancel: x`")
    for name, keys in chosen.items():
        if name not in known:
            hint = nearest(str(name), known) or "`tunedeck keys` lists them"
            raise RecipeError(f"{path}: {name}: there is no such key to name", hint=hint)
        if not isinstance(keys, str) or not all(part.strip() for part in keys.split(",")):
            raise RecipeError(
                f"{path}: {name}: `{keys}` is no key", hint="write keys like `x`, `ctrl+n` or `tab,right`"
            )
    if clash := _clash(known | chosen):
        raise RecipeError(f"{path}: {clash}", hint="give one of the two another key")
    return {str(name): keys.replace(" ", "") for name, keys in chosen.items()}


def _clash(keymap: dict[str, str]) -> str:
    """Two ids of one place, or of a place and the whole app, with one key; nothing where all is well."""
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, keys in keymap.items():
        for key in keys.split(","):
            owners[name.partition(".")[0], key.strip()].append(name)
    return next((_words(key, names) for (_, key), names in owners.items() if len(names) > 1), "")


def _words(key: str, names: Sequence[str]) -> str:
    return f"key `{key}` is given to {' and '.join(names)}"
