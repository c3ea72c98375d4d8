"""What sets two models apart beside their scores: recipes, of them and of the jobs they come from, code, packages, data."""

import difflib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cockpit.origins import origin_differences
from store import jobs, results
from store.database import Database
from store.jobs import Job

MOST_PATCH_LINES = 400
"""Of the difference between two sets of uncommitted changes."""

_GIT_SECONDS = 5.0


@dataclass(frozen=True)
class Change:
    """A dotted key of two recipes; `absent` where one has none."""

    key: str
    before: str
    after: str


@dataclass(frozen=True)
class Section:
    """Two jobs that play the same part in the making of two models."""

    title: str
    changes: list[Change] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    """What differs in code, packages and data, in words."""
    patch: list[str] = field(default_factory=list)
    """How the uncommitted changes differ, as lines of a diff; and what git says of two commits."""

    @property
    def is_empty(self) -> bool:
        return not (self.changes or self.origins or self.patch)


def job_differences(database: Database, first: Job, second: Job) -> list[Section]:
    """A section for the two jobs, then one for each pair of jobs that their models, traces, ... come from."""
    return list(_pairs(database, "", first, second, set()))


def _pairs(
    database: Database, part: str, first: Job, second: Job, seen: set[tuple[int, int]]
) -> Iterator[Section]:
    if first.id == second.id or (first.id, second.id) in seen:
        return
    seen.add((first.id, second.id))
    said, patch = origin_differences(database, first, second), _code(database, first, second)
    title = f"{part or 'the evaluations'}: job {first.id} ({first.name}) and job {second.id} ({second.name})"
    yield Section(title, recipe_changes(first.recipe, second.recipe), said, patch)
    ours, theirs = sources_of(database, first), sources_of(database, second)
    for role in dict.fromkeys([*ours, *theirs]):
        if role in ours and role in theirs:
            yield from _pairs(
                database, f"{part}{' <- ' if part else ''}{role}", ours[role], theirs[role], seen
            )
        else:
            has, of = ("the first", ours) if role in ours else ("the second", theirs)
            made = of[role]
            yield Section(
                f"{role}: only {has} takes it from another job, {made.id} ({made.name}, {made.engine})"
            )


def recipe_changes(first: dict[str, Any], second: dict[str, Any]) -> list[Change]:
    """The dotted keys that differ, sorted."""
    ours, theirs = dict(_flat(first)), dict(_flat(second))
    return [
        Change(key, ours.get(key, "absent"), theirs.get(key, "absent"))
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]


def _flat(value: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _flat(inner, f"{above}{key}.")
        else:
            yield f"{above}{key}", "null" if inner is None else str(inner)


def sources_of(database: Database, job: Job) -> dict[str, Job]:
    """The jobs whose output goes into this one, by the key of the recipe that takes it: `model`, `traces`."""
    by_alias = {alias: needed for needed, alias in jobs.needs_of(database, job.id) if alias is not None}
    taken = ((key.removesuffix(".from"), told) for key, told in _flat(job.recipe) if key.endswith(".from"))
    return {key: by_alias[told] for key, told in taken if told in by_alias}


def _code(database: Database, first: Job, second: Job) -> list[str]:
    """What git knows of two commits, and how their uncommitted changes differ."""
    if first.experiment_id == second.experiment_id:
        return []
    ours, theirs = (results.get_experiment(database, job.experiment_id).provenance for job in (first, second))
    commits = [str(one.get("git_commit") or "") for one in (ours, theirs)]
    lines = (
        _stat(Path(str(theirs.get("cwd") or "")), *commits)
        if all(map(str.isalnum, commits)) and len(set(commits)) > 1
        else []
    )
    old, new = (str(one.get("git_patch") or "").splitlines() for one in (ours, theirs))
    if old == new:
        return lines
    found = list(difflib.unified_diff(old, new, "uncommitted changes, first", "second", lineterm="", n=1))
    more = len(found) - MOST_PATCH_LINES
    return [*lines, *found[:MOST_PATCH_LINES], *([f"... and {more} more lines"] if more > 0 else [])]


def _stat(directory: Path, first: str, second: str) -> list[str]:
    """`git diff --stat` where the submission came from; nothing where that is gone or does not know the commits."""
    command = [
        "git",
        "--no-optional-locks",
        "diff",
        "--no-ext-diff",
        "--no-textconv",
        "--stat",
        first,
        second,
        "--",
    ]
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, timeout=_GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.decode("utf-8", "replace").splitlines()
