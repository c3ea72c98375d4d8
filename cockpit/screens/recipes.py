"""The recipes at hand: those that come with Tunedeck and those of the current directory. See what one does, submit it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from cockpit.asked import Wish, WishRefused
from cockpit.keymap import named
from cockpit.plain_text import plain_line
from cockpit.recipe_edits import FOLDER
from cockpit.screens.confirm import ConfirmScreen
from cockpit.screens.editor import edit
from cockpit.screens.left_view import cockpit_of
from cockpit.screens.recipe_form import RecipeForm
from cockpit.screens.recipe_text import Preview, has_words, preview, recipes_at_hand
from cockpit.submission import submit_now
from cockpit.widgets.banner import Banner
from cockpit.widgets.cells import Cell
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.text_view import TextView
from engines.recipe.errors import RecipeError


class RecipesScreen(Screen[None]):
    """A list to the left; to the right the jobs that the recipe stands for, how long they may take, and its text."""

    follows_moment = False
    CSS_PATH = "recipes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "recipes",
        Binding("escape,backspace", "back", "Back", key_display="esc"),
        Binding("s", "submit", "Submit", tooltip="Queue the jobs of this recipe"),
        Binding("e", "edit", "Edit", tooltip="Change fields in a form that explains them"),
        Binding("E", "editor", "Editor", tooltip="Edit a copy in $VISUAL or $EDITOR"),
        Binding("slash", "search", "Search", key_display="/", tooltip="Recipes with these words in name or description"),
        Binding("j", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
    )  # fmt: skip

    @dataclass
    class Previewed(Message):
        path: Path
        overrides: list[str]
        preview: Preview

    def __init__(self) -> None:
        super().__init__()
        self._recipes: list[tuple[str, Path]] = []
        self._shown: list[tuple[str, Path]] = []
        self._preview: Preview | None = None  # not known until it has been made
        self._overrides: list[str] = []
        self._submit_when_known = False

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        with Horizontal(id="recipes"):
            yield OptionList(id="recipe-list")
            yield TextView(id="preview")
        yield Input(placeholder="words in name or description", id="recipe-search", compact=True)
        yield Static(Content("s or enter submits    tab moves to the text"), id="recipes-hint")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#recipe-search").display = False
        self._list()
        self.query_one(OptionList).focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._look_at_current()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_submit()

    def _list(self, at: Path | None = None) -> None:
        """Fills the list, with the cursor on a recipe."""
        folder = cockpit_of(self).home / FOLDER
        self._recipes = list(recipes_at_hand(folder).items())
        self._narrow(at)
        if at is not None and self._current != at:
            # The search would hide what the person has just made.
            box = self.query_one("#recipe-search", Input)
            box.value, box.display = "", False
            self._narrow(at)

    def _narrow(self, at: Path | None = None) -> None:
        words = self.query_one("#recipe-search", Input).value.casefold().split()
        self._shown = [(name, path) for name, path in self._recipes if has_words(name, path, words)]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(Content(plain_line(name, 80))) for name, _ in self._shown])
        places = [place for place, (_, path) in enumerate(self._shown) if path == at]
        options.highlighted = (places or [0])[0] if self._shown else None
        if not self._shown:
            told = "No recipe has these words." if words else "No recipe here. Write one, and submit it with"
            command = "" if words else "tunedeck submit FILE"
            self._preview = None
            self._show([[(told, "muted")], [(command, "strong")]])

    def _look_at_current(self) -> None:
        self._preview, self._submit_when_known = None, False
        if path := self._current:
            self._look_at(path, [])

    @work(thread=True, exclusive=True, group="preview", exit_on_error=False)
    def _look_at(self, path: Path, overrides: list[str]) -> None:
        """Checking a recipe imports its engines' schemas: not on the UI's thread."""
        found = preview(path, cockpit_of(self).feed.database, overrides)
        self.post_message(self.Previewed(path, overrides, found))

    def on_recipes_screen_previewed(self, message: Previewed) -> None:
        if message.path == self._current:
            self._preview, self._overrides = message.preview, message.overrides
            self._show(message.preview.lines)
            if self._submit_when_known:
                self.action_submit()

    def action_submit(self) -> None:
        self._submit_when_known = self._preview is None
        if self._preview is not None and (path := self._current):
            self._ask_to_submit(path, self._preview, self._overrides)

    def _ask_to_submit(self, path: Path, known: Preview, overrides: list[str]) -> None:
        if known.plan is None:
            told = "This recipe cannot be submitted as it is; the text says why."
            self.notify(told, severity="warning", timeout=4)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.post_message(Wish(partial(submit_now, path=path, overrides=overrides)))
                self.dismiss(None)

        count = len(known.plan.jobs)
        question = f"Queue {count} job{'s' if count != 1 else ''} of {plain_line(known.plan.name, 60)}?"
        self.app.push_screen(ConfirmScreen(question, known.estimate, "Queue"), answered)

    def action_edit(self) -> None:
        path = self._current
        if path is None:
            return
        try:
            form = RecipeForm(path, self._shown[self.query_one(OptionList).highlighted or 0][0])
        except (RecipeError, OSError):
            self.notify("This file is no recipe that a form could show; E opens an editor.", timeout=5)
            return

        def answered(overrides: list[str] | None) -> None:
            if overrides is None:
                self._list(path)
            else:
                self._preview, self._submit_when_known = None, True
                self._look_at(path, overrides)

        self.app.push_screen(form, answered)

    def action_editor(self) -> None:
        if (path := self._current) is None:
            return
        if cockpit_of(self).read_only:
            self.post_message(WishRefused("this cockpit only looks: it was opened with --read-only"))
            return
        edited, said = edit(self.app, path, cockpit_of(self).home / FOLDER)
        self.notify(plain_line(said, 300), timeout=6, markup=False)
        self._list(edited)

    def action_search(self) -> None:
        box = self.query_one("#recipe-search", Input)
        box.display = True
        self.set_focus(box)

    @on(Input.Changed, "#recipe-search")
    def _search_changed(self, event: Input.Changed) -> None:
        self._narrow(self._current)

    @on(Input.Submitted, "#recipe-search")
    def _search_submitted(self, event: Input.Submitted) -> None:
        event.input.display = bool(event.value)
        self.query_one(OptionList).focus()

    def action_move(self, by: int) -> None:
        options = self.query_one(OptionList)
        (options.action_cursor_down if by > 0 else options.action_cursor_up)()

    def action_back(self) -> None:
        box = self.query_one("#recipe-search", Input)
        if box.display:
            box.value, box.display = "", False
            self.query_one(OptionList).focus()
        else:
            self.dismiss(None)

    @property
    def _current(self) -> Path | None:
        place = self.query_one(OptionList).highlighted
        return self._shown[place][1] if place is not None and place < len(self._shown) else None

    def _show(self, lines: list[list[Cell]]) -> None:
        view = self.query_one(TextView)
        view.show(lines)
        view.scroll_to(y=0, animate=False)
