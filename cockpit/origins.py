"""Where a job came from and ran: code, packages, data. In words, and what of it differs between two jobs."""

import json
from typing import Any

from engines.recipe.data_files import Stamp
from engines.recipe.frozen import RECORD, environment_file
from engines.recipe.surroundings import differences
from store import results
from store.database import Database
from store.jobs import Job


def provenance_lines(database: Database, job: Job) -> list[tuple[str, str]]:
    """What `tunedeck show` says about it, as (label, text)."""
    origin = results.get_experiment(database, job.experiment_id).provenance
    lines = []
    if commit := origin.get("git_commit"):
        patch = ", with uncommitted changes" if origin.get("git_patch") else ""
        untracked = len(origin.get("git_untracked") or ())
        lines.append(("code", f"{commit[:12]}{patch}{f', {untracked} untracked files' if untracked else ''}"))
    if packages := origin.get("packages"):
        shown = ", ".join(f"{name} {version}" for name, version in packages.items())
        rest = f"; all of them: environments/{origin['environment']}.txt" if origin.get("environment") else ""
        lines.append(("packages", f"python {origin.get('python')}, {shown}{rest}"))
    machine = [part for part in (origin.get("platform"), _driver(origin)) if part]
    if machine:
        lines.append(("platform", ", ".join(machine)))
    here = environment_of(database, job)
    if here and (said := differences(_complete(database, origin), here)):
        lines.append(("ran with", ", ".join(said)))
    lines += [("data", f"{path}  {_short(stamp)}") for path, stamp in (origin.get("data") or {}).items()]
    return lines


def environment_of(database: Database, job: Job) -> dict[str, Any] | None:
    """The surroundings that the newest attempt's worker has noted; None where it has not got as far."""
    try:
        content = json.loads((database.run_dir(job.id) / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def origin_differences(database: Database, first: Job, second: Job) -> list[str]:
    """What differs between the code, the surroundings and the data of two jobs, in words."""
    if first.id == second.id:
        return []
    ours, theirs = (results.get_experiment(database, job.experiment_id).provenance for job in (first, second))
    said = []
    if ours.get("git_commit") != theirs.get("git_commit"):
        said.append(f"code {_commit(ours)} -> {_commit(theirs)}")
    elif ours.get("git_patch") != theirs.get("git_patch"):
        said.append("code: other uncommitted changes")
    said += differences(_ran_with(database, first, ours), _ran_with(database, second, theirs))
    old, new = ours.get("data") or {}, theirs.get("data") or {}
    said += [
        f"{path} {_short(old[path])} -> {_short(new[path])}"
        for path in sorted(old.keys() & new.keys())
        if (old[path] or {}).get("sha256") != (new[path] or {}).get("sha256")
    ]
    return said


def _ran_with(database: Database, job: Job, origin: dict[str, Any]) -> dict[str, Any]:
    """What its worker has noted, else what it was submitted with."""
    return environment_of(database, job) or _complete(database, origin)


def _complete(database: Database, origin: dict[str, Any]) -> dict[str, Any]:
    """With the list of packages that it names."""
    lines: list[str] = []
    if name := origin.get("environment"):
        path = environment_file(database.home, name)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return origin | {"packages": lines}


def _driver(origin: dict[str, Any]) -> str | None:
    return f"driver {origin['driver']}" if origin.get("driver") else None


def _commit(origin: dict[str, Any]) -> str:
    return str(origin.get("git_commit") or "outside of git")[:12]


def _short(stamp: Stamp | None) -> str:
    return "was not there" if stamp is None else f"sha256 {stamp['sha256'][:12]}, {stamp['size']} bytes"
