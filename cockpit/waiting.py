"""Why a job is not running yet, exactly: what it waits for, who has that, and what will not come by itself."""

import time
from typing import Any

from store import groups, jobs, machine, slurm
from store.database import Database
from store.jobs import Job
from store.machine import Reservation
from store.schema import Status

GIB = 1 << 30


def explain_wait(database: Database, job: Job) -> str:
    """Why a job is where it is, in words. Further lines name the cards, one each."""
    if job.is_final or job.status not in (Status.QUEUED, Status.BLOCKED):
        return job.reason or "it is not waiting"
    if job.held:
        reason = job.reason or ""
        if reason.startswith("held: "):
            release = f"`tunedeck release -e {job.experiment_id}` lets them go"
            return f"it is held with its experiment, as {reason.removeprefix('held: ')}; {release}"
        return f"it is held; `tunedeck release {job.id}` lets it go"
    if job.status is Status.BLOCKED:
        waits_for = [n for n, _ in jobs.needs_of(database, job.id) if n.status is not Status.SUCCEEDED]
        return "it needs " + ", ".join(f"`{n.name}` (job {n.id}, {n.status})" for n in waits_for)
    if database.moment is not None:
        return "it was ready; what it waited for then is not on record"
    if not machine.daemon_is_running(database.home):
        return "no daemon is running; `tunedeck up` starts one"
    return _its_time(job, database.now()) or _its_group(database, job) or _its_place(database, job)


def _its_time(job: Job, now: float) -> str | None:
    if job.not_before is None or job.not_before <= now:
        return None
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.not_before))
    return f"it starts at {at}" + (f" ({job.reason})" if job.reason else "")


def _its_group(database: Database, job: Job) -> str | None:
    if job.group is None:
        return None
    group = groups.get_group(database, job.group)
    if group.paused:
        return f"its group `{group.name}` is paused; `tunedeck group {group.name} --resume` lets it go"
    if group.slots is not None and group.running >= group.slots:
        return f"its group `{group.name}` runs {group.running} jobs, and has {group.slots} slots"
    return None


def _its_place(database: Database, job: Job) -> str:
    if job.slurm is not None:
        return _its_profile(database, job, job.slurm)
    daemon = machine.get_daemon(database)
    gpus = daemon.gpus if daemon else []
    wanted = min(1, len(gpus)) if job.gpus is None else job.gpus
    ahead = jobs.ahead_of(database, job)
    turn = f"{ahead} ready job{'s' * (ahead != 1)} ahead of it"
    if wanted == 0:
        return f"it waits for a CPU slot; {turn}"
    if wanted > len(gpus):
        return f"it wants {wanted} GPUs and this machine has {len(gpus)}"
    held = machine.reservations(database)
    names = {other.id: other.name for other in jobs.list_active(database)}
    lines = [
        f"  {gpu['uuid']} ({gpu['name']}): {_state(gpu, held.get(gpu['uuid'], []), names)}" for gpu in gpus
    ]
    return "\n".join([f"{_wish(job, wanted, gpus, held)}; {turn}", *lines])


def _its_profile(database: Database, job: Job, profile: str) -> str:
    """Why a job does not go to Slurm yet."""
    slots, trouble = slurm.published(database)
    if profile not in slots:
        known = ", ".join(f"`{name}`" for name in slots) or "none"
        return (
            f"it wants the Slurm profile `{profile}`, and the daemon that runs knows: {known}"
            "; it reads config.yaml when it starts (`tunedeck down`, `tunedeck up`)"
        )
    if trouble is not None:
        return f"Slurm does not answer: {trouble}"
    taken = slurm.count_active(database).get(profile, 0)
    ahead = jobs.ahead_of(database, job)
    turn = f"{ahead} ready job{'s' * (ahead != 1)} ahead of it"
    return f"its profile `{profile}` has {taken} of its {slots[profile]} jobs in Slurm; {turn}"


def _wish(job: Job, wanted: int, gpus: list[dict[str, Any]], held: dict[str, list[Reservation]]) -> str:
    cards = f"{wanted} GPU{'s' * (wanted > 1)}"
    ours = [gpu["uuid"] for gpu in gpus if "blocked" not in gpu]
    if job.gpu_memory is None:
        free = sum(uuid not in held for uuid in ours)
        return f"it wants {cards}, and {free} of the {len(ours)} that may be given out are free"
    return f"it wants {_gib(job.gpu_memory)} of {cards}, and {len(ours)} of {len(gpus)} may be given out"


def _state(gpu: dict[str, Any], owners: list[Reservation], names: dict[int, str]) -> str:
    """Who has a card, and why it is not given out."""
    parts = []
    for owner in owners:
        what = "it" if owner.memory_bytes is None else _gib(owner.memory_bytes)
        parts.append(f"job {owner.job_id} (`{names.get(owner.job_id, '?')}`) has {what}")
    size = gpu.get("memory_bytes")
    text = ", ".join(parts)
    if owners and owners[0].memory_bytes is not None and size:
        text += f" of its {_gib(size)}"
    return "; ".join(filter(None, (text, gpu.get("blocked")))) or "free"


def _gib(size: int) -> str:
    return f"{size / GIB:.3g} GiB"
