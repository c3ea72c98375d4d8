"""The end of a worker's log. It follows new lines as long as its last one is in sight."""

import re
from collections.abc import Sequence

from cockpit.messages import LogRead
from cockpit.widgets.cells import Cell
from cockpit.widgets.text_view import TextView

_PAINTS = (
    (re.compile(r"\b(?:ERROR|CRITICAL|Traceback|[A-Z]\w*Error|error:)"), "bad"),
    (re.compile(r"\b(?:WARNING|WARN|[A-Z]\w*Warning|warning:)"), "attention"),
    (re.compile(r"\bDEBUG\b"), "muted"),
)


class LogView(TextView):
    """Lines as the worker printed them, with errors and warnings standing out."""

    def follow(self, read: LogRead) -> None:
        at_end = self.scroll_offset.y >= self.max_scroll_y
        self.show(_lines(read))
        if at_end:
            # The first lines may come before the layout knows how many of them fit.
            self.call_after_refresh(self.action_scroll_end_or_home, True)


def _lines(read: LogRead) -> Sequence[list[Cell]]:
    if not read.lines:
        return [[("The worker has not printed anything yet.", "muted")]]
    skipped = (
        [[(f"({read.skipped_bytes:,} bytes before this are in worker.log)", "muted")]]
        if read.skipped_bytes
        else []
    )
    return [*skipped, *([(line, _paint(line))] for line in read.lines)]


def _paint(line: str) -> str:
    return next((paint for pattern, paint in _PAINTS if pattern.search(line)), "")
