"""Every key of the queue: moving, marking, folding, wishes, sorting, and the way to everything else."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from daemon.ingest import ingest
from engines.events import EventWriter
from engines.prompts.spec import PromptSpec
from engines.tasks.example import Example
from engines.tasks.grading import VERSION
from engines.tasks.scored import score
from store import jobs, lifecycle
from store.lifecycle import NewJob
from store.schema import Status


def job(person: Any, number: int) -> Any:
    return jobs.get_job(person.app.feed.database, number)


def order(*wanted: int) -> Callable[[Any], bool]:
    """The waiting jobs start in this order."""

    def holds(person: Any) -> bool:
        found = sorted(jobs.list_jobs(person.app.feed.database), key=lambda one: (-one.priority, one.id))
        return [one.id for one in found] == list(wanted)

    return holds


def priority(wanted: int) -> Callable[[Any], bool]:
    return lambda person: job(person, 1).priority == wanted


def further_than(place: int) -> Callable[[Any], bool]:
    return lambda person: place < person.app.screen.focused.cursor < 39


WALKS: dict[str, list[tuple[str, Any, Any]]] = {
    "forty jobs": [
        ("", (), "demo: job-01"),
        ("", "down", ("at", 1)),
        ("jobs.up", "up", ("at", 0)),
        ("jobs.down", "down", ("at", 1)),
        ("jobs.down", "j", ("at", 2)),
        ("jobs.up", "k", ("at", 1)),
        ("", "k", ("at", 0)),
        ("jobs.page-down", "pagedown", further_than(5)),
        ("jobs.page-up", "pageup", ("at", 0)),
        ("jobs.page-down", "ctrl+d", further_than(5)),
        ("jobs.page-up", "ctrl+u", ("at", 0)),
        ("jobs.last-job", "end", ("at", 39)),
        ("jobs.first-job", "home", ("at", 0)),
        ("jobs.last-job", "G", ("at", 39)),
        ("jobs.first-job", "g", ("at", 0)),
        ("jobs.mark", "space", "◆ 1 marked"),
        ("jobs.mark-range", "R", "◆ 2 marked"),
        ("queue.invert-marks", "I", "◆ 38 marked"),
        ("queue.mark-all", "A", "◆ 40 marked"),
        ("queue.clear-filter-and-marks", "escape", ("gone", "◆ 40 marked")),
        ("queue.filter", "slash", "status:failed"),
        ("", (*"job-07", "enter"), ("gone", "demo: job-01")),
        ("queue.clear-filter-and-marks", "escape", "demo: job-01"),
        ("jobs.open", "enter", "has logged no metrics yet"),
        ("", "escape", "demo: job-01"),
        ("queue.experiments", "e", "▸ demo"),
        ("jobs.unfold", "right", "▾ demo"),
        ("jobs.fold", "left", "▸ demo"),
        ("queue.fold-all", "Z", "▾ demo"),
        ("", "e", ("gone", "▾ demo")),
        ("queue.sort", "o", "Sort by"),
        ("pick.down", "j", ("at", 1)),
        ("pick.up", "k", ("at", 0)),
        ("pick.back", "escape", ("gone", "Sort by")),
        ("", "o", "Sort by"),
        ("pick.back", "q", ("gone", "Sort by")),
        ("", ("o", "j", "j", "enter"), "by name"),
        ("queue.reverse", "O", "by name, reversed"),
    ],
    "three that wait": [
        ("", (), "three"),
        ("queue.hold", "h", "‖ held"),
        ("queue.release", "H", ("gone", "‖ held")),
        ("queue.sooner", "plus", priority(1)),
        ("queue.sooner", "equals_sign", priority(2)),
        ("queue.later", "minus", priority(1)),
        ("queue.priority", "asterisk", "Priority of job 1"),
        ("ask.back", "escape", ("gone", "Priority of job 1")),
        ("", ("asterisk", "ctrl+u", "0", "enter"), priority(0)),
        ("queue.move-to-the-end", "E", order(2, 3, 1)),
        ("queue.move-to-the-top", "T", order(1, 2, 3)),
        ("queue.move-down", "J", order(2, 1, 3)),
        ("queue.move-up", "K", order(1, 2, 3)),
        ("queue.why", "w", "one is queued"),
        ("panel.close", "w", ("gone", "one is queued")),
        ("", "w", "one is queued"),
        ("panel.close", "escape", ("gone", "one is queued")),
        ("", "w", "one is queued"),
        ("panel.close", "q", ("gone", "one is queued")),
        ("", "w", "one is queued"),
        ("panel.close", "enter", ("gone", "one is queued")),
        ("queue.cancel", "c", "job 1 cancelled"),
        ("queue.undo", "u", "job 1 waiting again"),
        ("", ("A", "c"), "Cancel 3 jobs?"),
        ("confirm.no", "n", ("gone", "Cancel 3 jobs?")),
        ("", "c", "Cancel 3 jobs?"),
        ("confirm.no", "escape", ("gone", "Cancel 3 jobs?")),
        ("", "c", "Cancel 3 jobs?"),
        ("confirm.no", "q", ("gone", "Cancel 3 jobs?")),
        ("", "c", "Cancel 3 jobs?"),
        ("confirm.yes", "y", lambda person: job(person, 3).status is Status.CANCELLED),
    ],
    "one that failed and one with a score": [
        ("", (), "two"),
        ("queue.export", "X", "In which format?"),
        ("", "escape", ("gone", "In which format?")),
        ("queue.grade-again", "a", "100.0%"),
        ("queue.compare", "v", "baseline"),
        ("compare.back", "escape", "demo: one"),
        ("queue.compare", "C", "baseline"),
        ("compare.back", "backspace", "demo: one"),
        ("queue.new", "n", "smoke/command"),
        ("recipes.back", "escape", "demo: one"),
        ("", "n", "smoke/command"),
        ("recipes.back", "backspace", "demo: one"),
        ("queue.groups", "S", "No groups and no schedules"),
        ("groups.back", "escape", "demo: one"),
        ("", "S", "No groups and no schedules"),
        ("groups.back", "backspace", "demo: one"),
        ("", "G", ("at", 1)),
        ("queue.retry", "r", lambda person: job(person, 1).status is Status.QUEUED),
    ],
}


def an_evaluation(bench: Any) -> None:
    """Of one right answer that older graders took for a wrong one."""
    spec = PromptSpec(system="", solution_start="<A>", solution_end="</A>")
    _, [number] = lifecycle.enqueue(
        bench.database, "demo", [NewJob("two", "eval", {"prompt": spec.model_dump()})]
    )
    assert bench.start() == number
    example = Example("q0", "What is 2 + 2?", "", "4")
    text = "<start_working_out>2 + 2<end_working_out><A>4</A>"
    row = score(example, 0, text, spec, terminated=True, tokens=9, count_tokens=len)
    fields = asdict(replace(row, strict=False, robust=False))
    run_dir = bench.database.run_dir(number)
    run_dir.mkdir(parents=True)
    writer = EventWriter(run_dir)
    writer.emit("example", key="q0/0", fields=fields)
    sampling = {"temperature": 0.0}
    protocol = {"task": "t", "split": "test", "questions": 1, "data_hash": "d", "prompt_hash": "p", "sampling": sampling, "grading": VERSION - 1}  # fmt: skip
    for name in ("strict", "robust"):
        interval = {"n": 1, "low": 0.0, "high": 0.8, "protocol": protocol}
        writer.emit("score", name=name, value=0.0, fields=interval)
    writer.close()
    ingest(bench.database, jobs.get_job(bench.database, number))
    bench.finish(number)


@pytest.mark.parametrize("name", WALKS)
def test_each_key_of_the_queue_does_what_it_says(
    name: str, walk: Any, bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "forty jobs":
        bench.enqueue(*(f"job-{number:02}" for number in range(1, 41)))
    elif name == "three that wait":
        bench.enqueue("one", "two", "three")
    else:
        bench.enqueue("one")
        bench.finish(bench.start(), Status.FAILED, "out of memory")
        an_evaluation(bench)
    walk(WALKS[name], size=(120, 40))
