"""The recipes at hand: those that come with Tunedeck and those of the current directory. See what one does, submit it."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from cockpit import library, submission
from cockpit.keymap import named
from cockpit.messages import Wish
from cockpit.plain_text import plain_line, plain_lines
from cockpit.screens.job_text import yaml_lines
from cockpit.widgets.banner import Banner
from cockpit.widgets.cells import Cell
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.text_view import TextView
from engines.recipe.errors import RecipeError
from engines.recipe.expand import load_recipe
from store.database import Database

_MOST_JOBS_SHOWN = 40


class RecipesScreen(Screen[None]):
    """A list to the left; to the right the jobs that the recipe stands for, and its text."""

    CSS_PATH = "recipes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "recipes",
        Binding("escape,backspace", "back", "Back", key_display="esc"),
        Binding("s", "submit", "Submit", tooltip="Queue the jobs of this recipe"),
        Binding("j", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
    )

    @dataclass
    class Previewed(Message):
        path: Path
        lines: list[list[Cell]]
        usable: bool

    def __init__(self) -> None:
        super().__init__()
        self._paths: list[Path] = []
        self._usable: bool | None = None  # not known until the preview has been made
        self._submit_when_known = False

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        with Horizontal(id="recipes"):
            yield OptionList(id="recipe-list")
            yield TextView(id="preview")
        yield Static(Content("s or enter submits    tab moves to the text"), id="recipes-hint")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        entries = [*_own_recipes().items(), *library.bundled_recipes().items()]
        self._paths = [path for _, path in entries]
        options.add_options([Option(Content(plain_line(name, 80))) for name, _ in entries])
        options.focus()
        options.highlighted = 0 if entries else None
        if not entries:
            self._show(
                [
                    [("No recipe here. Write one, and submit it with", "muted")],
                    [("tunedeck submit FILE", "strong")],
                ]
            )

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._usable, self._submit_when_known = None, False
        self._preview(self._paths[event.option_index])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_submit()

    @work(thread=True, exclusive=True, group="preview", exit_on_error=False)
    def _preview(self, path: Path) -> None:
        """Checking a recipe imports its engines' schemas: not on the UI's thread."""
        lines, usable = _preview_lines(path)
        self.post_message(self.Previewed(path, lines, usable))

    def on_recipes_screen_previewed(self, message: Previewed) -> None:
        if message.path == self._current:
            self._usable = message.usable
            self._show(message.lines)
            if self._submit_when_known:
                self.action_submit()

    def action_submit(self) -> None:
        path = self._current
        if path is None:
            return
        self._submit_when_known = self._usable is None
        if self._usable is None:
            return
        if not self._usable:
            self.notify(
                "This recipe cannot be submitted as it is; the text says why.", severity="warning", timeout=4
            )
            return

        def act(database: Database) -> str:
            _experiment, job_ids, plan = submission.submit(database, path)
            return f"{plan.name}: {len(job_ids)} job{'s' if len(job_ids) != 1 else ''} queued"

        self.app.post_message(Wish(act))
        self.dismiss(None)

    def action_move(self, by: int) -> None:
        options = self.query_one(OptionList)
        (options.action_cursor_down if by > 0 else options.action_cursor_up)()

    def action_back(self) -> None:
        self.dismiss(None)

    @property
    def _current(self) -> Path | None:
        place = self.query_one(OptionList).highlighted
        return self._paths[place] if place is not None else None

    def _show(self, lines: list[list[Cell]]) -> None:
        view = self.query_one(TextView)
        view.show(lines)
        view.scroll_to(y=0, animate=False)


def _own_recipes() -> dict[str, Path]:
    """YAML files of the current directory that look like recipes."""
    found = {}
    for path in sorted([*Path.cwd().glob("*.yaml"), *Path.cwd().glob("*.yml")]):
        if path.is_file() and any(key in _beginning(path) for key in ("engine:", "jobs:")):
            found[f"./{path.name}"] = path
    return found


def _beginning(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(20_000).decode("utf-8", "replace")
    except OSError:
        return ""


def _preview_lines(path: Path) -> tuple[list[list[Cell]], bool]:
    """The jobs of a recipe and its text; or what is wrong with it."""
    try:
        plan = load_recipe(path)
    except (RecipeError, OSError) as error:
        return [
            [("This recipe has mistakes:", "bad")],
            *([(line, "")] for line in plain_lines(str(error))),
        ], False
    count = len(plan.jobs)
    lines: list[list[Cell]] = [
        [
            (f"{count} job{'s' if count != 1 else ''}", "strong"),
            (f"  {plain_line(library.describe(path), 200)}", "muted"),
        ]
    ]
    for job in plan.jobs[:_MOST_JOBS_SHOWN]:
        needs = ", ".join(plain_line(name, 60) for name, _ in job.needs)
        after = f"  after {needs}" if needs else ""
        lines.append([(f"  {plain_line(job.name, 80)}", ""), (f"  {job.engine}", "accent"), (after, "muted")])
    if count > _MOST_JOBS_SHOWN:
        lines.append([(f"  and {count - _MOST_JOBS_SHOWN} more", "muted")])
    return [*lines, [], *yaml_lines(plan.text)], True
