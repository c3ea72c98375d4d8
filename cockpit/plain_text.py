"""Text from outside (logs, model output, names) made harmless: no escapes, no controls, no hidden direction changes."""

import re
import unicodedata

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: window titles, clipboard writes, links
    r"|\x1b[PX^_].*?(?:\x1b\\|$)"  # DCS, SOS, PM, APC
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor movement
    r"|\x1b[ -/]*[0-~]?",
    re.DOTALL,
)
_TAB_STOP = 4


def plain_line(text: str, limit: int = 2000) -> str:
    """One line as a terminal would leave it, in plain characters; a longer one ends with `…`."""
    # Nearly every line of a log is plain already, and a log is read again whenever it grows.
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    if len(text) > 4 * limit:
        text = text[: 4 * limit] + "…"
    text = _ESCAPES.sub("", text).rstrip("\r\n")
    # A progress bar rewrites its line after each carriage return: what came last is what shows.
    text = text.rpartition("\r")[2]
    text = "".join(_shown(character) for character in text.expandtabs(_TAB_STOP))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def plain_lines(text: str, limit: int = 2000) -> list[str]:
    return [plain_line(line, limit) for line in text.split("\n")]


def _shown(character: str) -> str:
    if " " <= character <= "~":
        return character
    category = unicodedata.category(character)
    if category in ("Cc", "Cs", "Zl", "Zp"):
        return "\N{REPLACEMENT CHARACTER}" if character != "\n" else " "
    # Format characters are invisible and include the bidirectional overrides.
    return "" if category == "Cf" else character
