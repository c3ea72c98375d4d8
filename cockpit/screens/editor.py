"""Hands the terminal to the person's editor, on a copy of a recipe, and says what came of it."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from cockpit.recipe_edits import copy_for_editing, problem_of


def editor_of(environ: Mapping[str, str]) -> list[str]:
    """The command of `$VISUAL`, else of `$EDITOR`, else vi."""
    return shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi")


def edit(
    app: App[Any], path: Path, folder: Path, environ: Mapping[str, str] = os.environ
) -> tuple[Path, str]:
    """Edits a copy of a recipe in `folder`, or the file itself where it is there. Returns the file, and what to say.

    A copy in which nothing was changed is removed again.
    """
    try:
        command = editor_of(environ)
        target = copy_for_editing(path, folder)
    except (OSError, ValueError) as error:
        return path, f"it cannot be edited: {error}"
    before = target.read_bytes()
    problem = _run(app, [*command, str(target)])
    if target.exists() and target.read_bytes() == before:
        if target != path:
            target.unlink()
        return path, problem or "nothing was changed"
    if problem or not target.exists():
        return target if target.exists() else path, problem or "the file is gone"
    wrong, count = problem_of(target, [])
    return target, wrong or f"{target}: {count} job{'s' * (count != 1)}, no mistakes found"


def _run(app: App[Any], command: list[str]) -> str:
    """What went wrong, or nothing."""
    try:
        with app.suspend():
            done = subprocess.run(command)
    except SuspendNotSupported:
        return "this terminal cannot be handed to an editor"
    except OSError as error:
        return f"{command[0]}: {error.strerror}; set $VISUAL or $EDITOR"
    return f"{command[0]} ended with {done.returncode}" if done.returncode else ""
