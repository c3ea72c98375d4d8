"""Numbers as people and models write them: signs, currency, thousands commas, decimals, fractions, powers of ten.

Everything becomes an exact `Fraction`. What cannot be read in one way only ("1,00") is a number without a value.
"""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

LONGEST = 60
"""Characters of the longest number: text is untrusted, and exact arithmetic on endless digits is not free."""

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-")
_SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f\u200a"), " ")
_VULGAR = {
    code: f" {unicodedata.normalize('NFKC', chr(code))}".replace("⁄", "/")
    for code in map(ord, "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞")
}
_CHARACTERS = {**_DASHES, **_SPACES, **_VULGAR, ord("⁄"): "/", ord("`"): None, ord("×"): "*"}

_MARKUP = (
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"\{,\}|\\,(?=\d{3})"), ","),
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox)\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\!"), ""),
    (re.compile(r"\\[,;: ()\[\]]|\\(?:left|right)\b|\*\*"), " "),
    (re.compile(r"\\[dt]frac"), r"\\frac"),
    (re.compile(r"\\(?:times|cdot)\b"), "*"),
    (re.compile(r"\b(?:USD|EUR|GBP|US|Rs\.?)(?=\s*[$€£\d.-])"), ""),
)

_DECIMAL = r"(?:\d[\d,]*(?<!,)(?:\.\d+)?|(?<!\.)\.\d+)"
_NUMBER = re.compile(
    rf"""
    (?<![A-Za-z\d])(?<![A-Za-z\d]_)(?<!\d\.)             # not inside a word, a name like x_1 or another number
    (?P<sign>[-+]\s*)?(?P<currency>[$€£¥]\s*)?(?P<inner_sign>[-+])?
    (?:
        (?:(?P<frac_whole>\d+)\s*)?\\frac\{{(?P<frac_top>\d+)\}}\{{(?P<frac_bottom>\d+)\}}
      | (?P<whole>\d+)[ ]+(?P<mixed_top>\d+)/(?P<mixed_bottom>\d+)
      | (?P<top>{_DECIMAL})\s?/\s?(?P<bottom>{_DECIMAL})
      | (?P<decimal>{_DECIMAL})
        (?:[eE](?P<exponent>[-+]?\d+)|\s*[*x]\s*10\s*\^\s*\{{?(?P<power>[-+]?\d+)\}}?)?
    )
    (?P<percent>\s*%)?
    """,
    re.VERBOSE,
)
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")


@dataclass(frozen=True)
class Number:
    """A number in a text; `value` is None where it can be read in more than one way or not at all."""

    value: Fraction | None
    start: int
    percent: bool


def plain(text: str) -> str:
    """The text without mark-up: LaTeX commands, bold, typographic dashes and spaces."""
    text = text.translate(_CHARACTERS)
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return text.strip()


def numbers_in(text: str) -> list[Number]:
    """All numbers of a plain text, in order."""
    return [_number(text, match) for match in _NUMBER.finditer(text)]


def _number(text: str, match: re.Match[str]) -> Number:
    value = _magnitude(match) if len(match[0]) <= LONGEST else None
    if value is not None and _is_negative(text, match):
        value = -value
    return Number(value, match.start(), match["percent"] is not None)


def _is_negative(text: str, match: re.Match[str]) -> bool:
    if match["inner_sign"] == "-":  # $-5
        return True
    sign = match["sign"]
    if not sign or sign[0] != "-":
        return False
    before = text[max(0, match.start() - 20) : match.start()]
    if sign != "-" and before:  # "total - 5" and list items are no signs; a span that is "- 5" is one
        return False
    # Directly after a word or bracket, or anywhere after a digit, it joins or subtracts.
    return not (before[-1:].isalnum() or before.rstrip()[-1:].isdigit() or before.rstrip()[-1:] in (")", "}"))


def _magnitude(match: re.Match[str]) -> Fraction | None:
    if match["frac_top"]:
        return _mixed(match["frac_whole"] or "0", match["frac_top"], match["frac_bottom"])
    if match["whole"]:
        return _mixed(match["whole"], match["mixed_top"], match["mixed_bottom"])
    if match["top"]:
        top, bottom = _decimal(match["top"]), _decimal(match["bottom"])
        return top / bottom if top is not None and bottom else None
    value = _decimal(match["decimal"])
    exponent = int(match["exponent"] or match["power"] or 0)
    return None if value is None or abs(exponent) > LONGEST else value * Fraction(10) ** exponent


def _mixed(whole: str, top: str, bottom: str) -> Fraction | None:
    return int(whole) + Fraction(int(top), int(bottom)) if int(bottom) else None


def _decimal(text: str) -> Fraction | None:
    if "," in text and not _GROUPED.fullmatch(text):
        return None
    return Fraction(text.replace(",", ""))
