"""Cards over a long, random life of the queue: whatever comes and goes, nothing is booked twice and nothing is forgotten."""

import random

import pytest

from store import jobs, lifecycle, machine
from store.database import Database
from store.lifecycle import NewJob, Outcome
from store.schema import ACTIVE, Status

GIB = 1 << 30
CARDS = {"A": 80 * GIB, "B": 80 * GIB, "C": 40 * GIB}


def _new(rng: random.Random, number: int) -> NewJob:
    share = rng.choice([None, None, 10 * GIB, 30 * GIB, 50 * GIB])
    gpus = rng.choice([0, 1, 1, 1, 2, 3])
    memory = share if gpus else None
    return NewJob(f"j{number}", "command", {}, gpus=gpus, gpu_memory=memory, priority=rng.randint(0, 2))


def _check(database: Database) -> None:
    held = machine.reservations(database)
    for uuid, owners in held.items():
        shares = [owner.memory_bytes for owner in owners]
        assert shares == [None] or sum(share or CARDS[uuid] + 1 for share in shares) <= CARDS[uuid], (
            uuid,
            owners,
        )
    for job in jobs.list_jobs(database):
        cards = [uuid for uuid, owners in held.items() if any(owner.job_id == job.id for owner in owners)]
        assert len(cards) == (job.gpus if job.status in ACTIVE else 0), job


@pytest.mark.parametrize("seed", range(3))
def test_no_card_is_booked_beyond_its_memory_and_every_job_that_can_fit_runs_in_the_end(
    database: Database, seed: int
) -> None:
    rng, number = random.Random(seed), 0
    running: list[int] = []
    for _ in range(60):
        action = rng.random()
        if action < 0.4:
            lifecycle.enqueue(database, "walk", [_new(rng, number)])
            number += 1
        elif action < 0.75:
            # Now and then a card is in foreign hands; what runs on it goes on.
            ours = [uuid for uuid in CARDS if rng.random() < 0.8]
            found = lifecycle.claim(database, 2, ours, CARDS, machine_gpus=3)
            if found:
                assert set(found[1]) <= set(ours)
                running.append(found[0].id)
        elif running:
            lifecycle.finish(
                database, running.pop(rng.randrange(len(running))), Outcome(Status.SUCCEEDED, 0, None)
            )
        _check(database)

    while True:
        if found := lifecycle.claim(database, 2, list(CARDS), CARDS):
            running.append(found[0].id)
        elif running:
            lifecycle.finish(database, running.pop(), Outcome(Status.SUCCEEDED, 0, None))
        else:
            break
    left = [job for job in jobs.list_jobs(database) if job.status is not Status.SUCCEEDED]
    assert all(job.gpus == 3 and job.gpu_memory == 50 * GIB for job in left)  # the third card has 40 GiB
    assert machine.reservations(database) == {}
