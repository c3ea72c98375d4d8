"""How the cards of running jobs fare, as metrics of the job; and whether each job sits on the cards that it was given.

`CUDA_VISIBLE_DEVICES` is only a request: a program that sets it itself, or that was told a device by number, ends up on
somebody else's card. The driver knows where it is.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from daemon.gpus.cards import Card
from daemon.gpus.owners import GpuJob
from store.database import Database
from store.samples import record_samples

SAMPLE_SECONDS = 5.0
ABSENT_SECONDS = 600.0
"""A job may well load data for minutes before it touches its card."""
FILE_NAME = "gpu.jsonl"
"""The same events in the run directory, so that the database can be made anew from it."""


def watch(
    database: Database, cards: Sequence[Card], jobs: Sequence[GpuJob], places: dict[int, set[str]]
) -> None:
    """Records one sample, and what is wrong, for every job that has cards."""
    by_uuid, now = {card.uuid: card for card in cards}, time.time()
    batches: list[tuple[int, int, list[dict[str, Any]]]] = []
    for job in jobs:
        own = [by_uuid.get(uuid) for uuid in job.devices]
        events = [sample(own, int(now - job.claimed_at), now)]
        events += [_warning(text, now) for text in complaints(job, own, places.get(job.job_id, set()), now)]
        batches.append((job.job_id, job.attempt, events))
    fresh = record_samples(database, batches)
    for job in jobs:
        lines = b"".join(orjson.dumps(event) + b"\n" for event in fresh[job.job_id])
        with (job.run_dir / FILE_NAME).open("ab") as file:
            file.write(lines)


def sample(cards: Sequence[Card | None], step: int, now: float) -> dict[str, Any]:
    """`gpu/0/util` (%), `memory` (GiB), `power` (W), `temperature` (°C) of each card; steps are seconds since the job began."""
    values: dict[str, float] = {}
    for number, card in enumerate(cards):
        if card is not None:
            figures = {
                "util": card.util_percent,
                "memory": None if card.used_bytes is None else card.used_bytes / (1 << 30),
                "power": card.power_watts,
                "temperature": card.temperature_celsius,
            }
            values |= {f"gpu/{number}/{name}": value for name, value in figures.items() if value is not None}
    return {"kind": "metrics", "time": now, "step": step, "values": values}


def complaints(job: GpuJob, own: Sequence[Card | None], places: set[str], now: float) -> Iterator[str]:
    """What is wrong with where a job sits."""
    given = ", ".join(job.devices)
    for uuid in sorted(places - set(job.devices)):
        yield (
            f"it computes on {uuid}, which it was not given (it has {given})\n"
            "hint: leave CUDA_VISIBLE_DEVICES alone, and count devices from 0"
        )
    told = all(card is not None and card.processes is not None for card in own)
    late = job.started_at is not None and now - job.started_at > ABSENT_SECONDS
    if told and late and not places:
        yield (
            f"has not computed on its GPU ({given}) for {ABSENT_SECONDS / 60:g} minutes\n"
            "hint: `resources: {gpus: 0}` leaves the GPU to others"
        )


def _warning(text: str, now: float) -> dict[str, Any]:
    return {"kind": "message", "time": now, "level": "warning", "text": text}
