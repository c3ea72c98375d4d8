"""Another place in the queue for a waiting job: before or behind a neighbour, at the top, at the end.

The order is priority, then age; there is nothing else to remember. So a move changes priorities, of as few jobs as it
takes: of the moved one alone where there is room between its new neighbours, else also of those that are tied with them,
above or below, whichever are fewer. All others keep their order.
"""

import time
from collections.abc import Sequence
from typing import Literal

from sqlalchemy import Connection, select

from store.database import Database, StoreError
from store.jobs import read_job
from store.moves import log_transition
from store.schema import WAITING, Status, jobs

Where = Literal["up", "down", "top", "end"]
Place = tuple[int, int]
"""A job's id and its priority."""

MOST_CHANGES = 500
LARGEST = 1000
"""Priorities reach from minus that to that."""


def move_job(database: Database, job_id: int, where: Where) -> str:
    """Moves a waiting job by one place, to the top or to the end. Returns what that took, in words."""
    with database.write() as connection:
        job = read_job(connection, job_id)
        if job.status not in WAITING:
            raise StoreError(
                f"job {job_id}: is {job.status}; only a queued or blocked job has a place in the queue"
            )
        order = [(row.id, row.priority) for row in connection.execute(_WAITING_JOBS)]
        old = [place[0] for place in order].index(job_id)
        new = {"up": max(old - 1, 0), "down": min(old + 1, len(order) - 1), "top": 0, "end": len(order) - 1}[
            where
        ]
        if new == old:
            return f"job {job_id} is {'first' if new == 0 else 'last'} already"
        moved = order.pop(old)
        order.insert(new, moved)
        changes = new_priorities(order, new)
        _check(job_id, changes)
        _apply(connection, changes)
    others = len(changes.keys() - {job_id})
    also = f"; {others} other{'s' * (others != 1)} had to change priority with it" if others else ""
    return f"job {job_id} is number {new + 1} of {len(order)}{also}"


def new_priorities(order: Sequence[Place], moved: int) -> dict[int, int]:
    """The priorities that make the jobs run in this order, of those that need another one.

    `order` has been in order but for the job in the place `moved`.
    """
    upward, downward = _settle(order, moved, -1), _settle(order, moved, 1)
    return min((upward, downward), key=len)


def _settle(order: Sequence[Place], moved: int, step: int) -> dict[int, int]:
    """Puts the job beside its neighbour on one side, and pushes those on the other side on until they are in order."""
    fixed = dict(order)
    changes: dict[int, int] = {}
    job_id = order[moved][0]
    behind = moved - step
    if 0 <= behind < len(order):
        fixed[job_id] = changes[job_id] = _next_to(fixed, order[behind][0], job_id, step)
    place = moved
    while 0 <= place + step < len(order):
        near, far = order[place][0], order[place + step][0]
        least = _next_to(fixed, near, far, step)
        if (fixed[far] >= least) if step < 0 else (fixed[far] <= least):
            break
        fixed[far] = changes[far] = least
        place += step
    old = dict(order)
    return {job_id: priority for job_id, priority in changes.items() if priority != old[job_id]}


def _next_to(fixed: dict[int, int], near: int, far: int, step: int) -> int:
    """The priority nearest to that of `near` with which `far` comes before it (step -1), or after it (1)."""
    tie_is_right = far < near if step < 0 else far > near
    return fixed[near] - (0 if tie_is_right else step)


def _check(job_id: int, changes: dict[int, int]) -> None:
    if len(changes) > MOST_CHANGES:
        raise StoreError(
            f"job {job_id}: {len(changes)} jobs would need another priority for that\n"
            "hint: move it to the top or to the end, or give it a priority"
        )
    if any(abs(priority) > LARGEST for priority in changes.values()):
        raise StoreError(
            f"job {job_id}: its priority would be beyond {LARGEST}\n"
            "hint: `tunedeck priority` gives the jobs at that end smaller ones"
        )


def _apply(connection: Connection, changes: dict[int, int]) -> None:
    query = select(jobs.c.id, jobs.c.status, jobs.c.attempt).where(jobs.c.id.in_(changes))
    now = time.time()
    for row in connection.execute(query).all():
        priority = changes[row.id]
        connection.execute(jobs.update().where(jobs.c.id == row.id).values(priority=priority))
        status = Status(row.status)
        log_transition(connection, row.id, status, status, row.attempt, f"priority {priority}", now)


_WAITING_JOBS = (
    select(jobs.c.id, jobs.c.priority)
    .where(jobs.c.status.in_(WAITING))
    .order_by(jobs.c.priority.desc(), jobs.c.id)
)
