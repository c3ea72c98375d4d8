"""The signs that stand beside every word and colour, and what each becomes where only ASCII can be shown."""

import locale
import os
from collections.abc import Mapping

from store.schema import Status

STATUS_GLYPHS: dict[str, str] = {
    Status.BLOCKED: "◌",
    Status.QUEUED: "○",
    Status.STARTING: "◔",
    Status.RUNNING: "●",
    Status.SUCCEEDED: "✓",
    Status.FAILED: "✗",
    Status.CANCELLED: "⊘",
    Status.LOST: "?",
    "held": "‖",
    "stopping": "■",
}
"""Shapes that differ without colour. The last two are not statuses but what people read as one."""

BAR_STEPS = " ▏▎▍▌▋▊▉█"

_ASCII = {
    "◌": ".", "○": "o", "◔": ">", "►": ">", "✓": "+", "✗": "x", "⊘": "-", "‖": "|", "■": "#", "□": "-", "●": "*", "◆": "@", "┈": " ", "╌": "-", "╍": "~", "┆": "|",
    "█": "#", "▉": "#", "▊": "#", "▋": "=", "▌": "=", "▍": "=", "▎": "-", "▏": "-", "─": "-", "━": "=", "│": "|",
    "┃": "|", "┤": "|", "└": "+", "┴": "+", "▸": ">", "▾": "v", "▴": "^", "▂": "_", "▃": ".", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "·": "-", "…": ".", "×": "x", "≤": "<", "≥": ">",
    "−": "-", "–": "-", "—": "-", "→": ">", "←": "<", "↑": "^", "↓": "v", "▲": "^", "▼": "v", "±": "~", "’": "'",
    "“": '"', "”": '"', "≈": "~", "▔": "-", "▁": "_", "▊ ": "#", "╸": "-", "╺": "-", "┌": "+", "┐": "+", "┘": "+",
    "╭": "+", "╮": "+", "╰": "+", "╯": "+", "├": "|", "▎ ": "|", "░": ".", "▒": ":", "▓": "+", "♯": "#", "⏎": "<", "␣": "_", "▐": "#", "🔎": ">",
}  # fmt: skip

_BRAILLE, _TOP_DOTS = 0x2800, 0b00011011


def ascii_only(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal can be trusted with nothing but ASCII. `TUNEDECK_ASCII=1` says so, `0` denies it."""
    if chosen := environ.get("TUNEDECK_ASCII"):
        return chosen != "0"
    named = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG")
    # With no locale at all Python itself falls back to UTF-8, and so do today's terminals.
    encoding = named.partition(".")[2] if named else locale.getencoding()
    return bool(named) and encoding.lower().replace("-", "") != "utf8"


def to_ascii(character: str) -> str:
    """The nearest ASCII character; a chart's braille cell becomes `'`, `.` or `:` by where its dots are."""
    if character < "\x7f":
        return character
    dots = ord(character) - _BRAILLE
    if 0 <= dots < 256:
        top, bottom = bool(dots & _TOP_DOTS), bool(dots & ~_TOP_DOTS)
        return " '.:"[top + 2 * bottom]
    return _ASCII.get(character, "?")


def progress_bar(fraction: float, width: int) -> str:
    """A bar of exactly `width` cells, in eighths."""
    eighths = round(min(max(fraction, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    bar = "█" * full + (BAR_STEPS[rest] if rest else "")
    return bar.ljust(width)
