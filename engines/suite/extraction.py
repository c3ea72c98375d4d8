"""Where an answer stands in what a model wrote. The last occurrence wins: models correct themselves.

`asked` is the place that the prompt named; `lenient` goes on to others, in a fixed order, and never picks among several
candidates within one place.
"""

import re
from dataclasses import dataclass

_BOX = re.compile(r"\\boxed *\{")
_BRACE = re.compile(r"\\.|[{}]")
"""Braces, with escaped ones taken away in passing."""
_FENCE = re.compile(r"(?s)```([\w+-]*)[ \t]*\n(.*?)```")
_PHRASE = re.compile(r"(?i)(?:final\s+)?answer\s*(?:is|:)\s*:?\s*([^\n]+)")
_NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?")


@dataclass(frozen=True)
class Found:
    """An answer's text and the place where it stood."""

    text: str
    method: str


def said(text: str) -> str:
    """What was said aloud: all behind the last closed thought."""
    return text.rpartition("</think>")[2]


def boxed(text: str) -> Found | None:
    r"""The content of the closed `\boxed{...}` that begins last, with its braces balanced."""
    text = said(text)
    starts = {match.end() - 1 for match in _BOX.finditer(text)}
    open_braces: list[int] = []
    best: tuple[int, int] | None = None
    for match in _BRACE.finditer(text):  # one pass: a model may open ten thousand boxes
        if match[0] == "{":
            open_braces.append(match.start())
        elif match[0] == "}" and open_braces:
            start = open_braces.pop()
            if start in starts and (best is None or start > best[0]):
                best = start, match.start()
    return Found(text[best[0] + 1 : best[1]].strip(), "box") if best else None


def tagged(text: str, tag: str = "answer") -> Found | None:
    """The content of the last `<answer>...</answer>`, over as many lines as it has."""
    before, closed, _ = said(text).rpartition(f"</{tag}>")
    _, opened, content = before.rpartition(f"<{tag}>")
    return Found(content.strip(), f"{tag}_tag") if closed and opened else None


def fenced(text: str, languages: tuple[str, ...] = ()) -> Found | None:
    """The last closed block of ``` fences, of one of these languages where any is given."""
    blocks = [(name.lower(), body) for name, body in _FENCE.findall(said(text))]
    wanted = [body for name, body in blocks if not languages or name in languages]
    return Found(wanted[-1].strip("\n"), "code_block") if wanted else None


def phrased(text: str) -> Found | None:
    """What follows the last `answer is` or `answer:`, to the end of its line."""
    found = _PHRASE.findall(said(text))
    cleaned = found[-1].lstrip(" *$").rstrip(" *$.") if found else ""
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
