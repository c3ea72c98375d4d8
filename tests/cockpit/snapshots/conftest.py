"""Screens as text that can be reviewed: every size, every theme, without colours and in ASCII.

A scenario presses keys and takes shots. Each is one file below `__snapshots__/`: the text at three sizes, and how the
smallest of them is painted, as a letter for every cell and a line for every letter that says what it is in each theme.
That the ASCII text is what `cockpit.glyphs` makes of it is checked, and not kept.
"""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.style import Style
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual import events
from textual._context import visible_screen_stack
from textual.filter import NoColor
from textual.geometry import Size
from textual.screen import SystemModalScreen
from textual.strip import Strip

from cockpit import themes
from cockpit.app import Cockpit
from cockpit.ascii_filter import AsciiFilter
from cockpit.feed import Feed
from cockpit.glyphs import to_ascii
from store.database import Database

WAIT_SECONDS = 60.0
SMALL, MEDIUM, LARGE = (80, 24), (100, 30), (200, 50)
LOOKS = themes.OURS


@pytest.fixture(autouse=True)
def still(clock: Any, same_machine: None) -> None:
    """Neither time nor machine can be told from a picture."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path of the same length wherever the tests run: relative."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "cwd", classmethod(lambda cls: cls()))
    return Path("home")


class Rounds:
    """Counts how often the feed has looked at everything. It does not rest before it has done so `wanted` times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.wanted, wait = 0, 0, Feed._wait

        def counted(feed: Feed) -> None:
            self.count += 1
            if self.count >= self.wanted:
                wait(feed)

        monkeypatch.setattr(Feed, "_wait", counted)


Cell = tuple[str, str]
"""A character and how it is painted, in words."""


@dataclass
class Shot:
    """What was seen of one state of one screen."""

    texts: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    cells: dict[str, list[list[Cell]]] = field(default_factory=dict)
    ascii: list[str] = field(default_factory=list)


class Text(SingleFileSnapshotExtension):
    file_extension = "txt"
    _write_mode = WriteMode.TEXT


class Person:
    """Somebody at a cockpit who presses keys and takes pictures."""

    def __init__(self, pilot: Any, rounds: Rounds) -> None:
        self.pilot, self.app = pilot, pilot.app
        self.shots: dict[str, Shot] = {}
        self._rounds = rounds
        self._size = Size(*SMALL)

    @property
    def strips(self) -> list[Strip]:
        """What is on the screen, with what a dialog lets through of the screens below."""
        visible_screen_stack.set(self.app._background_screens)
        return self.app.screen._compositor.render_strips()

    @property
    def lines(self) -> list[str]:
        return [strip.text for strip in self.strips]

    async def press(self, *keys: str) -> None:
        """One key after the other, each when what the one before did is on the screen."""
        for key in keys:
            self.app.post_message(events.Key(key, key if len(key) == 1 else None))
            await self.settled()

    async def type(self, text: str) -> None:
        for character in text:
            key = {" ": "space", "/": "slash"}.get(character, character)
            self.app.post_message(events.Key(key, character))
        await self.settled()

    async def sees(self, *parts: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            await self.settled()
            if all(part in "\n".join(self.lines) for part in parts):
                return
            assert time.monotonic() < deadline, f"waited in vain for {parts}\n" + "\n".join(self.lines)
            await asyncio.sleep(0.02)

    async def settled(self) -> None:
        """Until the feed has looked at everything twice, no worker is at work, and the picture is as it was before that."""
        before: list[str] = []
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            assert time.monotonic() < deadline, "the screen never comes to rest\n" + "\n".join(before)
            self._rounds.wanted = self._rounds.count + 2
            self.app.feed.look_now()
            while self._rounds.count < self._rounds.wanted:
                await asyncio.sleep(0.001)
            # Twice: what the first round of messages brings about may post a second one.
            for _ in range(2):
                await self._flushed()
                self.app.screen._on_timer_update()
            busy = any(not worker.is_finished for worker in self.app.workers if worker.group != "feed")
            now = self.lines
            if now == before and not busy and self.app.screen._compositor.size == self._size:
                return
            before = now

    async def _flushed(self) -> None:
        """Until everybody on any screen, also below a dialog, has read the messages that are there now."""
        screens = [node for screen in self.app.screen_stack for node in screen.walk_children(with_self=True)]
        told = [(pump, asyncio.Event()) for pump in (self.app, *screens)]
        for pump, event in [one for one in told if one[0].call_later(one[1].set)]:
            while not event.is_set() and pump.is_running:
                await asyncio.sleep(0)

    async def shot(self, name: str, *, sizes: Sequence[tuple[int, int]] = (MEDIUM, LARGE)) -> None:
        """Takes the pictures of what is on the screen; afterwards everything is as it was.

        What was scrolled to is seen at one size alone: on a larger screen it may be in sight without.
        """
        shot = self.shots[name] = Shot()
        await self.settled()
        text = shot.texts[SMALL] = self.lines
        shot.cells[LOOKS[0].name] = self.cells
        # Themes are dear: all of them for the first shot of a scenario, dark and light for the others.
        others = LOOKS[1:] if len(self.shots) == 1 else LOOKS[1:2]
        # Textual's palette keeps the theme in which it was opened.
        for look in () if isinstance(self.app.screen, SystemModalScreen) else others:
            self.app.theme = look.name
            await self.settled()
            assert self.lines == text, f"the theme {look.name} changes the text"
            shot.cells[look.name] = self.cells
        await self._take_plain(shot)
        for size in (*sizes, SMALL):
            self._size = self.app._driver._size = Size(*size)
            self.app.post_message(events.Resize(self._size, self._size))
            await self.settled()
            # What the new layout brings about, such as a bar with other words, may come a moment after it.
            await self.settled()
            await self._returned(shot.texts.setdefault(size, self.lines))

    async def _returned(self, text: list[str]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while self.lines != text:
            assert time.monotonic() < deadline, "the screen remembers its last size\n" + "\n".join(self.lines)
            await self.settled()

    async def _take_plain(self, shot: Shot) -> None:
        """As the cockpit would be if it had been started under NO_COLOR and with nothing but ASCII."""
        app, filters = self.app, list(self.app._filters)
        app.no_color, app.ansi_color = True, True
        app._filters += [NoColor(), AsciiFilter()]
        app.theme = themes.NO_COLOR
        await self.settled()
        shot.ascii, shot.cells["NO_COLOR"] = self.lines, self.cells
        app.no_color, app.ansi_color, app._filters = False, None, filters
        app.theme = LOOKS[0].name
        await self.settled()

    @property
    def cells(self) -> list[list[Cell]]:
        rows = []
        for strip in self.strips:
            cells: list[Cell] = []
            for segment in strip:
                for character in segment.text:
                    way = painted(character == " ", segment.style or Style())
                    cells += [(character, way), ("", way)][: max(cell_len(character), 1)]
            rows.append(cells)
        return rows


@cache
def painted(blank: bool, style: Style) -> str:
    """`#d6dbe0 on #101418 bold`. Of a blank only what can be seen is said."""
    names = [
        name for name in ("bold", "dim", "italic", "underline", "strike", "reverse") if getattr(style, name)
    ]
    front, back = (_colour(one) for one in (style.color, style.bgcolor))
    if blank and not {"reverse", "underline", "strike"} & set(names):
        front, names = "", []
    return " ".join(part for part in (front, f"on {back}" if back else "", *names) if part) or "plain"


def _colour(colour: Any) -> str:
    if colour is None or colour.is_default:
        return ""
    return colour.triplet.hex if colour.triplet else colour.name


Scenario = Callable[[Person], Awaitable[None]]


@pytest.fixture
def visit_still(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Shot]]:
    """Runs a scenario at the smallest size and returns the shots that it took."""
    rounds = Rounds(monkeypatch)

    def run(scenario: Scenario, **options: Any) -> dict[str, Shot]:
        async def session() -> dict[str, Shot]:
            app = Cockpit(database, poll_seconds=0.02, **options)
            async with app.run_test(size=SMALL, notifications=True) as pilot:
                person = Person(pilot, rounds)
                await scenario(person)
                return person.shots

        # A quarter of the time went into looking for garbage in a heap that holds all that the tests import.
        gc.disable()
        try:
            return asyncio.run(session())
        finally:
            gc.enable()

    return run


@pytest.fixture
def play(visit_still: Callable[..., dict[str, Shot]], snapshot: SnapshotAssertion) -> Callable[..., None]:
    """Runs a scenario, and compares every shot of it with the one that is kept."""
    kept = snapshot.use_extension(Text)

    def play(scenario: Scenario, **options: Any) -> None:
        for name, shot in visit_still(scenario, **options).items():
            assert kept(name=name) == described(shot)

    return play


def described(shot: Shot) -> str:
    """The file of a shot: its text at each size, then how the smallest is painted in each look."""
    in_ascii = ["".join(to_ascii(one) * max(cell_len(one), 1) for one in line) for line in shot.texts[SMALL]]
    assert in_ascii == shot.ascii
    unknown = {one for lines in shot.texts.values() for line in lines for one in line if to_ascii(one) == "?"}
    assert unknown <= {"?", "\N{REPLACEMENT CHARACTER}"}, f"in ASCII nothing stands for {unknown}"
    assert all(line.isascii() for line in shot.ascii)
    assert all(len(shot.texts[size]) == size[1] for size in shot.texts)
    parts = []
    for (width, height), lines in shot.texts.items():
        kept = "\n".join(line.rstrip() for line in lines).rstrip("\n")
        parts.append(f"{f' {width}x{height} ':=^{width}}\n{kept}\n")
    return "\n".join([*parts, _painting(shot)])


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def _painting(shot: Shot) -> str:
    """A letter for each way in which cells are painted, where it is, and what it is in each look."""
    looks = list(shot.cells)
    rows = [
        [tuple(shot.cells[look][y][x][1] for look in looks) for x in range(SMALL[0])] for y in range(SMALL[1])
    ]
    ways = list(dict.fromkeys(way for row in rows for way in row))
    letters = dict(zip(ways, _LETTERS, strict=False))
    assert len(letters) == len(ways)
    ground = Counter(way for row in rows for way in row).most_common(1)[0][0]
    letters[ground] = "."
    chart = "\n".join("".join(letters[way] for way in row) for row in rows)
    width = max(len(word) for way in ways for word in way)
    legend = [f"  {'  '.join(look.ljust(width) for look in looks)}".rstrip()]
    legend += [f"{letters[way]} {'  '.join(word.ljust(width) for word in way)}".rstrip() for way in ways]
    return f"{' painted ':=^{SMALL[0]}}\n{chart}\n\n" + "\n".join(legend) + "\n"
