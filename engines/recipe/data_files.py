"""The data files that a recipe names: their hashes are taken when it is submitted and compared when its worker starts.

A file that is as long and as old as it was is not read again. One that was not there at submission (another job may
make it) is not compared; neither is what comes from the hub, whose content the run's record hashes by itself.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engines.recipe.blocks import BaseRecipe, Block
from engines.recipe.errors import RecipeError

MOST_FILES = 10_000
"""Of one directory; behind these nothing is looked at."""
SUFFIXES = {".json", ".jsonl", ".parquet", ".arrow", ".csv", ".txt", ".gz"}
"""Of files in a directory that count as data."""
_BLOCK = 1 << 20

Stamp = dict[str, Any]
"""{"sha256", "size", "mtime_ns"} of one file."""
Hashes = dict[str, Stamp | None]
"""By absolute path; None: it was not there."""


def named_files(recipe: Block) -> Iterator[str]:
    """What a recipe names in fields of data files, as it is written there; files and directories."""
    if getattr(recipe, "from_", None) is None:
        for field in type(recipe).data_files:
            value = getattr(recipe, field)
            if isinstance(value, str):
                yield value
            elif isinstance(value, dict):
                yield from value.values()
    for name in type(recipe).model_fields:
        value = getattr(recipe, name)
        if isinstance(value, Block):
            yield from named_files(value)


def hash_files(
    recipes: Iterable[Block], directory: Path, known: Mapping[str, Stamp | None] | None = None
) -> Hashes:
    """The hashes of what recipes name; relative paths begin at `directory`. `known` saves reading what has not changed."""
    paths = {path for recipe in recipes for name in named_files(recipe) for path in _files(name, directory)}
    return {str(path): stamp_of(path, (known or {}).get(str(path))) for path in sorted(paths)}


def stamp_of(path: Path, known: Stamp | None = None) -> Stamp | None:
    """A file's hash, length and age; None where there is no file that can be read."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            stamp = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
            if known is not None and stamp.items() <= known.items():
                return known
            digest = hashlib.sha256()
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return None
    return {"sha256": digest.hexdigest(), **stamp}


def check_files(
    recipe: BaseRecipe, directory: Path, submitted: Mapping[str, Stamp | None], say: Callable[[str], None]
) -> None:
    """Holds what a recipe names against what it was when it was submitted.

    Raises RecipeError where it has changed; with `data_may_change`, says so through `say` instead.
    """
    now = hash_files([recipe], directory, submitted)
    changed = [
        f"{path} {_change(before, now.get(path))}"
        for path, before in submitted.items()
        if before is not None and _is_named(path, recipe, directory) and _differs(before, now.get(path))
    ]
    absent = [path for path, before in submitted.items() if before is None]
    added = [
        path
        for path, stamp in now.items()
        if stamp and path not in submitted and not any(Path(path).is_relative_to(one) for one in absent)
    ]
    changed += [f"{path} was added" for path in added]
    if not changed:
        return
    shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
    if recipe.data_may_change:
        say(f"data is not what it was at submission: {shown}")
        return
    raise RecipeError(
        f"data is not what it was at submission: {shown}",
        hint="submit the recipe again to train on what is there now, or set `data_may_change: true`",
    )


def _files(name: str, directory: Path) -> Iterator[Path]:
    path = Path(directory, Path(name).expanduser())
    if path.is_dir():
        found = (entry for entry in sorted(path.rglob("*")) if entry.suffix in SUFFIXES and entry.is_file())
        yield from (entry for entry, _ in zip(found, range(MOST_FILES), strict=False))
    else:
        yield path


def _is_named(path: str, recipe: Block, directory: Path) -> bool:
    named = (Path(directory, Path(name).expanduser()) for name in named_files(recipe))
    return any(Path(path).is_relative_to(one) for one in named)


def _differs(before: Stamp, now: Stamp | None) -> bool:
    return now is None or now["sha256"] != before["sha256"]


def _change(before: Stamp, now: Stamp | None) -> str:
    if now is None:
        return "is gone"
    sizes = f" ({before['size']} bytes then, {now['size']} now)" if before["size"] != now["size"] else ""
    return f"has changed{sizes}"
