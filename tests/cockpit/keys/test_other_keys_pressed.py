"""Every key of recipes, forms, groups, the machine, the help, and of the whole cockpit."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.app import LOW_BANDWIDTH_POLL_SECONDS
from cockpit.control import stop_daemon
from store import groups, jobs, machine, schedules
from store.lifecycle import NewJob

FORM = """\
name: sweep
jobs:
  first: {engine: sft, model: {base: pocket}, task: pocket-math}
  second: {engine: eval, model: {base: pocket}, task: pocket-math}
"""


def of_the_list(place: int) -> Any:
    """The list of recipes stands on this one."""
    return lambda person: person.app.screen.query_one("#recipe-list").highlighted == place


def focus(name: str) -> Any:
    return lambda person: person.app.screen.focused is not None and person.app.screen.focused.id == name


def daemon_runs(person: Any) -> bool:
    return machine.daemon_is_running(person.app.home)


def one_more_orphan(person: Any) -> bool:
    (person.app.home / "runs" / "77" / "more").write_bytes(b"x" * 1000)
    return True


def spoilt(person: Any) -> bool:
    """The copy of the screen has a cell that the terminal does not have: as if something else had written to it."""
    person.app._cells._rows[99] = {}
    return True


def selected(person: Any) -> bool:
    person.app._clipboard = ""
    person.app.screen.query_one("#detail").text_select_all()
    return True


def copied(person: Any) -> bool:
    return "demo: one" in person.app.clipboard


def left(person: Any) -> bool:
    return bool(person.app._exit)


WALKS: dict[str, list[tuple[str, Any, Any]]] = {
    "recipes": [
        ("", "n", "./a.yaml"),
        ("", (), "2 jobs"),
        ("recipes.down", "j", of_the_list(1)),
        ("recipes.up", "k", of_the_list(0)),
        ("textual.down", "down", of_the_list(1)),
        ("textual.up", "up", of_the_list(0)),
        ("textual.last", "end", lambda person: person.app.screen.query_one("#recipe-list").highlighted > 20),
        ("textual.first", "home", of_the_list(0)),
        ("textual.page-down", "pagedown", lambda person: person.app.screen.query_one("#recipe-list").highlighted > 10),
        ("textual.page-up", "pageup", of_the_list(0)),
        ("textual.focus-next", "tab", focus("preview")),
        ("textual.focus-previous", "shift+tab", focus("recipe-list")),
        ("recipes.editor", "E", "this terminal cannot be handed to an editor"),
        ("recipes.search", "slash", "words in name or description"),
        ("", (*"sweep", "escape"), focus("recipe-list")),
        ("", (), "2 jobs"),
        ("recipes.submit", "s", "Queue 2 jobs of sweep?"),
        ("", "n", ("gone", "Queue 2 jobs of sweep?")),
        ("textual.select", "enter", "Queue 2 jobs of sweep?"),
        ("", "n", ("gone", "Queue 2 jobs of sweep?")),
        ("recipes.edit", "e", "job first (1 of 2"),
        ("form.next-job", "right", "job second (2 of 2"),
        ("form.previous-job", "left", "job first (1 of 2"),
        ("form.next-job", "l", "job second (2 of 2"),
        ("form.previous-job", "h", "job first (1 of 2"),
        ("form.filter", "slash", "text in a field's name or help"),
        ("", (*"passes over", "enter"), "Passes over the examples."),
        ("", ("enter", "ctrl+u", "5", "enter"), "1 changed"),
        ("form.write", "w", lambda person: (person.app.home / "recipes" / "a.yaml").exists()),
        ("form.reset", "x", ("gone", "1 changed")),
        ("form.back", "escape", ("gone", "Passes over the examples.")),
        ("form.submit", "s", "Queue 2 jobs of sweep?"),
        ("", "y", lambda person: len(jobs.list_jobs(person.app.feed.database)) == 3),
    ],
    "groups": [
        ("", (), "demo: one"),
        ("", "S", "0 run, 1 wait"),
        ("groups.pause", "p", lambda person: groups.get_group(person.app.feed.database, "night").paused),
        ("groups.slots", "s", "Slots of group night"),
        ("", "escape", ("gone", "Slots of group night")),
        ("", "j", ("at", 1)),
        ("groups.remove", "x", "Remove schedule 1, nightly?"),
        ("", "n", ("gone", "Remove schedule 1, nightly?")),
        ("", "escape", "demo: one"),
        ("app.machine", "M", "CPU load"),
        ("", (), "P would free"),
        ("machine.clean-up", "P", "What may go?"),
        ("", "escape", ("gone", "What may go?")),
        ("", (), one_more_orphan),
        ("machine.measure-again", "R", "P would free 5.86 KiB"),
        ("machine.groups", "S", ("gone", "CPU load")),
        ("", "escape", "CPU load"),
        ("machine.back", "escape", "demo: one"),
        ("", "M", "CPU load"),
        ("machine.back", "backspace", "demo: one"),
        ("app.help", "question_mark", "Hold a waiting job back"),
        ("help.down", "j", lambda person: person.app.screen.query_one("#help-box").scroll_offset.y == 1),
        ("help.down", "down", lambda person: person.app.screen.query_one("#help-box").scroll_offset.y == 2),
        ("help.up", "k", lambda person: person.app.screen.query_one("#help-box").scroll_offset.y == 1),
        ("help.up", "up", lambda person: person.app.screen.query_one("#help-box").scroll_offset.y == 0),
        ("help.close", "escape", ("gone", "Hold a waiting job back")),
        ("", "question_mark", "Hold a waiting job back"),
        ("help.close", "q", ("gone", "Hold a waiting job back")),
        ("", "question_mark", "Hold a waiting job back"),
        ("help.close", "question_mark", ("gone", "Hold a waiting job back")),
        ("app.commands", "ctrl+p", "Search for commands"),
        ("", "escape", ("gone", "Search for commands")),
        ("app.low-bandwidth", "B", lambda person: person.app.feed.poll_seconds == LOW_BANDWIDTH_POLL_SECONDS),
        ("", "B", lambda person: person.app.feed.poll_seconds < 1),
        ("app.start-daemon", "D", daemon_runs),
        ("", (), "● daemon"),
        ("app.stop-daemon", "U", "Stop the daemon; running jobs go on"),
        ("", ("enter", "y"), lambda person: not daemon_runs(person)),
        ("app.quit", "q", left),
    ],
    "copying and leaving": [
        ("", (), "demo: one"),
        ("", (), selected),
        ("textual.copy", "ctrl+c", copied),
        ("", (), selected),
        ("textual.copy", "super+c", copied),
        ("", (), spoilt),
        ("app.redraw", "ctrl+l", lambda person: 99 not in person.app._cells._rows),
        ("textual.quit", "ctrl+q", left),
    ],
    "leaving with nothing selected": [("", (), "demo: one"), ("app.quit", "ctrl+c", left)],
}  # fmt: skip


@pytest.fixture
def no_daemon_left(home: Path, database: Any) -> Iterator[None]:
    yield
    stop_daemon(database, stop_jobs=False, timeout=30)
    assert not machine.daemon_is_running(home)


@pytest.mark.parametrize("name", WALKS)
def test_each_key_does_what_it_says(
    name: str, walk: Any, bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_daemon_left: None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(FORM)
    bench.enqueue("one", group="night")
    new = [NewJob("nightly", "sft", {"engine": "sft"})]
    schedules.add_schedule(
        bench.database, "nightly", "0 22 * * *", time.time() + 3600, new, recipe_text="", provenance={}
    )
    (bench.database.home / "runs" / "77").mkdir(parents=True)
    (bench.database.home / "runs" / "77" / "log").write_bytes(b"x" * 5000)
    walk(WALKS[name], size=(120, 40))
