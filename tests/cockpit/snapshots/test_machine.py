"""The machine, groups and schedules."""

import pytest

from store import groups, outbox, paths, schedules
from store.lifecycle import NewJob

LOG = """\
2026-11-17 06:59:59 INFO daemon: started, 4 CPU slots, 2 of 3 GPUs
2026-11-17 09:12:10 WARNING daemon: GPU 2 is in use by ollama (pid 7); nothing is started there
2026-11-17 11:31:00 INFO daemon: job 7: queued again in 30 s
"""
NIGHTLY = "0 22 * * 1-5"


@pytest.fixture
def planned(database, bench, clock):
    """Two groups, one paused, and two schedules."""
    groups.set_group(database, "big", slots=2)
    groups.set_group(database, "night", paused=True)
    bench.enqueue("full[seed=1]", "full[seed=2]", group="big")
    job = [NewJob("eval", "eval", {"engine": "eval"})]
    schedules.add_schedule(database, "nightly-regression", NIGHTLY, clock.now + 36_000, job)
    schedules.add_schedule(database, "weekly", "0 6 * * 0", None, job)
    schedules.set_paused(database, 2, True, None)


def test_a_machine_without_a_daemon(play, database):
    """It has left a log with trouble, and messages that could not be delivered."""
    paths.daemon_log(database.home).write_text(LOG + "OSError: [Errno 28] No space left on device\n")
    outbox.post(database.home, "1-ended", {"error": "https://ntfy.example.org/lab: 403 Forbidden"}, 0.0)
    outbox.give_up(database.home, "1-ended")

    async def look(person):
        await person.press("M")
        await person.sees("nothing to clean up")
        await person.shot("top")
        await person.press("G")
        await person.shot("bottom", sizes=())

    play(look)


def test_a_busy_machine(play, database, bench, planned, daemon, clock):
    clock.ago(30)
    bench.enqueue("train", gpus=1)
    bench.finish(bench.start())
    checkpoint = database.run_dir(1) / "checkpoints" / "checkpoint-10"
    checkpoint.mkdir(parents=True)
    (checkpoint / "weights").write_bytes(b"w" * (3 << 20))
    (paths.runs(database.home) / "77").mkdir()
    (paths.runs(database.home) / "77" / "worker.log").write_bytes(b"l" * 512)
    paths.daemon_log(database.home).write_text(LOG)
    clock.ago(0)

    async def look(person):
        await person.press("M")
        await person.sees("P would free")
        await person.shot("top")
        await person.press("G")
        await person.shot("bottom", sizes=())
        await person.press("g", "P")
        await person.shot("what may go")
        await person.press("enter")
        await person.shot("delete")
        await person.press("n")

    play(look)


def test_groups_and_schedules(play, planned):
    async def look(person):
        await person.press("S")
        await person.sees("nightly")
        await person.shot("list")
        await person.press("s")
        await person.shot("slots")
        await person.press("ctrl+u")
        await person.type("many")
        await person.shot("slots, wrong")
        await person.press("escape", "G", "x")
        await person.shot("remove")
        await person.press("n")

    play(look)


def test_no_groups_and_no_schedules(play):
    async def look(person):
        await person.press("S")
        await person.sees("No groups and no schedules")
        await person.shot("empty")

    play(look)
