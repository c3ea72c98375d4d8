"""One row that holds the ordinary sequence and, behind it, everything that the embedding loss needs.

    original tokens | predictors after step 1 | predictors after step 2 ... | copy of step 2 | copy of step 3 ...

Original tokens see only original tokens, so the language-model loss is that of ordinary fine-tuning, to the bit. The
predictors after step i see the original up to the end of step i, and each other. A copy of a step sees itself alone
(or the question too). Who may see whom follows from three numbers a token, so that a dense mask and a block-sparse
one are the same function of them.

Method: LLM-JEPA (arXiv 2509.14252), which packs two views in one row; several steps in one row are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engines.jepa.fields import Readout, Target
from engines.jepa.rows import SteppedRow
from engines.training.rows import IGNORED

Kind = Literal["original", "predictor", "target", "text", "code"]

NO_PREDICTOR = -1


@dataclass(frozen=True)
class Span:
    """An embedding: the mean of the states in `[start, end)`."""

    start: int
    end: int
    step: int
    """Which step it is of, counted from 1; 0 where there are none."""


@dataclass(frozen=True)
class Pair:
    """A prediction: the state at `source` shall be near the embedding `target`."""

    source: int
    target: Span
    origin: int | None = None
    """Where both are differences: the way from `origin` to `source` predicts the way on from there to the target."""


@dataclass(frozen=True)
class Segment:
    """A run of tokens of one kind, for people to look at."""

    kind: Kind
    start: int
    end: int
    step: int = 0
    """The step that a copy is of, or that predictors stand behind; 0 for the original."""


@dataclass(frozen=True)
class PackedRow:
    """All lists have one entry a token."""

    id: str
    input_ids: list[int]
    """At a predictor: 0, and its embedding is its own."""
    labels: list[int]
    position_ids: list[int]
    predictors: list[int]
    """Which predictor stands here, from 0, or NO_PREDICTOR."""
    group: list[int]
    """0 for the original; each block of predictors and each copy has a number of its own."""
    reach: list[int]
    """How many tokens of the original this one sees."""
    pairs: tuple[Pair, ...]
    segments: tuple[Segment, ...]
    candidates: tuple[Span, ...] = ()
    """The embeddings of all steps, predicted or not, where they were asked for."""


def may_attend(query_group: int, query: int, reach: int, key_group: int, key: int) -> bool:
    """Whether the token at `query` sees the one at `key`, both counted from the row's first token."""
    if key_group == 0:
        return key < reach
    return key_group == query_group and key <= query


class RowBuilder:
    """Grows a packed row segment by segment."""

    def __init__(self, row: SteppedRow) -> None:
        count = len(row.input_ids)
        self.row = row
        self.input_ids, self.labels = list(row.input_ids), list(row.labels)
        self.position_ids, self.predictors = list(range(count)), [NO_PREDICTOR] * count
        self.group, self.reach = [0] * count, list(range(1, count + 1))
        self.segments = [Segment("original", 0, count)]

    def add(
        self,
        kind: Kind,
        tokens: Sequence[int],
        *,
        position: int,
        reach: int,
        predictors: int = 0,
        step: int = 0,
    ) -> Segment:
        """Append tokens, then so many predictors; positions count up from `position`. Returns the new segment."""
        count = len(tokens) + predictors
        segment = Segment(kind, len(self.input_ids), len(self.input_ids) + count, step)
        self.input_ids += [*tokens, *[0] * predictors]
        self.labels += [IGNORED] * count
        self.position_ids += range(position, position + count)
        self.predictors += [*[NO_PREDICTOR] * len(tokens), *range(predictors)]
        self.group += [len(self.segments)] * count
        self.reach += [reach] * count
        self.segments.append(segment)
        return segment

    def done(self, pairs: Sequence[Pair], candidates: Sequence[Span] = ()) -> PackedRow:
        return PackedRow(
            self.row.id, self.input_ids, self.labels, self.position_ids, self.predictors, self.group, self.reach,
            tuple(pairs), tuple(self.segments), tuple(candidates),
        )  # fmt: skip


def plain(row: SteppedRow) -> PackedRow:
    """The row alone, as ordinary fine-tuning has it."""
    return RowBuilder(row).done([])


def pack(
    row: SteppedRow,
    *,
    predictors: int,
    horizon: int = 1,
    first_only: bool = False,
    target: Target = "isolated",
    readout: Readout = "separator",
    all_steps: bool = False,
) -> PackedRow:
    """The row with a prediction of step i + `horizon` behind every step i (or only behind the first).

    A row with too few steps gets none. Without predictors the state at the end of step i itself predicts. With
    `all_steps` the steps that nothing predicts get a copy too, and all are `candidates` to choose from.
    """
    builder, steps = RowBuilder(row), row.steps
    ends = range(max(0, len(steps) - horizon))[: 1 if first_only else None]
    sources = []
    for index in ends:
        end = steps[index].end
        if predictors:
            block = builder.add(
                "predictor", [], position=end, reach=end, predictors=predictors, step=index + 1
            )
            sources.append(block.end - 1)
        else:
            sources.append(end - 1)
    predicted = [index + horizon for index in ends]
    wanted = range(len(steps)) if all_steps else predicted
    spans = {index: _embedding(builder, index, target, readout) for index in wanted}
    pairs = [Pair(source, spans[index]) for source, index in zip(sources, predicted, strict=True)]
    return builder.done(pairs, [spans[index] for index in wanted] if all_steps else [])


def _embedding(builder: RowBuilder, index: int, target: Target, readout: Readout) -> Span:
    """Where a step's embedding is read, after adding a copy of the step unless the original itself is read."""
    row = builder.row
    step = row.steps[index]
    shift = 0
    if target != "contextual":
        seen = {"isolated": 0, "bos": 1, "question": row.prompt_length}[target]
        copied = row.input_ids[step.start : step.end]
        copy = builder.add("target", copied, position=step.start, reach=seen, step=index + 1)
        shift = copy.start - step.start
    last = step.content_end if readout == "last_content" else step.end
    start = step.start if readout == "mean" else last - 1
    return Span(start + shift, last + shift, index + 1)
