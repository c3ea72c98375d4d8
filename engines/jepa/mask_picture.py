"""Packed rows for people: the tokens in their blocks, which block sees which, and a picture with a cell a token.

Everything is there without colour, and in ASCII where a terminal has nothing else.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from engines.jepa.layout import PackedRow
from engines.jepa.mask_blocks import BlockKind, MaskBlock, Relation, attends, relations

PROMPT_TOKENS = 3
"""Of the prompt's end in the picture, besides its first, where the whole row does not fit."""
LARGEST_CELL = 4
"""Tokens a side that a cell of the picture stands for, at most; with more of them nothing could be made out."""

_COLOURS: dict[BlockKind, str] = {
    "prompt": "bright_black", "between": "bright_black", "step": "green", "answer": "yellow",
    "predictor": "magenta", "target": "cyan", "text": "blue", "code": "cyan",
}  # fmt: skip
_SIGNS: dict[bool, dict[Relation, str]] = {
    False: {"full": "█", "causal": "◣", "part": "▒", "none": "·"},
    True: {"full": "#", "causal": "\\", "part": "+", "none": "."},
}
_HALVES = {False: " ▄▀█", True: " .'#"}
_LABEL = 8
_INDENT = 21


@dataclass(frozen=True)
class Look:
    """What the terminal can show."""

    width: int = 80
    ascii: bool = False
    colour: bool = False
    words: bool = False
    """It is listened to: no picture."""

    def paint(self, text: str, kind: BlockKind, *, bold: bool = False) -> str:
        return click.style(text, fg=_COLOURS[kind], bold=bold or None) if self.colour else text


def sequence(
    row: PackedRow, blocks: Sequence[MaskBlock], tokens: Sequence[str], look: Look, shown: int | None = None
) -> list[str]:
    """The tokens of each block, wrapped: name, first index, first position, tokens. `[` `]` are around what is read.

    Of a block with more than `shown` tokens only the first and the last are there, unless one between is read.
    """
    opened, closed = _read_places(row)
    lines = []
    for block in blocks:
        head = f"{block.name:<{_LABEL}}{block.start:>5} @{row.position_ids[block.start]:<5}"
        words = [
            f"{'[' * (index in opened)}{tokens[index]}{']' * (index in closed)}"
            for index in range(block.start, block.end)
        ]
        hidden = range(0) if shown is None else range(shown // 2, len(words) - shown // 2)
        if hidden and not {block.start + index for index in hidden} & (opened | closed):
            words[hidden.start : hidden.stop] = [f"({len(hidden)} more)"]
        wrapped = _wrap(words, look.width - _INDENT, "|" if look.ascii else "│")
        lines.append(f"{look.paint(f'{head:<{_INDENT}}', block.kind, bold=True)}{wrapped[0]}")
        lines += [" " * _INDENT + line for line in wrapped[1:]]
    return lines


def matrix(row: PackedRow, blocks: Sequence[MaskBlock], look: Look) -> list[str]:
    """A line for each block that looks, a column for each that is looked at."""
    cell = next((size for size in (3, 2, 1) if _LABEL + 5 + size * len(blocks) <= look.width), None)
    if cell is None:
        return [f"{len(blocks)} blocks do not fit {look.width} columns; a wider terminal shows them"]
    signs = _SIGNS[look.ascii]
    heads = [[block.sign[:1] for block in blocks], [block.sign[1:2] for block in blocks]]
    lines = [(" " * (_LABEL + 4) + "".join(f"{sign:>{cell}}" for sign in head)).rstrip() for head in heads]
    for block, found in zip(blocks, relations(row, blocks), strict=True):
        label = look.paint(f"{block.name:<{_LABEL}}{block.sign:<4}", block.kind, bold=True)
        cells = "".join(f"{signs[one]:>{cell}}" for one in found)
        lines.append(label + look.paint(cells, block.kind))
    lines.append(
        f"{'':<{_LABEL + 4}}{'':>{cell - 1}}{signs['full']} all  {signs['causal']} up to itself  "
        f"{signs['part']} some  {signs['none']} nothing"
    )
    return lines


def picture(row: PackedRow, blocks: Sequence[MaskBlock], look: Look) -> list[str]:
    """The mask itself: a line for two queries and a column for a key, or coarser, and with less of the prompt, to fit."""
    room = look.width - len(f"{'':<4}")
    drawn = list(blocks)
    if len(row.input_ids) > room:
        drawn = [end for block in blocks for end in (_ends(block) if block.kind == "prompt" else [block])]
    sides = range(1, LARGEST_CELL + 1)
    side = next((side for side in sides if len(_runs(drawn, side)) <= room), None)
    if side is None:
        return [f"{len(row.input_ids)} tokens are too many for a picture of {look.width} columns"]
    cut = " (of the prompt only its ends)" if drawn != list(blocks) else ""
    lines = [
        f"{2 * side} queries a line, {side} key{'s' * (side > 1)} a column{cut}",
        f"    {_ruler(drawn, side)}",
    ]
    keys = [run for _, run in _runs(drawn, side)]
    for block, queries in _runs(drawn, 2 * side):
        label = f"{block.sign if queries.start == block.start else '':<4}"
        draw = _halves if side == 1 else _shades
        lines.append(look.paint((label + draw(row, queries, keys, look)).rstrip(), block.kind))
    return lines


def token_texts(tokenizer: object, row: PackedRow, look: Look) -> list[str]:
    """Each token as it can be shown: line breaks as signs, bytes of a character by their names, predictors as P1, P2."""
    names = tokenizer.convert_ids_to_tokens(row.input_ids)  # type: ignore[attr-defined]
    decoded = [tokenizer.decode([token]) for token in row.input_ids]  # type: ignore[attr-defined]
    return [
        f"P{predictor + 1}" if predictor >= 0 else printable(name if "\ufffd" in text else text, look)
        for name, text, predictor in zip(names, decoded, row.predictors, strict=True)
    ]


def printable(text: str, look: Look) -> str:
    """Without anything that a terminal would act on."""
    text = text.replace("\n", "\\n" if look.ascii else "⏎").replace("\t", "\\t")
    encoding = "ascii" if look.ascii else "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def _read_places(row: PackedRow) -> tuple[set[int], set[int]]:
    """Indices that a bracket opens before, and those that it closes behind."""
    spans = [(pair.target.start, pair.target.end - 1) for pair in row.pairs]
    single = [place for pair in row.pairs for place in (pair.source, pair.origin) if place is not None]
    spans += [(place, place) for place in single]
    return {start for start, _ in spans}, {end for _, end in spans}


def _wrap(words: Sequence[str], width: int, separator: str) -> list[str]:
    lines, line = [], ""
    for word in words:
        if line and _cells(line + separator + word) >= width:  # a broken line ends in a separator
            lines.append(line + separator)
            line = word
        else:
            line = f"{line}{separator}{word}" if line else word
    return [*lines, line]


def _cells(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def _ends(block: MaskBlock) -> list[MaskBlock]:
    """A block's first token and its last few."""
    last = max(block.start, block.end - PROMPT_TOKENS)
    first = min(block.start + 1, last)
    return [one for one in (replace(block, end=first), replace(block, start=last)) if one.start < one.end]


def _runs(blocks: Sequence[MaskBlock], length: int) -> list[tuple[MaskBlock, range]]:
    """The tokens of the blocks, so many at a time, and never those of two blocks together."""
    return [
        (block, range(start, min(start + length, block.end)))
        for block in blocks
        for start in range(block.start, block.end, length)
    ]


def _ruler(blocks: Sequence[MaskBlock], side: int) -> str:
    """The sign of each block above its first column, where there is room for it."""
    line, place = "", 0
    for block in blocks:
        width = -(-(block.end - block.start) // side)
        if len(block.sign) <= width:
            line = line.ljust(place) + block.sign
        place += width
    return line


def _halves(row: PackedRow, queries: range, keys: Sequence[range], look: Look) -> str:
    """Two queries in the upper and the lower half of a cell each."""
    upper, lower = queries[0], queries[-1]
    single = len(queries) == 1
    return "".join(
        _HALVES[look.ascii][2 * attends(row, upper, key) + (not single and attends(row, lower, key))]
        for (key,) in keys
    )


def _shades(row: PackedRow, queries: range, keys: Sequence[range], look: Look) -> str:
    """Whether all, some or none of a cell's queries see its keys."""
    signs = {**_SIGNS[look.ascii], "none": " "}
    line = ""
    for run in keys:
        seen = [attends(row, query, key) for query in queries for key in run]
        line += signs["full"] if all(seen) else signs["part"] if any(seen) else signs["none"]
    return line
