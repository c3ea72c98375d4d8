"""The line on top of every screen: what runs and waits, slots taken, and whether a daemon is there."""

from textual.content import Content
from textual.widgets import Static

from cockpit.glyphs import STATUS_GLYPHS
from cockpit.messages import Slots
from store.schema import ACTIVE, WAITING, Status

_BRAND = ("tunedeck", "bold $primary")
_MOST_BOXES = 16


class SlotBar(Static):
    """Follows `app.slots`. Redrawn only when they change."""

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def on_mount(self) -> None:
        self.watch(self.app, "slots", self._show)

    def on_resize(self) -> None:
        self._show(getattr(self.app, "slots", None))

    def _show(self, slots: Slots | None) -> None:
        if self.size.width:
            self.update(Content.assemble(*(_parts(slots, self.size.width) if slots else (_BRAND,))))


def _parts(slots: Slots, width: int) -> list[tuple[str, str]]:
    """The wordiest form that fits."""
    for brand, words, boxes in (
        ([_BRAND], True, True),
        ([_BRAND], True, False),
        ([], True, False),
        ([], False, False),
    ):
        left, right = [*brand, *_counts(slots, words, bool(brand))], _machine(slots, boxes, bool(brand))
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
    else:
        parts.append(("○ no daemon: D starts it" if loose else "○ no daemon: D", "bold $warning"))
    return parts


def _taken(taken: int, total: int, boxes: bool) -> str:
    if not boxes or total > _MOST_BOXES:
        return f"{taken}/{total}"
    return "■" * min(taken, total) + "□" * (total - taken) + f" {taken}/{total}"
