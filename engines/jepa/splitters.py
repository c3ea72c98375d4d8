"""Where the steps of a worked solution are, in plain text: one function for each named way of telling.

Every splitter says only where a step may begin anew; what is common to all of them is done once, in `split_steps`. A part
that announces the final answer (`**Final Answer**`) ends the steps and is none itself, for it repeats the answer. Where a
splitter finds nothing to go by, the text is one step: nothing is ever cut for the sake of having two.
"""

import re
from collections.abc import Callable

from engines.jepa.fields import Splitter, StepsBlock
from engines.tasks.teacher import final_answer

Cut = tuple[int, int]
"""What separates two steps, `[start, end)`; empty where one begins without anything between."""

_LINES = re.compile(r"(?:[ \t]*\r?\n)+")
_BLANK_LINE = re.compile(r"(?:[ \t]*\r?\n){2,}")
_MARKUP = r"[ \t]*(?:[#>*_-]+[ \t]*)*"
_STEP_MARK = re.compile(rf"^{_MARKUP}Step[ \t]+\d+\b", re.IGNORECASE | re.MULTILINE)
_NUMBER_MARK = re.compile(rf"^{_MARKUP}\d{{1,2}}[.)](?=[\s*_])", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]*]*(?=\s)")
_LAST_WORD = re.compile(r"(?:[^\W_]|\.)+$")
_BULLET = re.compile(r"^[ \t]*\d{1,3}\.$", re.MULTILINE)

_NEVER_LAST = frozenset(
    ["mr", "mrs", "ms", "dr", "prof", "st", "sq", "e.g", "i.e", "vs", "cf", "approx"]
)  # fmt: skip
"""What a full stop abbreviates without ever ending a sentence there."""
_SOMETIMES_LAST = frozenset(
    ["etc", "no", "nos", "oz", "lb", "lbs", "ft", "yd", "hr", "hrs", "min", "mins", "sec", "avg"]
)  # fmt: skip
"""Abbreviations that may also end a sentence, and do where a capital letter follows; as do `p.m.` and `U.S.`"""


def split_steps(text: str, steps: StepsBlock) -> list[tuple[int, int, int]]:
    """The steps of `text` as (start, content_end, end), in characters, in order and disjoint.

    `[start, content_end)` is the step's own text and `[content_end, end)` what separates it from the next. Blanks in front
    of a step's first word belong to that step, as they do in tokens: ` Then` is one of the second step, not of the first.
    """
    limit = final_answer(text)
    pieces = _without_short(text, _pieces(text[:limit], steps), steps.min_characters)
    ends = [*(start for start, _ in pieces[1:]), limit]
    return [(start, content_end, end) for (start, content_end), end in zip(pieces, ends, strict=False)]


def _pieces(text: str, steps: StepsBlock) -> list[Cut]:
    """The texts between the cuts, without the white space around them but for the blanks in front."""
    cuts = _by_pattern(text, steps.pattern) if steps.pattern else SPLITTERS[steps.splitter](text)
    pieces: list[Cut] = []
    start = 0
    for cut_start, cut_end in [*cuts, (len(text), len(text))]:
        own = text[start:cut_start]
        if own.strip():
            floor = pieces[-1][1] if pieces else 0
            between = text[floor : start + len(own) - len(own.lstrip())]
            pieces.append((floor + len(between.rstrip(" \t")), start + len(own.rstrip())))
        start = cut_end
    return pieces


def _without_short(text: str, pieces: list[Cut], least: int) -> list[Cut]:
    """Pieces of fewer characters than `least` are joined to the one before; a first one to the one behind."""
    joined: list[Cut] = []
    for start, end in pieces:
        short = len(text[start:end].strip()) < least
        opens_short = len(joined) == 1 and len(text[slice(*joined[0])].strip()) < least
        if joined and (short or opens_short):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _by_pattern(text: str, pattern: str) -> list[Cut]:
    return [match.span() for match in re.finditer(pattern, text, re.MULTILINE)]


def _lines(text: str) -> list[Cut]:
    return [match.span() for match in _LINES.finditer(text)]


def _blank_lines(text: str) -> list[Cut]:
    return [match.span() for match in _BLANK_LINE.finditer(text)]


def _numbered(text: str) -> list[Cut]:
    """In front of every `Step 2:`; where there is none, of every `2.`. What stands before the first is a step as well.

    Where steps are called steps, numbers at the beginning of a line count something else.
    """
    marks = [match.start() for match in _STEP_MARK.finditer(text)]
    marks = marks or [match.start() for match in _NUMBER_MARK.finditer(text)]
    return [(mark, mark) for mark in marks]


def _sentences(text: str) -> list[Cut]:
    """Behind `.`, `!` or `?` with white space after it, and at line breaks; not in `3.5`, nor behind `Mr.` or `e.g.`"""
    ends = [match.end() for match in _SENTENCE_END.finditer(text) if _ends_sentence(text, match)]
    return sorted([*((end, end) for end in ends), *_lines(text)])


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    mark, behind = match[0], text[match.end() :].lstrip()
    if not mark.startswith(".") or text[match.end()] == "\n":
        return True
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start() + 1]
    word = _LAST_WORD.search(line[:-1])
    said = word[0].lower() if word else ""
    initial = len(said) == 1 and word is not None and word[0].isupper()
    if said in _NEVER_LAST or initial or _BULLET.match(line):
        return False
    abbreviates = said in _SOMETIMES_LAST or "." in said.strip(".") or mark.startswith("..")
    return behind[:1].isupper() or not abbreviates


SPLITTERS: dict[Splitter, Callable[[str], list[Cut]]] = {
    "lines": _lines,
    "blank_line": _blank_lines,
    "numbered": _numbered,
    "sentence": _sentences,
}
