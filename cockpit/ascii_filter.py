"""Turns every line that leaves the app into ASCII, for terminals that cannot show more."""

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from cockpit.glyphs import to_ascii


class AsciiFilter(LineFilter):
    """The last thing a line goes through, so no widget needs to know."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment
            if segment.text.isascii()
            else Segment(_translated(segment.text), segment.style, segment.control)
            for segment in segments
        ]


def _translated(text: str) -> str:
    # A wide character takes two cells, and must still do so.
    return "".join(to_ascii(character) * cell_len(character) for character in text)
