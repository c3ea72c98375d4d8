"""What would make room, kind by kind, and making it. Both look at every run directory: never on the UI's thread."""

import time
from dataclasses import dataclass

from cockpit.figures import size_text
from store import paths
from store.database import Database
from store.pruning import prune
from store.retention import Victim, Wish, find_victims, size_of

OFFERED = (
    ("checkpoints", "checkpoints of succeeded jobs"),
    ("orphans", "run directories that belong to no job"),
    ("cache", "completions that can be made again"),
    ("databases", "databases that a rebuild has set aside"),
)
"""What may go without being chosen job by job; logs and models are for `tunedeck prune`, which asks which."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of the home's parts, and what each kind of pruning would free."""

    runs: int
    cache: int
    database: int
    plans: tuple["Plan", ...]


@dataclass(frozen=True)
class Plan:
    """A kind of things that may go; `stays` counts jobs that need theirs."""

    kind: str
    words: str
    victims: tuple[Victim, ...]
    stays: int

    @property
    def bytes(self) -> int:
        return sum(victim.bytes for victim in self.victims)

    @property
    def line(self) -> str:
        stays = f"; {self.stays} jobs need theirs" if self.stays else ""
        if not self.victims:
            return f"{self.words}: nothing{stays}"
        return f"{self.words}: {len(self.victims)}, {size_text(self.bytes)}{stays}"


def measure(database: Database) -> Sizes:
    home = database.home
    plans = []
    for kind, words in OFFERED:
        victims, spared = find_victims(database, Wish([kind]), time.time())
        plans.append(Plan(kind, words, tuple(victims), len(spared)))
    file = paths.database(home)
    in_base = sum(size_of(file.with_name(file.name + end)) for end in ("", "-wal"))
    return Sizes(size_of(paths.runs(home)), size_of(paths.cache(home)), in_base, tuple(plans))


def clean_up(database: Database, plan: Plan) -> str:
    """Takes away what was shown, less what a job needs by now. Returns what was done, in words."""
    done = prune(database, plan.victims)
    left = f"; {done.spared} left, as jobs need them by now" if done.spared else ""
    return f"{done.paths} pruned, {size_text(done.bytes)}{left}"
