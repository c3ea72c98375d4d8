"""What may be taken out of a home directory to make room, and what still needs it.

Never offered: anything of a job that waits or runs, or that such a job starts from; the records that a damaged database
is rebuilt from; metrics, scores, grades and completions, which comparing, reporting and grading again read. Models are
offered only where they are asked for, and not while another model that stays was made from them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from store import jobs, paths
from store.database import Database
from store.jobs import Job
from store.links import all_links
from store.schema import ACTIVE, WAITING, Status

BULK = {
    "checkpoints": ("checkpoints",),
    "runs": ("checkpoints", "debug", "policy", "*.log"),
    "models": ("model", "exports"),
}
"""What a kind takes from a run directory and from its parts' directories, by name."""
KINDS = (*BULK, "orphans", "cache", "databases")
TRASH = ".pruned"
"""How names begin of what is on its way out; what a killed prune has left under them goes with the next."""


@dataclass(frozen=True)
class Victim:
    """Something that would go."""

    kind: str
    path: Path
    bytes: int
    job_id: int | None = None


@dataclass(frozen=True)
class Spared:
    """A job of which something was asked for that has to stay, and why."""

    job_id: int
    kind: str
    why: str


@dataclass(frozen=True)
class Wish:
    """What somebody wants to be rid of. Ages in seconds, counted from a job's end or a file's last use."""

    kinds: Sequence[str]
    older_than: float = 0.0
    job_ids: frozenset[int] | None = None
    """Only of these jobs; None: of all."""


def find_victims(database: Database, wish: Wish, now: float) -> tuple[list[Victim], list[Spared]]:
    """What a wish would take, and what it may not take."""
    victims, spared = [], []
    everything = jobs.list_jobs(database)
    links = all_links(database)
    needed = _needed(database, [job for job in everything if not job.is_final], links)
    for kind in (kind for kind in BULK if kind in wish.kinds):
        chosen = [job for job in everything if _is_meant(job, kind, wish, now)]
        kept = dict(needed)
        if kind == "models":
            _add_ancestors(database, links, {job.id for job in chosen}, kept)
        for job in chosen:
            found = list(_bulk(database.run_dir(job.id), BULK[kind]))
            if found and job.id in kept:
                spared.append(Spared(job.id, kind, kept[job.id]))
            elif found:
                victims += [Victim(kind, path, size_of(path), job.id) for path in found]
    if wish.job_ids is None:
        victims += list(_of_the_home(database, wish, {job.id for job in everything}, now))
    # A checkpoint that two kinds take is taken, and counted, once.
    return list({victim.path: victim for victim in victims}.values()), spared


def why_needed(database: Database, job_id: int) -> str | None:
    """Why nothing of a job may go at this moment; None when it may."""
    unfinished = jobs.list_jobs(database, statuses=(*WAITING, *ACTIVE))
    return _needed(database, unfinished, all_links(database, job_id)).get(job_id)


def size_of(path: Path) -> int:
    """Bytes of a file or of all files below a directory; links count as nothing."""
    try:
        if path.is_symlink():
            return 0
        if path.is_dir():
            return sum(size_of(entry) for entry in path.iterdir())
        return path.stat().st_size
    except OSError:
        return 0  # gone in the meantime


def _is_meant(job: Job, kind: str, wish: Wish, now: float) -> bool:
    if wish.job_ids is not None and job.id not in wish.job_ids:
        return False
    ended = job.status is Status.SUCCEEDED if kind == "checkpoints" else job.is_final
    # One that never started has nothing; without an end there is no age.
    return ended and now - (job.ended_at or now) >= wish.older_than


def _needed(
    database: Database, unfinished: Sequence[Job], links: Sequence[tuple[int, int]]
) -> dict[int, str]:
    """The jobs that must stay as they are, and why."""
    needed = {job.id: f"it is {job.status}" for job in unfinished}
    waits = {job.id: job.status for job in unfinished}
    for dependent, source in links:
        if dependent in waits:
            needed.setdefault(source, f"job {dependent}, which is {waits[dependent]}, starts from it")
    inside = re.compile(re.escape(f"{paths.runs(database.home)}/") + r"(\d+)/")
    for job in unfinished:
        for number in inside.findall(json.dumps(job.recipe, ensure_ascii=False)):
            needed.setdefault(int(number), f"job {job.id}, which is {job.status}, names its run directory")
    return needed


def _add_ancestors(
    database: Database, links: Sequence[tuple[int, int]], going: set[int], needed: dict[int, str]
) -> None:
    """An adapter is nothing without the model below it: what a model that stays was made from stays too."""
    changed = True
    while changed:
        changed = False
        for dependent, source in links:
            stays = dependent in needed or dependent not in going
            if stays and source not in needed and (database.run_dir(dependent) / "model").is_dir():
                needed[source] = f"the model of job {dependent} was made from it, and stays"
                changed = True


def _bulk(run_dir: Path, names: Sequence[str]) -> Iterator[Path]:
    """Entries of these names in a run directory and in the directories of its parts, outermost only."""
    if not run_dir.is_dir():
        return
    for entry in sorted(run_dir.iterdir()):
        if any(entry.match(name) for name in names):
            yield entry
        elif entry.is_dir() and not entry.is_symlink() and not entry.name.startswith(TRASH):
            yield from (part for name in names for part in sorted(entry.glob(name)))
    yield from sorted(run_dir.glob(f"{TRASH}*"))


def _of_the_home(database: Database, wish: Wish, known: set[int], now: float) -> Iterator[Victim]:
    """What belongs to no job. Leftovers of a killed prune go with any wish."""
    home = database.home
    yield from _victims("leftovers", paths.runs(home).glob(f"{TRASH}*"))
    if "orphans" in wish.kinds:
        found = (path for path in paths.runs(home).glob("[0-9]*") if path.name.isdigit())
        # The directories were listed after the jobs: a new job would look like an orphan, so they are asked for again.
        new = {job.id for job in jobs.list_jobs(database)} if (orphans := list(found)) else set()
        left = [path for path in orphans if int(path.name) not in known | new]
        yield from _victims("orphans", (path for path in left if _age(path, now) >= wish.older_than))
    if "cache" in wish.kinds:
        files = (path for path in paths.cache(home).rglob("*") if path.is_file())
        yield from _victims("cache", (path for path in files if _age(path, now) >= wish.older_than))
    if "databases" in wish.kinds:
        name = paths.database(home).name
        aside = [path for how in ("corrupt", "replaced") for path in home.glob(f"{name}.{how}-*")]
        yield from _victims("databases", (path for path in aside if _age(path, now) >= wish.older_than))


def _victims(kind: str, found: Iterable[Path]) -> Iterator[Victim]:
    for path in sorted(found):
        yield Victim(kind, path, size_of(path))


def _age(path: Path, now: float) -> float:
    """Seconds since somebody wrote or, where the file system notes it, read a file."""
    try:
        status = path.lstat()
    except OSError:
        return 0.0
    return now - max(status.st_mtime, status.st_atime if path.is_file() else 0.0)
