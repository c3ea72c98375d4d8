"""Writes a comparison into a directory that is asked for."""

from pathlib import Path
from typing import Any

from textual.screen import Screen

from cockpit.asked import Wish
from cockpit.comparison import Comparison
from cockpit.comparison_files import write_files
from cockpit.parts import Cells
from cockpit.screens.ask import AskScreen
from cockpit.screens.left_view import cockpit_of
from store.database import Database


def export(screen: Screen[Any], table: Comparison, cells: Cells) -> None:
    """Asks where to, and writes Markdown, CSV and SVG there."""

    def write(directory: str | None) -> None:
        if directory is None:
            return

        def act(database: Database) -> str:
            paths = write_files(Path(directory).expanduser().absolute(), table, cells)
            return f"Written: {paths[0].with_suffix('')}.md, .csv and .svg"

        screen.post_message(Wish(act))

    hint = "Markdown, CSV and SVG are written there.   enter writes   esc goes back"
    at_first = str(cockpit_of(screen).home / "exports")
    screen.app.push_screen(AskScreen("Export into which directory?", hint, at_first), write)
