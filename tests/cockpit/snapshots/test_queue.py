"""The queue, and what opens over it."""

import time

import pytest

from cockpit.messages import ReadFailed
from store import groups, lifecycle
from store.lifecycle import NewJob
from store.schema import Status

LONG = "qwen2.5-1.5b-instruct[train_samples=2048,learning_rate=0.0001,seed=3]"


@pytest.fixture
def busy(bench, database, clock, daemon):
    """Two experiments with a job of every status; the newest are an hour old."""
    needs = {"needs": (("prep", None),)}
    clock.ago(180)
    lifecycle.enqueue(
        database,
        "gsm8k-sft",
        [
            NewJob("base", "eval", {"engine": "eval"}),
            NewJob("prep", "sft", {"engine": "sft"}),
            *(NewJob(f"full[seed={seed}]", "sft", {"engine": "sft", "seed": seed}, gpus=1, **needs) for seed in (1, 2, 3)),
            NewJob(LONG, "sft", {"engine": "sft"}, priority=5, gpus=1),
            NewJob("full/eval", "eval", {"engine": "eval"}, needs=(("full[seed=1]", "full"),)),
        ],
    )  # fmt: skip
    for minutes, value in ((170, 0.204), (150, 0.274)):
        clock.ago(minutes)
        job = started(database)
        clock.ago(minutes - 15)
        bench.train(job, 1, 10, total=10)
        bench.score(job, [True] * 3 + [False] * 9)
        bench.record(job, {"kind": "score", "name": "strict", "value": value, "fields": {}})
        bench.finish(job)
    clock.ago(120)
    for card, steps in (("GPU-a", 64), ("GPU-b", 8)):
        job = started(database, card)
        clock.ago(60)
        samples = {"gpu/0/util": 97.0, "gpu/0/memory": 71.5}
        bench.record(job, *({"kind": "metrics", "step": step, "values": samples} for step in range(30)))
        bench.train(job, 1, steps)
    clock.ago(65)
    bench.enqueue(
        "policy[beta=0.04]",
        "policy[beta=0.1]",
        "loop",
        "judge",
        "spare",
        experiment="pocket-grpo",
        engine="grpo",
    )
    for status, why in (
        (Status.FAILED, "CUDA out of memory: tried to allocate 2.31 GiB (79.1 GiB in use)"),
        (Status.LOST, "the machine went down"),
        (Status.CANCELLED, "cancelled by the user"),
    ):  # fmt: skip
        bench.finish(started(database), status, why)
    lifecycle.claim(database, 1000, [])
    groups.set_group(database, "night", slots=2)
    clock.ago(0)


def started(database, *cards):
    """The next job runs from now on."""
    claimed = lifecycle.claim(database, 0 if cards else 1000, cards)
    assert claimed is not None
    lifecycle.mark_running(database, claimed[0].id, {"started_at": time.time(), "pid": 1})
    return claimed[0].id


def test_an_empty_queue(play):
    async def look(person):
        await person.sees("No jobs yet")
        await person.shot("empty")
        await person.press("question_mark")
        await person.shot("help")
        await person.press("escape", "ctrl+p")
        await person.shot("palette")

    play(look, read_only=True)


def test_a_busy_queue(play, busy):
    async def look(person):
        await person.sees("full[seed=1]")
        await person.shot("flat")
        await person.press("j", "space", "space", "G")
        await person.shot("marked, the last")
        await person.press("escape", "g", "e")
        await person.shot("tree, folded")
        await person.press("Z")
        await person.shot("tree, unfolded")

    play(look)


def test_the_filter_of_a_queue(play, busy):
    async def look(person):
        await person.sees("full[seed=1]")
        await person.press("slash")
        await person.shot("open")
        await person.type("status:failed,lost")
        await person.sees("2 jobs")
        await person.press("enter")
        await person.shot("found")
        await person.press("slash", "ctrl+u")
        await person.type("acc>x status:nothing")
        await person.sees("is no number")
        await person.shot("wrong")
        await person.press("ctrl+u")
        await person.type("nowhere")
        await person.sees("No job matches")
        await person.shot("nothing found")
        await person.press("escape")

    play(look)


def test_what_is_asked_in_a_queue(play, busy):
    async def look(person):
        await person.sees("full[seed=1]")
        await person.press("c")
        await person.shot("cancel")
        await person.press("n", "o")
        await person.shot("sort")
        await person.press("escape", "A", "asterisk")
        await person.shot("priority")
        await person.press("escape", "X", "enter", "ctrl+u")
        await person.type("/data/exports")
        await person.shot("export")
        await person.press("escape", "escape", "G", "k", "k", "k", "k", "k")
        await person.sees("pocket-grpo: spare")
        await person.press("w")
        await person.shot("why")
        await person.press("escape")

    play(look)


def test_a_queue_that_cannot_be_read_and_a_wish_that_is_refused(play, busy):
    """What the feed says of a failed read, and when, has tests of its own."""

    async def look(person):
        await person.sees("full[seed=1]")
        person.app.post_message(
            ReadFailed("OSError: [Errno 28] No space left on device: '/data/tunedeck/tunedeck.db-shm'")
        )
        await person.sees("cannot read")
        await person.press("r")
        await person.sees("it was opened with --read-only")
        await person.shot("read-only")

    play(look, read_only=True)


def test_a_cockpit_that_starts_without_colours_and_in_ascii_is_what_the_shots_say(
    visit_still, busy, monkeypatch
):
    """They are taken of one that was started in colours: two starts for each would take twice as long."""
    seen = []

    async def take(person):
        await person.sees("full[seed=1]")
        await person.press("question_mark")
        await person.shot("help")

    async def look(person):
        await person.sees("full[seed=1]")
        await person.press("question_mark")
        seen.extend([person.lines, person.cells])

    shot = visit_still(take)["help"]
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TUNEDECK_ASCII", "1")
    visit_still(look)
    assert seen[0] == shot.ascii and seen[0][1] != shot.texts[80, 24][1]
    # The characters are those of ASCII here, and what paints them is the same.
    assert seen[1] == shot.cells["NO_COLOR"]
