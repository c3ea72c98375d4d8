"""The GPUs of the machine: who holds each, and how busy it has been lately."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from store.database import Database
from store.machine import get_daemon, reservations
from store.metrics import OBSERVED
from store.schema import attempts, jobs, series


@dataclass(frozen=True)
class Holder:
    """A job on a card, and its bytes of it (None: all of them)."""

    job_id: int
    name: str
    memory_bytes: int | None


@dataclass(frozen=True)
class Lane:
    """A card. `util` in percent and `memory` in GiB are the newest samples, oldest first; empty where nothing is known."""

    uuid: str
    name: str
    memory_bytes: int | None
    blocked: str | None
    holders: tuple[Holder, ...]
    util: tuple[float, ...] = ()
    memory: tuple[float, ...] = ()


def read_lanes(database: Database, samples: int) -> list[Lane]:
    """Every card that the daemon knows, with up to so many samples of it, in the daemon's order."""
    daemon = get_daemon(database)
    if daemon is None or not daemon.gpus:
        return []
    held = reservations(database)
    ids = sorted({owner.job_id for owners in held.values() for owner in owners})
    found = []
    with database.read() as connection:
        known = {row.id: row for row in connection.execute(_HOLDERS.where(jobs.c.id.in_(ids)))}
        for gpu in daemon.gpus:
            uuid = str(gpu.get("uuid"))
            owners = [owner for owner in held.get(uuid, []) if owner.job_id in known]
            holders = tuple(Holder(o.job_id, known[o.job_id].name, o.memory_bytes) for o in owners)
            util: tuple[float, ...] = ()
            memory: tuple[float, ...] = ()
            # Samples belong to a job and count its cards; all jobs on a card see the same.
            if owners and uuid in known[owners[0].job_id].devices:
                number = known[owners[0].job_id].devices.index(uuid)
                key = (owners[0].job_id, f"{OBSERVED}{number}/")
                util, memory = (
                    _newest(connection, *key, "util", samples),
                    _newest(connection, *key, "memory", samples),
                )
            found.append(
                Lane(
                    uuid,
                    str(gpu.get("name")),
                    gpu.get("memory_bytes"),
                    gpu.get("blocked"),
                    holders,
                    util,
                    memory,
                )
            )
    return found


def _newest(connection: Connection, job_id: int, prefix: str, name: str, samples: int) -> tuple[float, ...]:
    row = connection.execute(
        select(series.c.id, series.c.length).where(series.c.job_id == job_id, series.c.name == prefix + name)
    ).first()
    if row is None:
        return ()
    values = connection.exec_driver_sql(
        "SELECT value FROM points WHERE series_id = ? AND ordinal >= ? ORDER BY ordinal",
        (row.id, row.length - samples),
    ).all()
    return tuple(value for (value,) in values if value is not None)


_HOLDERS = select(jobs.c.id, jobs.c.name, attempts.c.devices).join(
    attempts, (attempts.c.job_id == jobs.c.id) & (attempts.c.number == jobs.c.attempt)
)
