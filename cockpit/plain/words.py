"""Text for ears: signs become words, columns become commas, and what is drawn is left out.

Letters and digits of every script stay: a screen reader has a voice for them, and without them a model's answer in
another language would be gone. Where only ASCII can be shown they become the nearest letters. Everything else is ASCII.
"""

import re
import unicodedata
from itertools import dropwhile

from cockpit.glyphs import ascii_only
from cockpit.plain_text import plain_line

_SIGNS = {
    "→": " to ", "←": " from ", "±": " plus or minus ", "×": " times ", "≥": " at least ", "≤": " at most ",
    "≈": " about ", "…": "...", "·": ",", "−": "-", "–": "-", "—": " - ", "‐": "-", "’": "'", "‘": "'", "“": '"',
    "”": '"', "µ": "micro", "°": " degrees", "€": " euro ", "•": "-", "\u00a0": " ", "`": '"', "\N{REPLACEMENT CHARACTER}": "?",
}  # fmt: skip
_DRAWN = ((0x2500, 0x25FF), (0x2800, 0x28FF), (0xE000, 0xF8FF))
"""Boxes, blocks and shapes, braille, and what fonts keep for pictures."""

_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")
_SPACES = re.compile(r"(?<=\S) {2,}")
_RULE = re.compile(r"[\s|+:=_~*#.-]*")
_RANGES = (
    (re.compile(r"(?<=\d)\.\.(?=[+-]?\d)"), " to "),
    (re.compile(r"(?<=%)-(?=\d+(?:\.\d+)?%)"), " to "),
    (re.compile(r"(?<=\d) pp\b"), " points"),
)
_SPANS = (
    (re.compile(r"\b(\d+)d (\d+)h\b"), "day", "hour"),
    (re.compile(r"\b(\d+)h (\d\d)m\b"), "hour", "minute"),
    (re.compile(r"\b(\d+)m (\d\d)s\b"), "minute", "second"),
)
_SECONDS = re.compile(r"(\d+)s")


def in_words(line: str) -> str:
    """One line as it is said; empty for a line of which nothing is left, such as a rule under a table."""
    line = plain_line(line)
    had_drawing = any(map(_is_drawn, line))
    if had_drawing:
        line = "".join(dropwhile(lambda character: character == " " or _is_drawn(character), line))
    line = _SPACES.sub(" ", signs_in_words(_columns(line))).replace(" ,", ",").rstrip()
    if (had_drawing or len(line) > 2) and _RULE.fullmatch(line):
        return ""
    line = line.removeprefix("--- ")
    for pattern, words in _RANGES:
        line = pattern.sub(words, line)
    return spans_in_words(line)


def signs_in_words(text: str) -> str:
    """Letters stay; what is drawn goes; any other sign is called by its name, once for a row of the same."""
    said: list[str] = []
    for character in text:
        word = _said(character)
        if word and len(word) > 1 and said and said[-1] == word:
            continue
        said.append(word)
    return "".join(said)


def spans_in_words(text: str) -> str:
    """`1m 05s` as `1 minute 5 seconds`."""
    for pattern, large, small in _SPANS:
        if found := pattern.search(text):
            said = f"{counted(int(found[1]), large)} {counted(int(found[2]), small)}"
            text = spans_in_words(text[: found.start()]) + said + spans_in_words(text[found.end() :])
    alone = _SECONDS.fullmatch(text)
    return counted(int(alone[1]), "second") if alone else text


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _columns(line: str) -> str:
    """What was aligned in columns, with a colon behind the first where it is a label, and commas behind the others."""
    indent = len(line) - len(line.lstrip(" "))
    first, *rest = _GAP.split(line[indent:])
    if not rest:
        return line
    is_label = len(first) <= 20 and first.count(" ") <= 1
    first += " " if first[-1] in ".:;,?!" else ": " if is_label else ", "
    return " " * indent + first + ", ".join(rest)


def _is_drawn(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _DRAWN)


def _said(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    if " " <= character <= "~":
        return character
    if _is_drawn(character):
        return ""
    kind = unicodedata.category(character)
    if kind[0] == "Z":
        return " "
    if kind[0] in "LMNP":
        return _folded(character) if ascii_only() else character
    name = unicodedata.name(character, "").lower()
    return f" ({name}) " if name else "?"


def _folded(character: str) -> str:
    """The nearest ASCII, or nothing for a mark above a letter."""
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or ("" if unicodedata.category(character)[0] == "M" else "?")
