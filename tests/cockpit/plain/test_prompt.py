"""The plain prompt as it is met: behind a pseudo-terminal, on a real store."""

import fcntl
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.cli import COMMANDS
from store import jobs, machine, paths
from store.database import Database
from store.schema import Status

SAID = re.compile(rb"[\x20-\x7e\r\n]*")


@pytest.fixture
def as_if_a_daemon_ran(database: Database) -> Iterator[Any]:
    """Holds a daemon's lock: nothing is started, and letting go is what a daemon that dies does."""
    with paths.daemon_lock(database.home).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        machine.announce(database, 2, [])
        yield lock


@pytest.fixture
def three_jobs(bench: Any) -> None:
    """One that trains, one that failed, and one that waits."""
    bench.enqueue("train", "broken", "later")
    bench.train(bench.start(), 1, 40)
    bench.finish(bench.start(), Status.FAILED, "out of memory")


LINES: dict[str, tuple[str, ...]] = {
    "where": ("1 job runs, 1 waits.", "Job 1, running, train, step 40 of 100, loss 0.6272"),
    "jobs": (
        "job 1, running, train, step 40 of 100, loss 0.6272",
        "job 2, failed, broken, out of memory, of demo",
    ),
    "show 2": ("job 2, failed, broken, out of memory", "experiment: demo (1)", "base: pocket"),
    "why 3": ("job 3 (later) is queued",),
    "log 1": ("a line of the log, in columns",),
    "logs 1 -n 1": ("40%",),
    "metrics 1": ("metric loss, points 40, step 40, value 0.627",),
    "metrics 1 -k loss --csv": ("step,value,time,attempt",),
    "curve 1": (
        "Job 1, running: loss is now 0.6272, at step 40.",
        "It began with 2.034 at step 1.",
        "falling",
    ),
    "curve 1 los": ("error: job 1: has no metric", "hint: did you mean"),
    "status": ("daemon: pid", "jobs: 1 queued, 1 running, 1 failed"),
    "hold 3": ("job 3 (later) is queued (held)",),
    "release 3": ("job 3 (later) is queued",),
    "priority 3 --to 5": ("job 3 (later) is queued",),
    "retry 2": ("job 2 (broken) is queued",),
    "compare 1 2": ("has no scores to compare",),
    "examples 1": ("error: ",),
    "analyze 1": ("error: ",),
    "report demo": ("demo: no evaluation yet",),
    "regrade 1": ("error: ",),
    "group": ("no groups",),
    "schedules": ("no schedules",),
    "keys": ("queue.cancel: c",),
    "recipes": ("recipe smoke/command, about ",),
    "recipes show smoke/command": ("engine: command",),
    "check smoke/command": ("no mistakes found",),
    "doctor": ("check python, ok, detail 3.",),
    "export 1 --csv": ("job,name,key,step,time,value",),
    "prune": ("nothing to prune",),
    "schema command": ('"argv"',),
    "completion bash": ("_TUNEDECK_COMPLETE",),
    "service status": ("unit: ",),
    "engine": ("steering validate",),
    "wait 2 --timeout 0.01": ("is still queued",),
    "up": ("a daemon is running already",),
    "help": ("where: what is running now.", "cancel: cancel jobs."),
    "help submit": ("Queue RECIPE: a file, or the name of a bundled recipe.",),
    "say all": ("From now on: all.",),
    "say loudly": ("say needs one of: quiet, events, all. Now it is all",),
    "news": ("Nothing has happened since you came.",),
    "foo": ("error: there is no command foo.",),
    "A" * 500: (f"error: there is no command {'A' * 59}.... help lists the commands",),
    "jbos": ("did you mean", "jobs"),
    "show 99": ("error: job 99: there is no such job",),
    "show twelve": ("error: ", "not a valid integer"),
    "show 'open": ("error: a quote in this line is not closed.",),
    "curve": ("error: curve needs the number of a job",),
    "--plain": ("error: there is no command --plain.",),
    "submit nowhere.yaml": ("nor a recipe of that name",),
    "tunedeck priority 3": ("error: ", "Missing option"),
}
"""What is typed, and what is in the answer."""


def test_every_command_answers_in_printable_ascii_and_nothing_is_drawn_or_painted_again(
    listen: Any, three_jobs: None, as_if_a_daemon_ran: Any, database: Database
) -> None:
    log = database.run_dir(1) / "worker.log"
    log.parent.mkdir(parents=True)
    log.write_text("\x1b[1ma line of the log    in columns\x1b[0m\n10%\r20%\r40%\n")
    person = listen().ready()
    assert "Tunedeck, in plain words." in person.text
    for line, parts in LINES.items():
        answer = person.ask(line)
        for part in parts:
            assert part in answer, (line, answer)
        assert "Traceback" not in answer
    for name in COMMANDS:
        assert "Usage: tunedeck" in person.ask(f"{name} --help"), name
    tried = {line.removeprefix("tunedeck ").split()[0] for line in LINES}
    assert set(COMMANDS) - tried <= {"demo", "down", "cancel", "undo", "serve"}
    person.type("quit\r")
    assert person.ends() == 0
    assert SAID.fullmatch(person.heard), SAID.match(person.heard)


def test_what_happens_is_said_while_nobody_types_and_never_into_a_line(
    listen: Any, bench: Any, as_if_a_daemon_ran: Any
) -> None:
    bench.enqueue("first", "second")
    person = listen().ready()
    bench.start()
    person.hears("\r\nJob 1, first, has started.\r\ncommand: ")
    person.forget()
    person.type("why")
    person.hears("why")
    bench.train(1, 1, 10)
    bench.finish(1)
    bench.finish(bench.start(), Status.FAILED, "out of memory")
    assert person.is_silent(4.0)
    answer = person.ask(" 2", "Job 1, first, succeeded, after 1 minute ", "loss 1.533.")
    assert "Job 2, second, failed: out of memory. logs 2 says more." in answer
    assert "The queue is empty: nothing runs, and nothing waits." in answer
    assert "job 2 (second)" in answer.split("Job 1")[0], "the answer comes before the news"
    assert "Job 1, first, has started.\n" in person.ask("news")
    fcntl.flock(as_if_a_daemon_ran, fcntl.LOCK_UN)
    person.hears("The daemon has gone. Running jobs go on; nothing new starts. up starts it.")
    assert SAID.fullmatch(person.heard)


def test_a_cancel_is_asked_for_and_can_be_taken_back(
    listen: Any, three_jobs: None, as_if_a_daemon_ran: Any, database: Database
) -> None:
    def status(number: int) -> str:
        return jobs.get_job(database, number).status.value

    person = listen("--say", "quiet").ready()
    assert "nothing was cancelled here" in person.ask("undo")
    person.type("cancel 3\r")
    person.hears("Cancel job 3, queued, later? undo brings it back. yes or no: ")
    assert "Nothing is cancelled." in person.ask("no")
    assert status(3) == "queued"
    person.type("cancel 1\r")
    person.hears("It stops at its next step and keeps a checkpoint. yes or no: ")
    assert "job 1 (train) will be stopped" in person.ask("yes")
    person.type("cancel 3\r")
    person.hears("yes or no: ")
    assert "job 3 (later) is cancelled" in person.ask("y")
    assert status(3) == "cancelled"
    assert "job 3 (later) is queued" in person.ask("undo")
    assert status(3) == "queued"
    assert "already" in person.ask("cancel 2")
    assert "error: job 99: there is no such job" in person.ask("cancel 99").lower()


def test_a_question_of_a_command_is_heard_before_it_is_answered(
    listen: Any, bench: Any, as_if_a_daemon_ran: Any, database: Database
) -> None:
    bench.enqueue("one")
    bench.finish(bench.start())
    checkpoint = database.run_dir(1) / "checkpoints" / "step-1"
    checkpoint.mkdir(parents=True)
    (checkpoint / "weights").write_bytes(b"w" * 4096)
    person = listen().ready()
    person.type("prune\r")
    person.hears("kind checkpoints, job 1, what checkpoints, size 4 KiB", "Delete these for good? [y/N]:")
    assert "error: interrupted" in person.ask("n")
    assert checkpoint.exists()
    person.type("prune\r")
    person.hears("Delete these for good? [y/N]:")
    assert "1 paths pruned, 4 KiB" in person.ask("y")
    assert not checkpoint.exists()
    assert SAID.fullmatch(person.heard)


def test_an_answer_is_walked_over_line_by_line(
    listen: Any, three_jobs: None, as_if_a_daemon_ran: Any
) -> None:
    person = listen().ready()
    assert "There is no answer to walk over yet." in person.ask("next")
    whole = person.ask("jobs").split("\n", 1)[1]
    first, second, third, _ = whole.split("\n")
    assert person.ask("repeat").split("\n", 1)[1] == whole
    assert person.ask("next").split("\n")[1] == first
    assert person.ask("next").split("\n")[1] == second
    assert person.ask("repeat").split("\n")[1] == second
    assert person.ask("previous").split("\n")[1] == first
    assert "That was the first of 3 lines." in person.ask("previous")
    person.ask("next")
    assert person.ask("n").split("\n")[1] == third
    assert "That was the last of 3 lines." in person.ask("next")


def test_to_look_only_means_that_nothing_changes(listen: Any, three_jobs: None, database: Database) -> None:
    before = jobs.list_jobs(database), sorted(path.name for path in database.home.iterdir())
    person = listen("--read-only").ready()
    assert "It was opened to look only: nothing can be changed." in person.text
    assert "No daemon is running, so nothing starts" in person.text
    refused = ("cancel 3", "hold 3", "up", "submit smoke/command", "prune", "retry 2", "group a --slots 2",
               "cancel -e --help", "export 1 --tensorboard out", "recipes copy smoke/command .", "doctor --reindex")  # fmt: skip
    for line in refused:
        assert "error: this changes something, and Tunedeck was opened with --read-only" in person.ask(line)
    assert "job 3, queued, later" in person.ask("jobs")
    assert "Usage: tunedeck cancel" in person.ask("cancel --help")
    person.type("\x04")
    assert person.ends() == 0
    assert "Goodbye. Jobs go on." in person.text
    assert (jobs.list_jobs(database), sorted(path.name for path in database.home.iterdir())) == before


def test_interrupting_brings_the_prompt_back_and_the_end_of_input_leaves(
    listen: Any, three_jobs: None, as_if_a_daemon_ran: Any
) -> None:
    person = listen().ready()
    person.type("half a li")
    person.hears("half a li")
    person.interrupt_until("Nothing is running here. quit leaves.\r\ncommand: ")
    person.forget()
    person.type("wait 1\r")
    person.hears("wait 1\r\n")
    person.is_silent(0.5)
    person.interrupt_until("\r\ncommand: ")
    # The second where the machine is so busy that the command had not begun.
    assert "error: interrupted" in person.text or person.text.count("Nothing is running here") > 1
    person.forget()
    assert "1 job runs" in person.ask("where")
    person.type("\x04")
    assert person.ends() == 0
    assert "Traceback" not in person.text and SAID.fullmatch(person.heard)


def test_names_and_texts_from_outside_are_words_too(listen: Any, bench: Any, as_if_a_daemon_ran: Any) -> None:
    bench.enqueue("\x1b[31mtränen[/bold]\x1b]0;evil\x07 漢字 ✓ ██▌ \u202ex", experiment="→ ±1 ≥2…")
    person = listen().ready()
    assert (
        "job 1, queued, tränen[/bold] 漢字 (check mark) x, of to plus or minus 1 at least 2...\n"
        in person.ask("jobs")
    )
    bench.start()
    person.hears("Job 1, tränen[/bold] 漢字 (check mark) x, has started.")
    assert b"\x1b" not in person.heard and b"\x07" not in person.heard
    ascii_ = listen(TUNEDECK_ASCII="1").ready()
    assert "job 1, running, tranen[/bold] ?? (check mark) x" in ascii_.ask("jobs")
    assert SAID.fullmatch(ascii_.heard)


def test_words_are_completed_and_remembered(
    listen: Any, three_jobs: None, as_if_a_daemon_ran: Any, home: Path
) -> None:
    person = listen().ready()
    person.type("whe\t")
    person.hears("where ")
    person.type("\r")
    person.hears("1 job runs")
    person.ready()
    person.type("quit\r")
    assert person.ends() == 0
    assert (home / "plain-history").read_text().splitlines() == ["where ", "quit"]
    again = listen().ready()
    again.type("\x10\x10")
    again.hears("where ")
    again.type("\r")
    again.hears("1 job runs")


def test_a_real_daemon_runs_what_is_submitted_at_the_prompt(
    listen: Any, start_daemon: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "r.yaml").write_text("name: told\njobs:\n  hello: {engine: command, argv: [echo, hello]}\n")
    start_daemon()
    person = listen().ready()
    answer = person.ask(f"submit {tmp_path / 'r.yaml'} --wait", "job 1, succeeded, hello")
    assert "experiment 1 (told): 1 jobs queued" in answer and "their numbers: 1" in answer
    assert person.ask("log 1").split("\n")[1:2] == ["hello"]
    assert SAID.fullmatch(person.heard)
