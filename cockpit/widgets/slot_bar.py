"""The line on top of every screen: what runs and waits, slots taken, and whether a daemon is there."""

from textual.content import Content
from textual.widgets import Static

from cockpit.glyphs import STATUS_GLYPHS
from cockpit.messages import Slots
from store.schema import ACTIVE, WAITING, Status

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
        brand = ("tunedeck", "bold $primary")
        self.update(Content.assemble(brand, *(_parts(slots, self.size.width) if slots else ())))


def _parts(slots: Slots, width: int) -> list[tuple[str, str]]:
    counts = [
        (STATUS_GLYPHS[Status.RUNNING], "running", slots.count(*ACTIVE), "$primary"),
        (STATUS_GLYPHS[Status.QUEUED], "waiting", slots.count(*WAITING), "$foreground"),
        (STATUS_GLYPHS[Status.SUCCEEDED], "done", slots.count(Status.SUCCEEDED), "$success"),
        (STATUS_GLYPHS[Status.FAILED], "failed", slots.count(Status.FAILED, Status.LOST), "$error"),
    ]
    parts = [
        (f"  {glyph} {count} {word}", style)
        for glyph, word, count, style in counts
        if count or word in ("running", "waiting")
    ]
    machine: list[tuple[str, str]] = []
    if slots.cpu_slots:
        machine.append((f"CPU {_boxes(slots.cpu_taken, slots.cpu_slots)}", "$foreground"))
    if slots.gpus:
        taken = sum(owner is not None for owner in slots.gpus)
        machine.append((f"  GPU {_boxes(taken, len(slots.gpus))}", "$foreground"))
    daemon = (
        ("  ● daemon", "$success")
        if slots.daemon_running
        else ("  ○ no daemon, D starts it", "bold $warning")
    )
    machine.append(daemon)
    used = len("tunedeck") + sum(len(text) for text, _ in (*parts, *machine))
    return [*parts, (" " * max(width - used, 2), ""), *machine]


def _boxes(taken: int, total: int) -> str:
    if total > _MOST_BOXES:
        return f"{taken}/{total}"
    return "■" * min(taken, total) + "□" * (total - taken) + f" {taken}/{total}"
