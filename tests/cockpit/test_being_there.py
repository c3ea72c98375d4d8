"""Keys, themes and views as a person wants them; looking without touching; and the price of the line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit.app import LOW_BANDWIDTH_POLL_SECONDS
from cockpit.keymap import all_keys, read_keymap
from cockpit.meter import WINDOW_SECONDS, Meter
from cockpit.theme_files import read_themes
from cockpit.view_state import ViewState
from engines.recipe.errors import RecipeError
from store import jobs
from store.database import Database

Visits = Callable[..., None]


def test_no_two_bindings_of_a_place_share_a_key_and_all_have_names(tmp_path: Path) -> None:
    assert len(all_keys()) > 50
    (tmp_path / "keymap.yaml").write_text("queue.cancel: x\n")
    assert read_keymap(tmp_path / "keymap.yaml") == {"queue.cancel": "x"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("queue.cancle: x", "queue.cancle: there is no such key to name\nhint: did you mean `queue.cancel`?"),
        ("queue.cancel: r", "key `r` is given to queue.cancel and queue.retry"),
        ("queue.cancel: 3", "queue.cancel: `3` is no key"),
        ("- x", "holds no mapping"),
    ],
)
def test_a_keymap_that_is_wrong_says_where(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "keymap.yaml").write_text(text + "\n")
    with pytest.raises(RecipeError) as caught:
        read_keymap(tmp_path / "keymap.yaml")

    assert said in str(caught.value)


def test_a_key_that_was_given_another_name_works_and_the_old_one_no_longer(
    database: Database, bench: Any, visit: Visits
) -> None:
    bench.enqueue("a")

    async def scenario(person: Any) -> None:
        await person.sees("a", "queued")
        await person.press("h", "question_mark")
        await person.sees("Hold a waiting job back")
        assert person.line("Hold a waiting job back").split("Hold")[0].split()[-1] == "x"
        await person.press("escape")
        await person.press("x")
        await person.until(lambda: jobs.get_job(database, 1).held, "held")

    visit(scenario, (100, 60), keymap={"queue.hold": "x"})


def test_a_cockpit_that_only_looks_changes_nothing(database: Database, bench: Any, visit: Visits) -> None:
    bench.enqueue("a")

    async def scenario(person: Any) -> None:
        await person.sees("a", "queued", "looks only")
        await person.press("h")
        await person.sees("it was opened with --read-only")
        assert not jobs.get_job(database, 1).held

    visit(scenario, read_only=True)


def test_on_a_slow_line_the_store_is_looked_at_less_often_and_the_meter_is_there(
    bench: Any, visit: Visits
) -> None:
    bench.enqueue("a")

    async def scenario(person: Any) -> None:
        await person.sees("a", "queued")
        assert "B/s" not in person.text
        await person.press("B")
        await person.sees("B/s")
        assert person.app.feed.poll_seconds == LOW_BANDWIDTH_POLL_SECONDS
        await person.press("B")
        await person.no_longer_sees("B/s")

    visit(scenario)


def test_the_meter_counts_bytes_over_five_seconds() -> None:
    now = [0.0]
    meter = Meter(clock=lambda: now[0])
    meter.add(500)
    now[0] = WINDOW_SECONDS - 1
    meter.add(1000)
    assert meter.rate() == 1500 / WINDOW_SECONDS
    now[0] = WINDOW_SECONDS + 1
    assert meter.rate() == 1000 / WINDOW_SECONDS
    assert meter.total == 1500


def test_a_theme_of_ones_own_is_there_and_a_chosen_theme_stays(database: Database, visit: Visits) -> None:
    folder = database.home / "themes"
    folder.mkdir()
    (folder / "mine.yaml").write_text('primary: "#112233"\nbackground: black\ndark: true\n')
    themes = read_themes(database.home)

    async def choose(person: Any) -> None:
        await person.press("ctrl+p", *"mine")
        await person.sees("Theme: mine")
        await person.press("enter")
        await person.until(lambda: person.app.theme == "mine", "the theme")

    visit(choose, own_themes=themes)

    async def again(person: Any) -> None:
        assert person.app.theme == "mine"

    visit(again, own_themes=themes)

    async def without_the_file(person: Any) -> None:
        assert person.app.theme == "tunedeck"

    visit(without_the_file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("primary: blueish", "primary: `blueish` is no colour"),
        ("primary: blue\nbackgrund: red", "backgrund: unknown key; allowed: "),
        ("background: red", "names no `primary` colour"),
    ],
)
def test_a_theme_that_is_wrong_says_where(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "themes").mkdir()
    (tmp_path / "themes" / "mine.yaml").write_text(text + "\n")
    with pytest.raises(RecipeError) as caught:
        read_themes(tmp_path)

    assert said in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"queue": 3}', "\0"])
def test_a_view_that_cannot_be_read_is_as_good_as_none(home: Path, content: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "view.json").write_text(content)
    state = ViewState(home)
    assert state.of("queue") == {}
    state.leave("queue", order="newest")

    assert ViewState(home).of("queue") == {"order": "newest"}


def test_two_cockpits_do_not_forget_each_others_views(home: Path) -> None:
    home.mkdir(exist_ok=True)
    one, other = ViewState(home), ViewState(home)
    one.leave("queue", order="newest")
    other.leave("app", theme="nord")

    assert json.loads((home / "view.json").read_text()) == {
        "queue": {"order": "newest"},
        "app": {"theme": "nord"},
    }


def test_keys_are_listed_and_the_flags_are_for_the_terminal_ui(home: Path) -> None:
    def run(*argv: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-P", "-m", "cockpit", *argv]
        return subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"TUNEDECK_HOME": str(home)}
        )

    assert "queue.cancel" in run("keys").stdout
    assert json.loads(run("keys", "--json").stdout)["queue.cancel"] == "c"
    refused = run("--read-only", "jobs")
    assert (refused.returncode, "leave the command out" in refused.stderr) == (2, True)
