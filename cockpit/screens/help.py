"""Every key that works right now, generated from the bindings, so that it cannot be wrong."""

from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from cockpit.keymap import named

_TEXT_WIDTH = 64
"""Of the box, less its borders, padding and scrollbar."""


class HelpScreen(ModalScreen[None]):
    """A list of keys by where they work."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "help",
        Binding("escape,q,question_mark", "dismiss(None)", "Close"),
        Binding("j,down", "scroll(1)", "Down", show=False),
        Binding("k,up", "scroll(-1)", "Up", show=False),
    )

    def __init__(self, groups: list[tuple[str, list[tuple[str, str]]]]) -> None:
        super().__init__()
        self._groups = groups

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help-box") as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            for title, keys in self._groups:
                yield Static(Content.styled(title, "bold $primary"), classes="help-title")
                width = max(len(key) for key, _ in keys)
                lines = [
                    Content.assemble((key.ljust(width + 3), "bold"), _hung(description, width + 3))
                    for key, description in keys
                ]
                yield Static(Content("\n").join(lines))

    def action_scroll(self, by: int) -> None:
        self.query_one("#help-box").scroll_relative(y=by, animate=False)


def _hung(description: str, indent: int) -> str:
    """In lines that fit into the box, below each other and not below the key."""
    return f"\n{' ' * indent}".join(wrap(description, max(_TEXT_WIDTH - indent, 20)))


def help_groups(screen: Screen[object]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The active bindings of a screen, by the widget, screen or app that has them."""
    rows: dict[str, dict[tuple[str, str], list[str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or binding.system:
            continue
        key = binding.key_display or screen.app.get_key_display(binding)
        entry = (binding.action, binding.tooltip or binding.description)
        rows.setdefault(_title(active.node, screen), {}).setdefault(entry, []).append(key)
    return [
        (title, [(" ".join(dict.fromkeys(keys)), text) for (_, text), keys in rows[title].items()])
        for title in sorted(rows, key=_TITLES.index)
    ]


_TITLES = ("On this screen", "In the list or view with the focus", "Everywhere")


def _title(node: DOMNode, screen: Screen[object]) -> str:
    return _TITLES[0 if node is screen else 2 if node is screen.app else 1]
