"""Which job is next, and which GPUs it gets: asked and answered inside the transaction that claims it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, func, or_, select

from store.schema import ACTIVE, Status, gpu_reservations, groups, jobs


@dataclass(frozen=True)
class Supply:
    """What may be given out now."""

    cpu_slots: int
    gpus: Sequence[str]
    """UUIDs of the cards that only our jobs use, the preferred first."""
    memory: Mapping[str, int]
    """Bytes of each card that jobs may share; a card without is given out whole."""
    machine_gpus: int
    """How many cards jobs may hope for: those that somebody else uses at the moment count too."""
    slurm: Mapping[str, int]
    """How many more jobs each Slurm profile takes."""


@dataclass(frozen=True)
class Choice:
    """The next job, its cards, and the bytes that it takes of each (None: all)."""

    job_id: int
    devices: list[str]
    memory_bytes: int | None
    slurm: str | None = None
    """Its profile, where it goes to Slurm."""


# A group that is paused, or whose slots are all taken. Statements are made once: SQLAlchemy takes longer to build one
# than SQLite to run it.
_RUNNING = jobs.alias("running")
_TAKEN = (
    select(func.count())
    .where(_RUNNING.c.group == groups.c.name, _RUNNING.c.status.in_(ACTIVE))
    .scalar_subquery()
)
_IS_CLOSED = (
    select(groups.c.name)
    .where(groups.c.name == jobs.c.group, or_(groups.c.paused, groups.c.slots <= _TAKEN))
    .exists()
)
_WANTED: Any = func.coalesce(jobs.c.gpus, bindparam("default"))
_READY = (
    select(jobs.c.id, _WANTED.label("gpus"), jobs.c.gpu_memory, jobs.c.slurm)
    .where(jobs.c.status == Status.QUEUED, ~jobs.c.held)
    .where(or_(jobs.c.not_before.is_(None), jobs.c.not_before <= bindparam("now")))
    .where(or_(jobs.c.group.is_(None), ~_IS_CLOSED))
    .order_by(jobs.c.priority.desc(), jobs.c.id)
    .limit(1)
)
_READY_HERE = _READY.where(jobs.c.slurm.is_(None))
_READY_ON_CPU = _READY_HERE.where(_WANTED == 0)
_READY_IN_SLURM = _READY.where(jobs.c.slurm.in_(bindparam("profiles", expanding=True)))
_BUSY_SLOTS = select(func.count()).where(
    jobs.c.status.in_(ACTIVE),
    jobs.c.slurm.is_(None),
    jobs.c.id.not_in(select(gpu_reservations.c.job_id)),
)
_RESERVED = select(gpu_reservations.c.uuid, gpu_reservations.c.memory_bytes)


def choose(connection: Connection, supply: Supply, now: float) -> Choice | None:
    """The next job that fits: on this machine, else in Slurm. Order: priority, then age.

    CPU jobs never wait behind GPU jobs. A GPU job whose turn it is holds back later GPU jobs until its cards are free,
    so that a large job is not starved; one that cannot fit on the cards that are ours to give holds back nobody.
    """
    given = {"now": now, "default": min(1, supply.machine_gpus)}
    if supply.gpus:
        sizes = tuple(sorted((supply.memory.get(uuid, 0) for uuid in supply.gpus), reverse=True))
        first = connection.execute(_ready_on_cards(sizes), given).first()
        if first and (devices := _place(first.gpus, first.gpu_memory, supply, _reserved(connection))):
            return Choice(first.id, devices, first.gpu_memory)
    if connection.execute(_BUSY_SLOTS).scalar_one() < supply.cpu_slots:
        first = connection.execute(_READY_ON_CPU, given).first()
        if first is not None:
            return Choice(first.id, [], None)
    if with_room := [profile for profile, room in supply.slurm.items() if room > 0]:
        first = connection.execute(_READY_IN_SLURM, given | {"profiles": with_room}).first()
        if first is not None:
            return Choice(first.id, [], None, first.slurm)
    return None


@cache
def _ready_on_cards(sizes: tuple[int, ...]) -> Select[Any]:
    """Finds the first job that would fit if all cards that are ours to give were free; of each, so many bytes are shared."""
    shares = [and_(count == _WANTED, jobs.c.gpu_memory <= size) for count, size in enumerate(sizes, start=1)]
    whole = and_(jobs.c.gpu_memory.is_(None), len(sizes) >= _WANTED)
    return _READY_HERE.where(_WANTED > 0, or_(whole, *shares))


def _reserved(connection: Connection) -> dict[str, list[int | None]]:
    """What is taken of each card."""
    taken: dict[str, list[int | None]] = {}
    for row in connection.execute(_RESERVED):
        taken.setdefault(row.uuid, []).append(row.memory_bytes)
    return taken


def _place(count: int, share: int | None, supply: Supply, taken: dict[str, list[int | None]]) -> list[str]:
    """The job's cards, whole or a share of so many bytes of each; none where it has to wait."""
    if share is None:
        fitting = [uuid for uuid in supply.gpus if uuid not in taken]
    else:
        room = {uuid: _room(supply.memory.get(uuid, 0), taken.get(uuid, [])) for uuid in supply.gpus}
        fitting = [uuid for uuid in supply.gpus if room[uuid] >= share]
        # The fullest first: cards that nobody uses stay whole for jobs that need one. Sorting keeps the preferred order.
        fitting.sort(key=lambda uuid: (uuid not in taken, room[uuid] if uuid in taken else 0))
    return fitting[:count] if len(fitting) >= count else []


def _room(size: int, taken: list[int | None]) -> int:
    return 0 if None in taken else size - sum(share or 0 for share in taken)
