"""A sweep whose jobs fail one after the other is held: what is wrong with the first is wrong with the hundredth."""

import time

from sqlalchemy import Connection, func, select

from store.moves import log_transition
from store.schema import WAITING, Status, experiments, jobs


def hold_after_failures(connection: Connection, experiment_id: int) -> None:
    """Holds the waiting jobs of an experiment once as many have failed, as fast, as its recipe says.

    After that the count begins anew, so that a release means one more chance.
    """
    query = select(experiments.c.hold_after, experiments.c.failures_since)
    rule, since = connection.execute(query.where(experiments.c.id == experiment_id)).one()
    if not rule:
        return
    fast = jobs.c.ended_at - jobs.c.started_at <= rule["seconds"]
    failed = (
        select(func.count())
        .select_from(jobs)
        .where(jobs.c.experiment_id == experiment_id, jobs.c.status == Status.FAILED, fast)
        .where(jobs.c.ended_at > (since or 0.0))
    )
    count, now = connection.execute(failed).scalar_one(), time.time()
    if count < rule["failures"]:
        return
    reason = f"held: {count} jobs of its experiment failed within {rule['seconds']:g} s each"
    waiting = select(jobs.c.id, jobs.c.status, jobs.c.attempt).where(
        jobs.c.experiment_id == experiment_id, jobs.c.status.in_(WAITING), ~jobs.c.held
    )
    for row in connection.execute(waiting).all():
        connection.execute(jobs.update().where(jobs.c.id == row.id).values(held=True, reason=reason))
        log_transition(connection, row.id, row.status, row.status, row.attempt, reason, now)
    connection.execute(
        experiments.update().where(experiments.c.id == experiment_id).values(failures_since=now)
    )
