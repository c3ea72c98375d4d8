"""Which cards may be given out now: those that nobody but our jobs uses, each job on a card that it reserved.

Free is a question of ownership and not of utilisation: a process that loads its data uses nothing yet. What is unclear
is not given out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.gpus.cards import Card
from daemon.gpus.owners import GpuJob, describe, owner_of
from daemon.gpus.settings import GpuSettings
from store.machine import Reservation

UNEXPLAINED_BYTES = 1 << 30
"""More than this in use by nobody means that somebody is there whom the driver does not show, as across containers."""


@dataclass(frozen=True)
class Survey:
    """The cards in the order in which they are given out."""

    usable: list[str]
    memory: dict[str, int]
    """Bytes of each that jobs may share."""
    blocked: dict[str, str]
    """Why the others are not given out, in words."""
    places: dict[int, set[str]]
    """The cards on which each job was seen, its own and others."""


def survey(
    cards: Sequence[Card],
    jobs: Sequence[GpuJob],
    reservations: Mapping[str, Sequence[Reservation]],
    settings: GpuSettings,
) -> Survey:
    """Looks at every card that the settings leave to us."""
    owners = {
        process.pid: owner_of(process.pid, jobs)
        for process in {process for card in cards for process in card.processes or ()}
    }
    blocked: dict[str, str] = {}
    memory: dict[str, int] = {}
    places: dict[int, set[str]] = {}
    for card in cards:
        for process in card.processes or ():
            if (owner := owners[process.pid]) is not None:
                places.setdefault(owner, set()).add(card.uuid)
    ours = settings.order(cards)
    for card in ours:
        holders = reservations.get(card.uuid, [])
        if reason := _reason(card, owners, {holder.job_id for holder in holders}, settings.allow_unclear):
            blocked[card.uuid] = reason
        elif card.memory_bytes is not None:
            over = _overuse(card, owners, holders)
            memory[card.uuid] = card.memory_bytes - settings.kept_free_bytes - over
    return Survey([card.uuid for card in ours if card.uuid not in blocked], memory, blocked, places)


def _reason(
    card: Card, owners: Mapping[int, int | None], holders: set[int], allow_unclear: bool
) -> str | None:
    """Why a card is not given out; None when nothing speaks against it."""
    if card.processes is None:
        return None if allow_unclear else "the driver does not say who uses it"
    for process in card.processes:
        owner = owners[process.pid]
        if owner is None:
            return f"{describe(process.pid)} uses it"
        if owner not in holders:
            return f"job {owner} uses it without having reserved it"
    if card.unexplained_bytes > UNEXPLAINED_BYTES and not allow_unclear:
        taken = card.unexplained_bytes / (1 << 30)
        return f"{taken:.1f} GiB of it are in use by a process that the driver does not show"
    return None


def _overuse(card: Card, owners: Mapping[int, int | None], holders: Sequence[Reservation]) -> int:
    """Bytes that jobs use beyond the share that they declared."""
    used: dict[int, int] = {}
    for process in card.processes or ():
        owner = owners[process.pid]
        if owner is not None:
            used[owner] = used.get(owner, 0) + (process.memory_bytes or 0)
    declared = {holder.job_id: holder.memory_bytes for holder in holders}
    shares = [(used.get(job_id, 0), share) for job_id, share in declared.items() if share is not None]
    return sum(max(0, taken - share) for taken, share in shares)
