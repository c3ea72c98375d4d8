"""A packed row in blocks that people know by name, and which of them sees which: asked of `may_attend`, never assumed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engines.jepa.layout import Kind, PackedRow, Segment, may_attend
from engines.jepa.rows import SteppedRow

Relation = Literal["full", "causal", "part", "none"]
"""All of the key's tokens are seen by all of the query's; each sees those up to itself; some are; none is."""
BlockKind = Literal["prompt", "between", "step", "answer", "predictor", "target", "text", "code"]

_LETTERS: dict[BlockKind, str] = {
    "prompt": "q", "between": "-", "step": "s", "answer": "a", "predictor": "P", "target": "c", "text": "t", "code": "d",
}  # fmt: skip
_NAMES: dict[BlockKind, str] = {"between": "tag", "predictor": "pred", "target": "copy"}
_OF_SEGMENT: dict[Kind, BlockKind] = {
    "predictor": "predictor",
    "target": "target",
    "text": "text",
    "code": "code",
}


@dataclass(frozen=True)
class MaskBlock:
    """A run of tokens, `[start, end)`, that mean one thing."""

    kind: BlockKind
    start: int
    end: int
    step: int = 0
    """Of a step or a copy: which; of predictors: behind which step. 0 for anything else."""

    @property
    def name(self) -> str:
        return f"{_NAMES.get(self.kind, self.kind)} {self.step or ''}".rstrip()

    @property
    def sign(self) -> str:
        """A letter, and the number of the step."""
        return f"{_LETTERS[self.kind]}{self.step or ''}"


def blocks_of(row: SteppedRow, packed: PackedRow) -> list[MaskBlock]:
    """Prompt, steps, what stands around them, and then whatever the row was packed with. They tile the row."""
    blocks = [MaskBlock("prompt", 0, row.prompt_length)]
    for number, step in enumerate(row.steps, start=1):
        if blocks[-1].end < step.start:
            blocks.append(MaskBlock("between", blocks[-1].end, step.start))
        blocks.append(MaskBlock("step", step.start, step.end, number))
    blocks.append(MaskBlock("answer", blocks[-1].end, len(row.input_ids)))
    blocks += [_added(segment) for segment in packed.segments if segment.kind != "original"]
    return [block for block in blocks if block.start < block.end]


def attends(row: PackedRow, query: int, key: int) -> bool:
    """Whether the token at `query` sees the one at `key`, as the trainer's mask has it."""
    return may_attend(row.group[query], query, row.reach[query], row.group[key], key)


def relation(row: PackedRow, query: MaskBlock, key: MaskBlock) -> Relation:
    """How the tokens of one block see those of another."""
    queries, keys = range(query.start, query.end), range(key.start, key.end)
    seen = [attends(row, one, other) for one in queries for other in keys]
    if query == key and seen == [other <= one for one in queries for other in keys]:
        return "causal"
    return "full" if all(seen) else "part" if any(seen) else "none"


def relations(row: PackedRow, blocks: Sequence[MaskBlock]) -> list[list[Relation]]:
    """Of every block to every block: a row for each that looks, a column for each that is looked at."""
    return [[relation(row, query, key) for key in blocks] for query in blocks]


def _added(segment: Segment) -> MaskBlock:
    return MaskBlock(_OF_SEGMENT[segment.kind], segment.start, segment.end, segment.step)
