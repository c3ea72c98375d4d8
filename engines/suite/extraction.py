"""Where an answer stands in what a model wrote. The last occurrence wins: models correct themselves.

`asked` is the place that the prompt named; `lenient` goes on to others, in a fixed order, and never picks among several
candidates within one place.
"""

import re
from dataclasses import dataclass

_TAG = re.compile(r"(?s)<answer>(.*?)</answer>")
_FENCE = re.compile(r"(?s)```([\w+-]*)[ \t]*\n(.*?)```")
_PHRASE = re.compile(r"(?i)(?:final\s+)?answer\s*(?:is|:)\s*:?\s*([^\n]+)")
_NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?")
LONGEST = 10_000
"""Characters of an answer that are looked at; what is longer is no answer."""


@dataclass(frozen=True)
class Found:
    """An answer's text and the place where it stood."""

    text: str
    method: str


def said(text: str) -> str:
    """What was said aloud: all behind the last closed thought."""
    return text.rpartition("</think>")[2]


def boxed(text: str) -> Found | None:
    r"""The content of the last closed `\boxed{...}`, with its braces balanced."""
    text = said(text)
    end = len(text)
    while (start := text.rfind("\\boxed", 0, end)) >= 0:
        content = _braced(text, start + len("\\boxed"))
        if content is not None:
            return Found(content.strip(), "box")
        end = start
    return None


def _braced(text: str, start: int) -> str | None:
    while start < len(text) and text[start] == " ":
        start += 1
    if start >= len(text) or text[start] != "{":
        return None
    depth = 0
    for place in range(start, min(len(text), start + LONGEST)):
        if text[place] == "\\":
            continue
        escaped = text[place - 1] == "\\"
        depth += (text[place] == "{" and not escaped) - (text[place] == "}" and not escaped)
        if depth == 0:
            return text[start + 1 : place]
    return None


def tagged(text: str) -> Found | None:
    """The content of the last `<answer>...</answer>`, over as many lines as it has."""
    found = _TAG.findall(said(text))
    return Found(found[-1].strip(), "answer_tag") if found else None


def fenced(text: str, languages: tuple[str, ...] = ()) -> Found | None:
    """The last closed block of ``` fences, of one of these languages where any is given."""
    blocks = [(name.lower(), body) for name, body in _FENCE.findall(said(text))]
    wanted = [body for name, body in blocks if not languages or name in languages]
    return Found(wanted[-1].strip("\n"), "code_block") if wanted else None


def phrased(text: str) -> Found | None:
    """What follows the last `answer is` or `answer:`, to the end of its line."""
    found = _PHRASE.findall(said(text))
    cleaned = found[-1].strip().strip("*$").strip().rstrip(".") if found else ""
    return Found(cleaned, "phrase") if cleaned else None


def last_number(text: str) -> Found | None:
    """The last number anywhere."""
    found = _NUMBER.findall(said(text))
    return Found(found[-1].rstrip(",").replace("$", ""), "last_number") if found else None


def asked_box_or_lenient(text: str, *, number: bool = True) -> tuple[Found | None, bool]:
    """The box, which the prompt asked for, else the next best place; and whether it was the box."""
    if (found := boxed(text)) is not None and found.text:
        return found, True
    found = tagged(text) or phrased(text) or (last_number(text) if number else None)
    return found, False
