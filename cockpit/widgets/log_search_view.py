"""A log that can be searched: the scan runs in a thread, says how far it is, and jumps to the line it finds."""

import re
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from cockpit import log_search
from cockpit.keymap import named
from cockpit.screens.ask_line import AskLine
from cockpit.widgets.log_view import LogView
from store.patterns import PatternError, asks_for_capitals, compiled


class SearchableLog(LogView):
    """Asks what to look for and where to go; `n` and `N` look on from the last line found."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "log",
        Binding("slash", "search", "Search", key_display="/", tooltip="Search downwards for a regular expression"),
        Binding("n", "look(True)", "Next found", show=False, tooltip="Look on, downwards"),
        Binding("N", "look(False)", "Previous found", show=False, tooltip="Look on, upwards"),
        Binding("percent_sign", "ask_place", "Go to", show=False, key_display="%", tooltip="Go to a percentage or a byte"),
    )  # fmt: skip

    _text = ""
    _found: tuple[int, int] | None = None

    def action_search(self) -> None:
        def answered(text: str | None) -> None:
            if text:
                self._text, self._found = text, None
                self.pattern = compiled(text, ignore_case=not asks_for_capitals(text))
                self.action_look(True)

        question = "Search for a regular expression (small letters match capitals); n and N look on"
        self.app.push_screen(AskLine(question, self._text, _wrong_pattern), answered)

    def action_look(self, forwards: bool) -> None:
        if not self._text:
            self.action_search()
            return
        # From the line found last as long as it is where the person left it, else from what is shown.
        start, end = self._found if self._found and self._found[0] == self.top else (self.top, self.top)
        self._look(self._text, end if forwards else start, forwards)

    def action_ask_place(self) -> None:
        def answered(text: str | None) -> None:
            unit, value = (_place(text) if text else None) or ("", 0.0)
            if unit == "%":
                self.go_to_share(value / 100)
            elif unit:
                self.jump(int(value))

        self.app.push_screen(
            AskLine("Go to a percentage, as 50%, or to a byte, as 123456", "", _wrong_place), answered
        )

    @work(thread=True, exclusive=True, group="search", exit_on_error=False)
    def _look(self, text: str, place: int, forwards: bool) -> None:
        worker, tell = get_current_worker(), self.app.call_from_thread
        size = max(self._path.stat().st_size, 1) if self._path.exists() else 1

        said = ""

        def told(reached: int) -> bool:
            nonlocal said
            note = f"searching: {100 * reached / size:.0f}%"
            if note != said and not worker.is_cancelled:
                said = note
                tell(self._say, note)
            return not worker.is_cancelled

        found = log_search.find(self._path, log_search.compile_pattern(text), place, forwards, told)
        if not worker.is_cancelled:
            tell(self._tell_found, found, forwards)

    def _say(self, note: str) -> None:
        self.note = note
        self.draw()

    def _tell_found(self, found: tuple[int, int] | None, forwards: bool) -> None:
        self.note = f"`{self._text}` at byte {found[0]:,}" if found else (
            f"`{self._text}` is not {'below' if forwards else 'above'}"
        )  # fmt: skip
        if found:
            self._found = found
            self.jump(found[0])
        self.draw()


def _wrong_pattern(text: str) -> str:
    try:
        log_search.compile_pattern(text)
    except PatternError as error:
        return f"no regular expression: {error}"
    return ""


def _place(text: str) -> tuple[str, float] | None:
    """("%", 50.0) or ("byte", 123456.0); None for what is neither."""
    match = re.fullmatch(r"\s*([\d,_]+|\d+\.\d*)\s*(%?)\s*", text)
    if not match:
        return None
    return "%" if match[2] else "byte", float(match[1].replace(",", "").replace("_", "") or 0)


def _wrong_place(text: str) -> str:
    return "" if not text or _place(text) else f"`{text}` is no place; write 50% or a number of bytes"
