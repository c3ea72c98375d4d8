"""The line on top of every screen: what runs and waits, slots taken, and whether a daemon is there."""

from textual.app import App
from textual.content import Content
from textual.widgets import Static

from cockpit.glyphs import STATUS_GLYPHS
from cockpit.messages import Slots
from cockpit.widgets.replay_bar import ReplayBar
from store.schema import ACTIVE, WAITING, Status

_BRAND = ("tunedeck", "bold $primary")
_MOST_BOXES = 16


class SlotBar(Static):
    """Follows `app.slots`, and the meter where that runs. Redrawn only when they change."""

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def on_mount(self) -> None:
        self.screen.mount(ReplayBar(), after=self)
        for name in ("slots", "low_bandwidth", "bytes_a_second"):
            self.watch(self.app, name, self._show, init=False)
        self._show()

    def on_resize(self) -> None:
        self._show()

    def _show(self) -> None:
        slots: Slots | None = getattr(self.app, "slots", None)
        if self.size.width:
            parts = _parts(slots, _mode(self.app), self.size.width) if slots else [_BRAND]
            self.update(Content.assemble(*parts))


def _mode(app: App[object]) -> list[tuple[str, str]]:
    """What is unusual about this cockpit."""
    parts: list[tuple[str, str]] = []
    if getattr(app, "read_only", False):
        parts.append(("looks only", "bold $warning"))
    if getattr(app, "low_bandwidth", False):
        parts.append((f"{getattr(app, 'bytes_a_second', 0):,.0f} B/s", "$warning"))
    return [part for mode in parts for part in (mode, ("  ", ""))]


def _parts(slots: Slots, mode: list[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """The wordiest form that fits."""
    for brand, words, boxes in (
        ([_BRAND], True, True),
        ([_BRAND], True, False),
        ([], True, False),
        ([], False, False),
    ):
        left = [*brand, *_counts(slots, words, bool(brand))]
        right = [*mode, *_machine(slots, boxes, bool(brand))]
        free = width - sum(len(text) for text, _ in (*left, *right))
        if free >= 1:
            break
    return [*left, (" " * max(free, 1), ""), *right]


def _counts(slots: Slots, words: bool, loose: bool) -> list[tuple[str, str]]:
    counts = (
        (Status.RUNNING, "running", slots.count(*ACTIVE), "$primary"),
        (Status.QUEUED, "waiting", slots.count(*WAITING), "$foreground"),
        (Status.SUCCEEDED, "done", slots.count(Status.SUCCEEDED), "$success"),
        (Status.FAILED, "failed", slots.count(Status.FAILED, Status.LOST), "$error"),
    )
    gap, space = ("  ", " ") if loose else ("", "")
    return [
        (f"{gap}{STATUS_GLYPHS[status]}{space}{count}{f' {word}' if words else ''}{space or ' '}", style)
        for status, word, count, style in counts
        if count or status in (Status.RUNNING, Status.QUEUED)
    ]


def _machine(slots: Slots, boxes: bool, loose: bool) -> list[tuple[str, str]]:
    gap = "  " if loose else " "
    parts: list[tuple[str, str]] = []
    if slots.cpu_slots:
        parts.append((f"CPU {_taken(slots.cpu_taken, slots.cpu_slots, boxes)}{gap}", "$foreground"))
    if slots.gpus:
        taken = sum(owner is not None for owner in slots.gpus)
        parts.append((f"GPU {_taken(taken, len(slots.gpus), boxes)}{gap}", "$foreground"))
    if slots.daemon_running:
        parts.append(("● daemon", "$success"))
    elif slots.daemon_running is None:
        parts.append(("? daemon", "$foreground 60%"))
    else:
        parts.append(("○ no daemon: D starts it" if loose else "○ no daemon: D", "bold $warning"))
    return parts


def _taken(taken: int, total: int, boxes: bool) -> str:
    if not boxes or total > _MOST_BOXES:
        return f"{taken}/{total}"
    return "■" * min(taken, total) + "□" * (total - taken) + f" {taken}/{total}"
