"""A recipe as a form built from its engine's schema: what each field means, and what is wrong while it is typed."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from cockpit.asked import Wish
from cockpit.keymap import named
from cockpit.plain_text import plain_line, plain_lines
from cockpit.recipe_edits import FOLDER, FormRow, copy_changed, form_rows, jobs_of_recipe, problem_of
from cockpit.screens.field_text import field_table, help_lines
from cockpit.screens.left_view import cockpit_of
from cockpit.widgets.banner import Banner
from cockpit.widgets.row_list import RowList
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.text_view import TextView
from engines.recipe.errors import RecipeError
from store.database import Database

_SCROLLBAR = 1


class RecipeForm(Screen[list[str] | None]):
    """Answers the changes to submit, as `--set` has them; None where the person went back."""

    follows_moment = False
    CSS_PATH = "recipe_form.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "form",
        Binding("escape", "back", "Back", key_display="esc"),
        Binding("s", "submit", "Submit", tooltip="Queue the jobs with these changes"),
        Binding(
            "w", "write", "Write", tooltip="Write a copy of the recipe with these changes among your own"
        ),
        Binding("x", "reset", "Reset", tooltip="Take the change of this field back"),
        Binding(
            "slash", "filter", "Filter", key_display="/", tooltip="Fields with this text in name or help"
        ),
        Binding("right,l", "job(1)", "Next job", show=False),
        Binding("left,h", "job(-1)", "Previous job", show=False),
    )

    @dataclass
    class Checked(Message):
        changes: dict[str, str]
        problem: str
        count: int

    def __init__(self, path: Path, name: str) -> None:
        super().__init__()
        self._path, self._recipe_name = path, name
        self._jobs = jobs_of_recipe(path)
        self._job = 0
        self._changes: dict[str, str] = {}
        self._rows: list[FormRow] = []
        self._filter = ""
        self._editing: FormRow | None = None
        self._accept_when_known = False
        self._checked: RecipeForm.Checked | None = None

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield Static("", id="form-title", markup=False)
        yield RowList(id="fields")
        yield TextView(id="field-help")
        yield Input(id="value", compact=True)
        yield Input(id="field-filter", placeholder="text in a field's name or help", compact=True)
        yield Static("", id="form-status", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#field-help").can_focus = False
        self.query_one("#value").display = self.query_one("#field-filter").display = False
        self.query_one(RowList).focus()
        self._draw()
        self._check(self._changes)

    def on_resize(self) -> None:
        self._draw()

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        self._describe()

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        row = self._current
        if row is None:
            return
        if row.target is None:
            self.notify("The matrix sets this field; E in the list of recipes opens an editor.", timeout=5)
            return
        self._editing = row
        box = self.query_one("#value", Input)
        box.value, box.display = row.value if row.value != "required" else "", True
        self.set_focus(box)

    @on(Input.Changed, "#value")
    def _value_changed(self, event: Input.Changed) -> None:
        if self._editing is not None:
            self._accept_when_known = False
            self._check(self._with(event.value))

    @on(Input.Submitted, "#value")
    def _value_submitted(self, event: Input.Submitted) -> None:
        wanted = self._with(event.value)
        if self._checked is None or self._checked.changes != wanted:
            self._accept_when_known = True
            self._check(wanted)
        elif not self._checked.problem:
            self._changes = wanted
            self._stop_editing()

    @on(Input.Changed, "#field-filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._filter = event.value.strip().casefold()
        self._draw()

    @on(Input.Submitted, "#field-filter")
    def _filter_submitted(self, event: Input.Submitted) -> None:
        event.input.display = bool(event.value)
        self.query_one(RowList).focus()

    @work(thread=True, exclusive=True, group="check", exit_on_error=False)
    def _check(self, changes: dict[str, str]) -> None:
        """Expands the whole recipe, as submitting it would: not on the UI's thread."""
        problem, count = problem_of(self._path, _overrides(changes))
        self.post_message(self.Checked(changes, problem, count))

    def on_recipe_form_checked(self, message: Checked) -> None:
        box = self.query_one("#value", Input)
        if message.changes != (self._with(box.value) if self._editing else self._changes):
            return
        self._checked = message
        status = self.query_one("#form-status", Static)
        if message.problem:
            status.update(Content.styled("✗ " + "\n".join(plain_lines(message.problem)[:4]), "$error"))
        else:
            status.update(Content.styled(f"✓ {message.count} job{'s' * (message.count != 1)}", "$success"))
            if self._accept_when_known:
                self._accept_when_known = False
                self._changes = message.changes
                self._stop_editing()

    def action_job(self, by: int) -> None:
        self._job = (self._job + by) % len(self._jobs)
        self._draw()

    def action_filter(self) -> None:
        box = self.query_one("#field-filter", Input)
        box.display = True
        self.set_focus(box)

    def action_reset(self) -> None:
        if (row := self._current) and row.target in self._changes:
            self._changes = {key: text for key, text in self._changes.items() if key != row.target}
            self._stop_editing()
            self._check(self._changes)

    def action_submit(self) -> None:
        if self._checked and self._checked.changes == self._changes and not self._checked.problem:
            self.dismiss(_overrides(self._changes))
        else:
            self.notify(
                "These values cannot be submitted; the line below says why.", severity="warning", timeout=4
            )

    def action_write(self) -> None:
        path, overrides, folder = self._path, _overrides(self._changes), cockpit_of(self).home / FOLDER

        def act(database: Database) -> str:
            return f"Written: {copy_changed(path, overrides, folder)}"

        self.app.post_message(Wish(act))

    def action_back(self) -> None:
        filtering = self.query_one("#field-filter", Input)
        if self._editing is not None:
            self._stop_editing()
            self._check(self._changes)
        elif filtering.display:
            filtering.value, filtering.display = "", False
            self.query_one(RowList).focus()
        else:
            self.dismiss(None)

    @property
    def _current(self) -> FormRow | None:
        cursor = self.query_one(RowList).cursor
        return self._rows[cursor] if cursor < len(self._rows) else None

    def _with(self, text: str) -> dict[str, str]:
        """The changes, with what is being typed. A field that says what it said before is none."""
        row = self._editing
        if row is None or row.target is None or (text == row.value and row.target not in self._changes):
            return self._changes
        return self._changes | {row.target: text}

    def _stop_editing(self) -> None:
        self._editing = None
        self.query_one("#value").display = False
        self.query_one(RowList).focus()
        self._draw()

    def _draw(self) -> None:
        job = self._jobs[self._job]
        try:
            rows = form_rows(self._path, job, _overrides(self._changes))
        except (RecipeError, OSError) as error:
            self.query_one("#form-status", Static).update(Content("\n".join(plain_lines(str(error))[:4])))
            rows = []
        sought = self._filter
        self._rows = [r for r in rows if sought in f"{r.field.key} {r.field.help}".casefold()]
        which = f"   job {plain_line(job, 60)} ({self._job + 1} of {len(self._jobs)}, ← →)" if job else ""
        changed = f"   {len(self._changes)} changed" if self._changes else ""
        title = f"{plain_line(self._recipe_name, 60)}{which}{changed}   enter edits"
        self.query_one("#form-title", Static).update(Content(title))
        self.query_one(RowList).show(
            *field_table(self._rows, self._changes, self.size.width - 2 - _SCROLLBAR)
        )
        self._describe()

    def _describe(self) -> None:
        row = self._current
        lines = help_lines(row) if row else []
        self.query_one("#field-help", TextView).show(lines)


def _overrides(changes: dict[str, str]) -> list[str]:
    return [f"{key}={text}" for key, text in changes.items()]
