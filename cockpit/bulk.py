"""One wish for many jobs: what was granted, and what was refused of which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from store import wishes
from store.database import Database, StoreError
from store.jobs import Job, get_job
from store.reorder import LARGEST
from store.schema import Status

Act = Callable[[Database, int], Job]


@dataclass(frozen=True)
class Report:
    """`verb` is a participle: held, cancelled, queued again."""

    verb: str
    done: tuple[Job, ...]
    refused: tuple[tuple[int, str], ...]

    @property
    def gist(self) -> str:
        if len(self.done) == 1 and not self.refused:
            return f"job {self.done[0].id} {self.verb}"
        said = f"{len(self.done)} jobs {self.verb}"
        return f"{said}, {len(self.refused)} refused" if self.refused else said


def act_on(database: Database, ids: Sequence[int], act: Act, verb: str) -> Report:
    """Does it to each, and goes on where one is refused. A single job that is refused raises the StoreError itself."""
    done, refused = [], []
    for job_id in ids:
        try:
            done.append(act(database, job_id))
        except StoreError as error:
            if len(ids) == 1:
                raise
            refused.append((job_id, str(error)))
    return Report(verb, tuple(done), tuple(refused))


def cancelled_before_start(report: Report) -> list[int]:
    """Those of a cancel that an undo brings back."""
    return [
        job.id for job in report.done if job.status is Status.CANCELLED and job.reason == wishes.NEVER_STARTED
    ]


def hold(held: bool) -> Act:
    return lambda database, job_id: wishes.set_held(database, job_id, held)


def give_priority(priority: int) -> Act:
    return lambda database, job_id: wishes.set_priority(database, job_id, priority)


def change_priority(by: int) -> Act:
    """From what it is when it is changed: keys may come faster than the screen."""

    def act(database: Database, job_id: int) -> Job:
        wanted = get_job(database, job_id).priority + by
        return wishes.set_priority(database, job_id, max(min(wanted, LARGEST), -LARGEST))

    return act
