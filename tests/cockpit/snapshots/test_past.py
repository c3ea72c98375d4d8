"""The past: the queue and the curves of a job as they were, and what is refused there."""

import math

import pytest

from store import lifecycle
from store.lifecycle import NewJob


@pytest.fixture
def lived(bench, database, clock):
    """An evaluation has ended, a job trained half an hour ago and has ended since, another one was submitted after that."""
    clock.ago(120)
    new = [NewJob("base", "eval", {"engine": "eval"}), NewJob("full", "sft", {"engine": "sft"})]
    lifecycle.enqueue(database, "gsm8k-sft", new)
    clock.ago(110)
    bench.start()
    bench.score(1, [True] * 3 + [False] * 9)
    clock.ago(100)
    bench.finish(1)
    clock.ago(60)
    bench.start()
    for minutes, last in ((50, 32), (35, 64), (20, 96)):
        clock.ago(minutes)
        for step in range(last - 31, last + 1):
            values = {"loss": 2 * math.exp(-step / 30) + 0.1 * math.sin(step)}
            if step % 16 == 0:
                values["dev_accuracy_strict"] = 0.2 + step / 300
            bench.record(2, {"kind": "metrics", "step": step, "values": values})
        bench.record(2, {"kind": "progress", "done": last, "total": 96, "unit": "step"})
    bench.finish(2)
    clock.ago(10)
    bench.enqueue("late", experiment="morning")
    clock.ago(0)


async def look_back(person, to):
    await person.press("at")
    await person.sees("Which moment?")
    await person.press("ctrl+u")
    await person.type(to)
    await person.press("enter")


def test_the_queue_and_a_job_of_the_past(play, lived):
    async def look(person):
        await person.sees("late")
        await person.press("at")
        await person.sees("Which moment?")
        await person.shot("which moment")
        await person.press("escape")
        await look_back(person, "-30m")
        await person.sees("THE PAST", "● running", "66%")
        await person.shot("queue")
        await person.press("enter")
        await person.sees("64/96 step", "━ loss")
        await person.shot("curves")
        await person.press("left_parenthesis")
        await person.sees("11:00:00 UTC", "no metrics yet")
        await person.shot("an event before")

    play(look)


def test_what_is_refused_of_the_past(play, lived):
    async def look(person):
        await person.sees("late")
        await look_back(person, "-30m")
        await person.sees("THE PAST", "full")
        await person.press("r")
        await person.sees("nothing can be changed")
        await person.shot("a wish")

    play(look)


def test_moments_that_are_none(play, lived):
    async def look(person):
        await person.sees("late")
        await look_back(person, "soon")
        await person.sees("is no moment")
        await person.shot("no moment")

    play(look)
