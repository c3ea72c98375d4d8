"""What is left of Textual's painting shows the same on a real terminal emulator as all of it."""

import random
from collections.abc import Callable
from typing import Any

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.cell_diff import SYNC_END, SYNC_START, CellDiff

WIDTH, HEIGHT = 30, 8
STYLES = (
    "",
    "1",
    "38;2;214;219;224;48;2;16;20;24",
    "38;2;86;180;233;48;2;16;20;24",
    "1;31",
    "7;94;48;5;17",
    "3;4;100",
)
TEXTS = ("a", "loss 0.593", "⠘⠒⠁⠑", "   ", "日本", "é́", "x日", "━ ┤┈", "👍")


class Terminal:
    """What a terminal shows after all that it was sent."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.Stream(self.screen)
        self.received = 0

    def write(self, data: str) -> None:
        self.received += len(data.encode())
        self._stream.feed(data.replace("\n", "\r\n"))

    @property
    def shown(self) -> list[list[Any]]:
        return [[self.screen.buffer[row][column] for column in range(WIDTH)] for row in range(HEIGHT)]


def painting(chance: random.Random) -> str:
    """Lines as Textual paints them: a place, then pieces with all of their colours, each followed by a reset."""
    lines = []
    for row in sorted(chance.sample(range(1, HEIGHT + 1), chance.randint(1, 4))):
        column, pieces = chance.randint(1, WIDTH - 12), ""
        for _ in range(chance.randint(1, 2)):
            style, text = chance.choice(STYLES), chance.choice(TEXTS)[:6]
            pieces += f"\x1b[{style}m{text}\x1b[0m" if style else text
        lines.append(f"\x1b[{row};{column}H{pieces}")
    return "\n".join(lines) + "\x1b[3;1H"


@given(seed=st.integers(0, 10**9))
def test_the_screen_is_the_same(seed: int) -> None:
    chance, diff = random.Random(seed), CellDiff()
    whole, thinned = Terminal(), Terminal()
    # Everything is painted once, as it is when a screen opens.
    blank = "\n".join(f"\x1b[{row};1H{' ' * WIDTH}" for row in range(1, HEIGHT + 1))
    for data in [blank, *(painting(chance) for _ in range(8))]:
        whole.write(data)
        thinned.write(diff.thin(data))
        if chance.random() < 0.1:
            diff.forget()

    assert thinned.shown == whole.shown
    assert thinned.received <= whole.received


def test_what_is_there_already_is_not_sent_again() -> None:
    diff = CellDiff()
    line = "\x1b[2;1H\x1b[1;38;2;1;2;3mloss 0.593\x1b[0m\x1b[2;1H"

    assert diff.thin(line) == "\x1b[2;1H\x1b[0;1;38;2;1;2;3mloss 0.593\x1b[2;1H"
    assert diff.thin(line) == ""
    assert diff.thin(line.replace("0.593", "0.591")) == "\x1b[2;10H1\x1b[2;1H"
    bluer = line.replace("1;2;3", "1;2;4").replace("0.593", "0.591")
    assert diff.thin(bluer) == "\x1b[38;2;1;2;4mloss 0.591\x1b[2;1H"


def test_a_frame_without_changes_sends_nothing_at_all() -> None:
    diff = CellDiff()
    first = [diff.thin(data) for data in (SYNC_START, "\x1b[1;1Hhello", SYNC_END)]
    second = [diff.thin(data) for data in (SYNC_START, "\x1b[1;1Hhello", SYNC_END)]

    assert first == ["", f"{SYNC_START}\x1b[1;1H\x1b[0mhello\x1b[1;6H", SYNC_END]
    assert second == ["", "", ""]


@pytest.mark.parametrize(
    ("data", "forgets"),
    [
        ("\x1b[?25l", False),
        ("\x1b]52;c;aGVsbG8=\x07", False),
        ("\x1b[?2026$p", False),
        ("\x1b[>1u", False),
        ("\x07", False),
        ("\x1b[?1049h", True),
        ("\x1b[2J", True),
        ("hello", True),
        ("\x1b[1;1Hdark\x1b[K", True),
    ],
)
def test_what_is_no_painting_goes_through_and_forgets_what_it_may_upset(data: str, forgets: bool) -> None:
    diff = CellDiff()
    diff.thin("\x1b[1;1Hhello\x1b[1;1H")

    assert diff.thin(data) == data
    assert (diff.thin("\x1b[1;1Hhello\x1b[1;1H") != "") is forgets


def test_the_cockpit_looks_the_same_on_a_terminal(bench: Any, visit: Callable[..., None]) -> None:
    """The frames of a real session, whole and thinned, through two emulators."""
    bench.enqueue("a", "b", "c")
    job = bench.start()
    bench.train(job, 1, 20)
    whole, thinned, diff = pyte.Screen(80, 24), pyte.Screen(80, 24), CellDiff()
    streams = pyte.Stream(whole), pyte.Stream(thinned)
    sizes = [0, 0]

    async def scenario(person: Any) -> None:
        def send() -> None:
            console = person.app.console
            frame = person.app.screen._compositor.render_update(full=True)
            for index, data in enumerate((frame.render_segments(console), None)):
                text = diff.thin(frame.render_segments(console)) if data is None else data
                sizes[index] += len(text.encode())
                streams[index].feed(text.replace("\n", "\r\n"))

        await person.sees("● running")
        send()
        await person.press("enter")
        await person.sees("loss")
        send()
        bench.train(job, 21, 40)
        await person.sees("40/100")
        send()
        await person.press("question_mark")
        await person.sees("Keys")
        send()

    visit(scenario)
    assert [[whole.buffer[y][x] for x in range(80)] for y in range(24)] == [
        [thinned.buffer[y][x] for x in range(80)] for y in range(24)
    ]
    assert sizes[1] < sizes[0]
