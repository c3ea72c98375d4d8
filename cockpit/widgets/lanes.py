"""GPUs as lanes: a line a card with who holds it and how busy it has been, as sparklines."""

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from cockpit.feed import Feed
from cockpit.messages import LanesRead
from cockpit.plain_text import plain_line
from cockpit.widgets.cells import Cell, fit
from store.database import Database
from store.lanes import Lane, read_lanes

SAMPLES = 24
WIDE = 200
"""From so many cells on, the queue shows the lanes too."""
GIB = 1 << 30
_STEPS = "▁▂▃▄▅▆▇█"
_PAINTS = {"muted": "$foreground 60%", "good": "$success", "attention": "$warning", "accent": "$primary"}


class LanesView(Static):
    """The lanes above the queue, on a screen that is wide enough and a machine that has cards."""

    def __init__(self, feed: Feed) -> None:
        super().__init__("", markup=False, id="lanes")
        self._feed = feed
        self._lanes: Sequence[Lane] = ()

    def watch_feed(self) -> None:
        self._feed.watch(self, read)

    def on_lanes_read(self, read: LanesRead) -> None:
        self._lanes = read.lanes
        self.draw()

    def draw(self) -> None:
        """Also when the screen has another size: what is not displayed hears of no size of its own."""
        width = self.app.size.width
        self.display = bool(self._lanes) and width >= WIDE
        if self.display:
            lines = [lane_cells(lane, number, width - 2) for number, lane in enumerate(self._lanes)]
            painted = [
                Content.assemble(*((text, _PAINTS.get(paint, "")) for text, paint in line)) for line in lines
            ]
            content = Content("\n").join(painted)
            if self.content != content:
                self.update(content)


def read(database: Database) -> LanesRead:
    return LanesRead(read_lanes(database, SAMPLES))


def lane_cells(lane: Lane, number: int, width: int) -> list[Cell]:
    """One card in one line: number, who has it, use and memory with their histories, and why it is blocked."""
    size = lane.memory_bytes / GIB if lane.memory_bytes else None
    used = f"{lane.memory[-1]:.1f}" if lane.memory else "-"
    whole = f"/{size:.0f} GiB" if size else " GiB"
    samples = SAMPLES if width >= 120 else 12
    use: list[Cell] = [
        (fit(f"{lane.util[-1]:.0f}%" if lane.util else "-", 5, right=True) + " ", ""),
        (sparkline(lane.util, 100.0, samples), "accent"),
    ]
    memory: list[Cell] = [
        (fit(f"{used}{whole}", 15, right=True) + " ", ""),
        (sparkline(lane.memory, size or max(lane.memory, default=1.0), samples), "good"),
    ]
    taken = sum(len(text) for text, _ in (*use, *memory))
    name = f"GPU {number} "
    who, paint = _holder(lane)
    room = max(min(width - taken - len(name) - 1, 80), 8)
    if not lane.util and len(who) > room:
        # An empty history says less than the rest of the text.
        room, use = room + sum(len(text) for text, _ in use), []
    return [(name, ""), (fit(who, room) + " ", paint), *use, *memory]


def sparkline(values: Sequence[float], top: float, width: int) -> str:
    """The newest values as bars of eight heights from 0 to `top`, exactly `width` cells."""
    shown = values[-width:]
    bars = [
        _STEPS[min(max(int(value / top * len(_STEPS)), 0), len(_STEPS) - 1)] if top else _STEPS[0]
        for value in shown
    ]
    return "".join(bars).rjust(width)


def _holder(lane: Lane) -> Cell:
    if lane.blocked:
        return f"‖ {plain_line(lane.blocked, 200)}", "attention"
    if not lane.holders:
        return "□ free", "muted"
    shares = (
        f"#{one.job_id} {plain_line(one.name, 120)}"
        + (f" ({one.memory_bytes / GIB:.3g} GiB)" if one.memory_bytes is not None else "")
        for one in lane.holders
    )
    return f"■ {', '.join(shares)}", ""
