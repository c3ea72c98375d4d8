"""Which job is next, and which GPUs it gets: asked and answered inside the transaction that claims it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, false, func, or_, select

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


def choose(connection: Connection, supply: Supply, now: float) -> Choice | None:
    """The next job that fits: on this machine, else in Slurm. Order: priority, then age.

    CPU jobs never wait behind GPU jobs. A GPU job whose turn it is holds back later GPU jobs until its cards are free,
    so that a large job is not starved; one that cannot fit on the cards that are ours to give holds back nobody.
    """
    wanted = func.coalesce(jobs.c.gpus, min(1, supply.machine_gpus))
    ready = (
        select(jobs.c.id, wanted.label("gpus"), jobs.c.gpu_memory)
        .where(jobs.c.status == Status.QUEUED, ~jobs.c.held)
        .where(or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now))
        .where(or_(jobs.c.group.is_(None), jobs.c.group.not_in(_closed_groups(connection))))
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(1)
    )
    here = ready.where(jobs.c.slurm.is_(None))
    first = connection.execute(here.where(wanted > 0, _may_fit(wanted, supply))).first()
    if first is not None and (devices := _place(first.gpus, first.gpu_memory, supply, _reserved(connection))):
        return Choice(first.id, devices, first.gpu_memory)
    if _busy_slots(connection) < supply.cpu_slots:
        first = connection.execute(here.where(wanted == 0)).first()
        if first is not None:
            return Choice(first.id, [], None)
    with_room = [profile for profile, room in supply.slurm.items() if room > 0]
    if with_room:
        there = ready.add_columns(jobs.c.slurm).where(jobs.c.slurm.in_(with_room))
        first = connection.execute(there).first()
        if first is not None:
            return Choice(first.id, [], None, first.slurm)
    return None


def _closed_groups(connection: Connection) -> list[str]:
    """Groups that are paused, or whose slots are all taken."""
    running = (
        select(func.count())
        .select_from(jobs)
        .where(jobs.c.group == groups.c.name, jobs.c.status.in_(ACTIVE))
        .scalar_subquery()
    )
    query = select(groups.c.name).where(or_(groups.c.paused, groups.c.slots <= running))
    return list(connection.execute(query).scalars())


def _busy_slots(connection: Connection) -> int:
    on_a_card = select(gpu_reservations.c.job_id)
    query = (
        select(func.count())
        .select_from(jobs)
        .where(jobs.c.status.in_(ACTIVE), jobs.c.slurm.is_(None), jobs.c.id.not_in(on_a_card))
    )
    return connection.execute(query).scalar_one()


def _may_fit(wanted: Any, supply: Supply) -> ColumnElement[bool]:
    """Whether a job would fit if all cards that are ours to give were free."""
    sizes = sorted((supply.memory.get(uuid, 0) for uuid in supply.gpus), reverse=True)
    shares = [and_(wanted == count, jobs.c.gpu_memory <= size) for count, size in enumerate(sizes, start=1)]
    whole = and_(jobs.c.gpu_memory.is_(None), wanted <= len(supply.gpus))
    return or_(whole, *shares) if sizes else false()


def _reserved(connection: Connection) -> dict[str, list[int | None]]:
    """What is taken of each card."""
    taken: dict[str, list[int | None]] = {}
    for row in connection.execute(select(gpu_reservations)):
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
