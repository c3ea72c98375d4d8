"""That no key is without a test: the walks of this folder press every key of every binding there is."""

import runpy
from pathlib import Path

from cockpit.keymap import all_keys

TEXTUALS = {
    "textual.focus-next": "tab",
    "textual.focus-previous": "shift+tab",
    "textual.copy": "ctrl+c,super+c",
    "textual.quit": "ctrl+q",
    "textual.up": "up",
    "textual.down": "down",
    "textual.first": "home",
    "textual.last": "end",
    "textual.page-up": "pageup",
    "textual.page-down": "pagedown",
    "textual.select": "enter",
}
"""Keys of Textual's that the help screen lists: of every screen, and of the list of recipes."""


def every_press() -> set[tuple[str, str]]:
    here = Path(__file__)
    files = [path for path in sorted(here.parent.glob("test_*.py")) if path.name != here.name]
    walks = [walk for path in files for walk in runpy.run_path(str(path)).get("WALKS", {}).values()]
    return {(name, key) for walk in walks for name, key, _ in walk if name}


def test_the_walks_press_exactly_the_keys_that_there_are() -> None:
    there_are = {(name, key) for name, keys in (all_keys() | TEXTUALS).items() for key in keys.split(",")}
    pressed = every_press()
    assert (sorted(there_are - pressed), sorted(pressed - there_are)) == ([], [])
