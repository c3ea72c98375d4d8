"""Every key of the queue: filter, order, marks, experiments, wishes for many, places, why, and what is remembered."""

import fcntl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit.view_state import ViewState
from store import groups, jobs, machine, paths, schedules
from store.database import Database
from store.lifecycle import NewJob
from store.schema import Status

Visits = Callable[..., None]


def statuses(database: Database) -> list[str]:
    return [job.status.value for job in jobs.list_jobs(database)]


def test_a_filter_is_explained_as_one_types_and_remembered(
    bench: Any, visit: Visits, database: Database
) -> None:
    bench.enqueue("alpha", "beta", "gamma")
    bench.record(1, {"kind": "score", "name": "strict", "value": 0.625, "fields": {}})

    async def look(person: Any) -> None:
        await person.sees("alpha", "beta", "3 jobs by activity")
        await person.press("slash")
        await person.sees("status:failed", "OR NOT")
        await person.press(*"acc>0.6")
        await person.no_longer_sees("beta")
        await person.sees("alpha", "1 job by activity", "filter acc>0.6")
        await person.press(*"x")
        await person.sees("✗ `0.6x` is no number", "acc>=50%", "demo: alpha")
        await person.press("backspace")
        await person.sees("OR NOT")
        await person.press("enter")
        await person.no_longer_sees("OR NOT")
        await person.press("slash", "end", *" OR", "enter")
        await person.sees("`OR` has nothing behind it")
        await person.press(*" /^g/", "enter")
        await person.sees("alpha", "gamma", "2 jobs")
        assert "demo: beta" not in person.text

    visit(look)

    async def again(person: Any) -> None:
        await person.sees("alpha", "gamma", "filter acc>0.6 OR /^g/")
        await person.press("escape")
        await person.sees("beta", "3 jobs by activity")

    visit(again)
    assert ViewState(database.home).of("queue")["filter"] == ""


def test_jobs_are_sorted_by_a_picked_column_by_a_click_and_the_other_way_around(
    bench: Any, visit: Visits
) -> None:
    bench.enqueue("cc", "aa", "bb")
    bench.record(3, {"kind": "score", "name": "strict", "value": 0.625, "fields": {}})

    def order(person: Any) -> list[str]:
        return sorted(("aa", "bb", "cc"), key=lambda name: person.text.index(f" {name} "))

    async def look(person: Any) -> None:
        await person.sees("cc", "bb")
        await person.press("o")
        await person.sees("Sort by", "accuracy")
        await person.press("j", "j", "enter")
        await person.sees("by name", "job▾")
        await person.until(lambda: order(person) == ["aa", "bb", "cc"], "by name")
        await person.press("O")
        await person.sees("by name, reversed", "job▴")
        await person.until(lambda: order(person) == ["cc", "bb", "aa"], "reversed")
        await person.pilot.click("#job-table", offset=(person.line("acc").index("acc"), 0))
        await person.sees("by accuracy")
        await person.until(lambda: order(person) == ["bb", "cc", "aa"], "by accuracy")

    visit(look)

    async def again(person: Any) -> None:
        await person.sees("by accuracy", "acc▾")

    visit(again)


def test_marks_by_space_range_filter_and_inversion_and_one_question_for_all(
    bench: Any, visit: Visits, database: Database
) -> None:
    bench.enqueue(*(f"cell-{number}" for number in range(1, 7)))
    bench.finish(bench.start())
    bench.start()

    async def look(person: Any) -> None:
        await person.sees("cell-1", "cell-6")
        await person.press("space", "j", "R")
        await person.sees("◆ 3 marked")
        await person.press("I")
        await person.until(lambda: "◆ 3 marked" in person.text and "◆" in person.line("cell-1"), "the others")
        await person.press("A")
        await person.sees("◆ 6 marked")
        await person.press("h")
        await person.sees("Hold 6 jobs?")
        await person.press("y")
        # The one that runs and the one that has ended say why not, each.
        await person.sees("4 jobs held, 2 refused", "job 1: is succeeded", "job 2: is running")
        await person.press("escape")
        await person.sees("‖ held")
        await person.press("H", "y")
        await person.sees("4 jobs released, 2 refused")
        await person.press("escape", "asterisk")
        await person.sees("Priority of 6 jobs")
        await person.press("ctrl+u", *"99999")
        await person.sees("✗ from -1000 to 1000")
        await person.press("ctrl+u", *"7", "enter")
        await person.sees("4 jobs given priority 7, 2 refused")
        await person.press("escape", "plus", "y")
        await person.until(lambda: jobs.get_job(database, 6).priority == 8, "the priority")
        await person.sees("What was refused")
        await person.press("escape", "c")
        await person.sees("Cancel 6 jobs?", "1 of them run", "`u` takes that back")
        await person.press("y")
        await person.sees("5 jobs cancelled, 1 refused", "already succeeded")
        await person.press("escape")
        await person.until(
            lambda: statuses(database) == ["succeeded", "running", *["cancelled"] * 4], "the cancels"
        )
        await person.press("escape", "u")
        await person.until(lambda: statuses(database)[2:] == ["queued"] * 4, "the undo")
        await person.sees("4 jobs waiting again")
        assert {job.priority for job in jobs.list_jobs(database, statuses=[Status.QUEUED])} == {8}

    visit(look)


def test_experiments_are_a_tree_that_rolls_up_folds_and_is_remembered(
    bench: Any, visit: Visits, database: Database
) -> None:
    bench.enqueue("a1", "a2", "a3", experiment="alpha")
    for job_id, right in ((1, 1), (2, 3)):
        assert bench.start() == job_id
        bench.score(job_id, [True] * right + [False] * (4 - right))
        bench.finish(job_id)
    bench.finish(bench.start(), Status.FAILED, "out of memory")
    bench.enqueue("b1", "b2", experiment="beta")

    async def look(person: Any) -> None:
        await person.sees("alpha: a3", "  b2")
        await person.press("e")
        await person.sees(
            "▸ alpha  2/3 done", "▸ beta  0/2 done", "✗ 1 failed", "○ 2 waiting", "75.0%", "5 jobs"
        )
        await person.press("j")
        await person.sees("experiment 1  alpha  2/3 done  1 failed", "best: 75.0% by job 2, a2")
        await person.press("right")
        await person.sees("▾ alpha", "    a1", "    a3")
        await person.press("j", "left")
        await person.sees("experiment 1")
        await person.press("left")
        await person.no_longer_sees("    a1")
        await person.press("Z")
        await person.sees("▾ alpha", "    a1", "▾ beta", "    b2")
        await person.press("g")
        await person.sees("experiment 2")
        await person.press("c")
        await person.sees("Cancel 2 jobs?")
        await person.press("y")
        await person.until(lambda: statuses(database)[3:] == ["cancelled"] * 2, "the cancels")
        await person.sees("⊘ ended")
        await person.press("space")
        await person.sees("◆ 2 marked")
        await person.press("escape", "e")
        await person.sees("beta: b2", "  b1")
        await person.press("e", "enter")
        await person.sees("▾ beta", "▸ alpha")

    visit(look)

    async def again(person: Any) -> None:
        await person.sees("▾ beta", "▸ alpha", "    b1")

    visit(again, (200, 50))


def test_waiting_jobs_move_and_say_why_they_wait(bench: Any, visit: Visits, database: Database) -> None:
    bench.enqueue("one", "two", "three")
    bench.enqueue("grouped", group="night")
    groups.set_group(database, "night", paused=True)
    machine.announce(database, 1, [])

    def order() -> list[int]:
        found = sorted(jobs.list_jobs(database), key=lambda job: (-job.priority, job.id))
        return [job.id for job in found]

    async def look(person: Any) -> None:
        await person.sees("demo: one", "grouped")
        await person.press("j", "j", "K")
        await person.until(lambda: order() == [1, 3, 2, 4], "up")
        await person.sees("job 3 is number 2 of 4")
        await person.press("T")
        await person.until(lambda: order() == [3, 1, 2, 4], "top")
        await person.until(lambda: person.text.index("three") < person.text.index(" one"), "the rows")
        await person.press("J")
        await person.until(lambda: order() == [1, 3, 2, 4], "down")
        await person.press("E")
        await person.until(lambda: order() == [1, 2, 4, 3], "end")
        await person.press("w")
        await person.sees("Job 3", "three is queued", "no daemon is running")
        await person.press("w")
        await person.no_longer_sees("no daemon is running; ")

    visit(look)


def test_groups_and_schedules_are_set_paused_and_removed(
    bench: Any, visit: Visits, database: Database
) -> None:
    bench.enqueue("one", group="night[bold]")
    new = [NewJob("nightly", "sft", {"engine": "sft"})]
    schedules.add_schedule(
        database, "nightly", "0 22 * * *", time.time() + 3600, new, recipe_text="", provenance={}
    )

    async def look(person: Any) -> None:
        await person.sees("demo: one", "group night[bold]")
        await person.press("S")
        await person.sees("night[bold]", "0 run, 1 wait", "no limit", "1 nightly", "0 22 * * *")
        await person.press("s")
        await person.sees("Slots of group night[bold]")
        await person.press("ctrl+u", *"0")
        await person.sees("✗ a number from 1, or `none`")
        await person.press("ctrl+u", *"2", "enter")
        await person.sees("2 slots")
        await person.press("p")
        await person.sees("paused")
        assert groups.get_group(database, "night[bold]") == groups.Group("night[bold]", 2, True, 0, 1)
        await person.press("p", "j", "p")
        await person.until(lambda: schedules.get_schedule(database, 1).paused, "the pause")
        await person.press("p")
        await person.until(lambda: not schedules.get_schedule(database, 1).paused, "the resume")
        await person.press("x")
        await person.sees("Remove schedule 1, nightly?")
        await person.press("y")
        await person.until(lambda: not schedules.list_schedules(database), "the end")
        await person.no_longer_sees("0 22")
        await person.press("escape")
        await person.sees("demo: one")

    visit(look)


def test_a_read_only_cockpit_looks_at_everything_and_changes_nothing(
    bench: Any, visit: Visits, database: Database
) -> None:
    bench.enqueue("one", "two", group="night")
    before = jobs.list_jobs(database)

    async def look(person: Any) -> None:
        await person.sees("demo: one", "looks only")
        for keys in (["A", "h", "y"], ["c", "y"], ["escape", "u"], ["T"]):
            for key in keys:
                await person.press(key)
                await person.pilot.pause(0.05)
        await person.sees("it was opened with --read-only")
        await person.press("S", "p")
        await person.sees("night")
        await person.press("escape", "w")
        await person.sees("no daemon is running")

    visit(look, read_only=True)
    assert jobs.list_jobs(database) == before
    assert not groups.get_group(database, "night").paused


def test_metrics_are_exported_and_completions_graded_again_by_key(
    bench: Any, visit: Visits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.enqueue("one")
    bench.train(bench.start(), 1, 3)
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "out"

    async def look(person: Any) -> None:
        await person.sees("demo: one")
        await person.press("X")
        await person.sees("In which format?")
        await person.press("enter")
        await person.sees("Where should the metrics of 1 job go?")
        await person.press("ctrl+u", *"out", "enter")
        await person.until((target / "metrics.csv").exists, "the file")
        await person.sees("3 points of 1 jobs")
        await person.press("a")
        await person.sees("job 1")
        await person.until(lambda: "has no" in person.text or "graded" in person.text, "a word about grading")

    visit(look, (120, 30))
    assert len((target / "metrics.csv").read_text().splitlines()) == 4


def test_the_queue_says_when_it_will_be_empty_and_when_a_job_starts(
    bench: Any, visit: Visits, database: Database
) -> None:
    bench.enqueue(*(f"cell-{number}" for number in range(8)))
    for _ in range(4):
        bench.finish(bench.start())  # each took a minute
    machine.announce(database, 1, [])

    async def look(person: Any) -> None:
        await person.sees("8 jobs by activity", "empty about")
        await person.press("j", "j")
        await person.sees("#7", "starts about")
        at = [time.strftime("%H:%M", time.localtime(time.time() + 60 * minutes)) for minutes in (1, 2, 3)]
        assert any(f"starts about {moment}" in person.text for moment in at)
        bench.enqueue("strange", engine="grpo", experiment="new")
        await person.sees("empty: unknown, 1 job is like none that has succeeded")

    with paths.daemon_lock(database.home).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        visit(look, (120, 30))
