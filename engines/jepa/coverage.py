"""How much of the data has steps to learn from: what a splitter found, and what tokens and the length limit do to it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engines.jepa.rows import SteppedRow


@dataclass(frozen=True)
class Coverage:
    """Counts over the rows of a data set, before any is dropped."""

    examples: int
    stepped: int
    """Examples with two steps or more; the others have no part in the embedding loss."""
    steps: int
    pairs: int
    """Pairs of a step and the one that follows it."""
    merged: int
    """Tokens that hold the end of one step and the beginning of the next."""
    merged_separators: int
    """Steps whose last token holds the separator behind it as well."""
    merged_edges: int
    """Tokens that the first or the last step shares with the text around the steps."""
    too_long: int
    """Examples that are longer than `max_length` tokens."""
    pairs_too_long: int
    """Pairs in those."""
    tokens: int
    step_tokens: int
    """Tokens of all rows that are in a step."""
    by_steps: tuple[tuple[int, int], ...]
    """How many examples have how many steps."""


def coverage(rows: Sequence[SteppedRow], max_length: int) -> Coverage:
    """Count; `max_length` is in tokens and of the row as ordinary fine-tuning has it."""
    long = [row for row in rows if len(row.input_ids) > max_length]
    return Coverage(
        examples=len(rows),
        stepped=sum(len(row.steps) > 1 for row in rows),
        steps=sum(len(row.steps) for row in rows),
        pairs=_pairs(rows),
        merged=sum(row.merged for row in rows),
        merged_separators=sum(row.merged_separators for row in rows),
        merged_edges=sum(row.merged_edges for row in rows),
        too_long=len(long),
        pairs_too_long=_pairs(long),
        tokens=sum(len(row.input_ids) for row in rows),
        step_tokens=sum(step.end - step.start for row in rows for step in row.steps),
        by_steps=tuple(sorted(Counter(len(row.steps) for row in rows).items())),
    )


def coverage_table(found: Coverage) -> str:
    """For people: one count a line, with its share of what it is counted among."""
    lines = [
        ("examples", found.examples, ""),
        ("  with two steps or more", found.stepped, _share(found.stepped, found.examples)),
        ("  longer than max_length", found.too_long, _share(found.too_long, found.examples)),
        ("steps", found.steps, f"{_share(found.step_tokens, found.tokens)} of all tokens"),
        ("  separator in the last token", found.merged_separators, _share(found.merged_separators, found.steps)),
        ("  sharing a token with the next", found.merged, _share(found.merged, found.steps)),
        ("  sharing a token with a tag", found.merged_edges, _share(found.merged_edges, found.steps)),
        ("pairs of neighbouring steps", found.pairs, ""),
        ("  in examples that are too long", found.pairs_too_long, _share(found.pairs_too_long, found.pairs)),
    ]  # fmt: skip
    table = [f"{name:<33}{count:>9,}  {share}".rstrip() for name, count, share in lines]
    spread = "  ".join(f"{steps}: {count:,}" for steps, count in found.by_steps)
    return "\n".join([*table, f"examples by number of steps   {spread}"]) + "\n"


def _pairs(rows: Sequence[SteppedRow]) -> int:
    return sum(max(0, len(row.steps) - 1) for row in rows)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""
