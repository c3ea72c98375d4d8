"""Proof, on the model and the rows that are about to be trained, that the mask does what it is meant to.

A mask that is silently ignored trains beautifully: the embedding loss falls at once, since the answer is in sight. So
before the first step, on a few real rows and with the attention implementation in use:

    leak          nothing that a token may not see, directly or through others, changes its state
    control       under plain causal attention the same changes do change it, so the test above can fail
    sensitivity   what it may see changes it, for every token that is watched
    equivalence   states in the packed row are those of separate, ordinary forward passes
    language      logits of the original tokens are those of an ordinary forward pass
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from engines.jepa.collate import PackedBatch, collate
from engines.jepa.layout import PackedRow
from engines.jepa.model import JepaModel
from engines.jepa.reach import reachable
from engines.recipe.errors import RecipeError

_QUERIES = 8
"""Tokens of each row whose states are watched."""
_LEAST_CONTROL = 1e-2
_LARGEST_LEAK = {"dense": 0.0, "experts": 1e-6}
"""Routing to experts is batched over the row, whose rounding changes with what else is routed."""
_LARGEST_DIFFERENCE = {torch.float32: 1e-5, torch.float64: 1e-9}
_LARGEST_DIFFERENCE_16_BIT = 5e-2


@dataclass(frozen=True)
class Proof:
    """What was measured; all numbers relative to the size of the states (or logits)."""

    attention: str
    rows: int
    watched: int
    """Tokens."""
    leak: float
    control: float
    sensitivity: float
    equivalence: float
    language: float

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "held": True}


def prove_mask(
    model: JepaModel, rows: Sequence[PackedRow], *, pad_token: int, multiple_of: int = 1, bf16: bool = False
) -> Proof:
    """Measure all of the above on packed rows, with `bf16` in mixed precision. RecipeError says what does not hold.

    At least one row must hold predictors or copies. Draws nothing from the global random state.
    """
    batch = collate(rows, pad_token=pad_token, multiple_of=multiple_of).to(_device(model))
    with _still(model, bf16):
        leak, control, sensitivity, watched = _perturb(model, rows, batch)
        proof = Proof(
            attention=str(model.config.get_text_config()._attn_implementation),
            rows=len(rows),
            watched=watched,
            leak=leak,
            control=control,
            sensitivity=sensitivity,
            equivalence=_equivalence(model, rows, batch),
            language=_language(model, rows, batch),
        )
    check(proof, experts=_has_experts(model.config), dtype=torch.bfloat16 if bf16 else _dtype(model))
    return proof


def prove_language(
    model: JepaModel, rows: Sequence[PackedRow], *, pad_token: int, bf16: bool = False
) -> float:
    """The last of the above alone, of rows in which there is nothing to be kept apart; relative to the logits' size."""
    batch = collate(rows, pad_token=pad_token).to(_device(model))
    with _still(model, bf16):
        found = _language(model, rows, batch)
    dtype = torch.bfloat16 if bf16 else _dtype(model)
    if not found <= _LARGEST_DIFFERENCE.get(dtype, _LARGEST_DIFFERENCE_16_BIT):
        raise RecipeError(
            f"model: logits differ from the model's own (by {found:.1e}), so its language loss would not be that of `sft`",
            hint="use a model of another architecture, or `engine: sft`",
        )
    return found


def check(proof: Proof, *, experts: bool, dtype: torch.dtype) -> None:
    """Refuse a model for which the proof does not hold."""
    largest = _LARGEST_DIFFERENCE.get(dtype, _LARGEST_DIFFERENCE_16_BIT)
    findings = {
        f"a token's state depends on what it must not see (by {proof.leak:.1e})": proof.leak
        > _LARGEST_LEAK["experts" if experts else "dense"],
        f"even plain causal attention changes nothing ({proof.control:.1e}), so the test cannot tell": proof.control
        < _LEAST_CONTROL,
        "a prediction or a target does not depend on what it is made from": proof.sensitivity == 0,
        f"states differ from those of separate forward passes (by {proof.equivalence:.1e})": proof.equivalence
        > largest,
        f"logits of the ordinary tokens differ from those of ordinary training (by {proof.language:.1e})": proof.language
        > largest,
    }
    # Written so that nan, which compares as false, is a finding too.
    failed = [text for text, found in findings.items() if found]
    if any(value != value for value in asdict(proof).values()):
        failed.append("some states are not numbers")
    if failed:
        raise RecipeError(
            f"model: attention `{proof.attention}` does not keep the parts of a row apart: {'; '.join(failed)}",
            hint="use another `model.attn_implementation` (sdpa, eager), another model, or `jepa.mode: regular`",
        )


def _watched(row: PackedRow) -> list[int]:
    """The last original token, and where predictions and embeddings are read: all, or some from first to last."""
    places = {row.segments[0].end - 1}
    for pair in row.pairs:
        places |= {pair.source, pair.target.end - 1}
    ordered = sorted(places)
    stride = max(1, -(-len(ordered) // _QUERIES))
    return ordered[::stride]


def _perturb(
    model: JepaModel, rows: Sequence[PackedRow], batch: PackedBatch
) -> tuple[float, float, float, int]:
    """Replace what a token cannot reach, and then what it can, by other embeddings."""
    embeddings = model.embed(batch)
    before = model.encode(batch, embeddings)
    causal = model.encode(batch, embeddings, mask=batch.valid)
    other = _shuffled(embeddings)
    queries = [_watched(row) for row in rows]
    reach = [reachable(row, places).to(embeddings.device) for row, places in zip(rows, queries, strict=True)]
    leak, control, sensitivity = 0.0, 0.0, float("inf")
    for turn in range(max(map(len, queries))):
        unseen = torch.zeros(batch.group.shape, dtype=torch.bool, device=embeddings.device)
        seen = unseen.clone()
        places: list[tuple[int, int]] = []
        for index, row in enumerate(rows):
            if turn >= len(queries[index]):
                continue
            query, count = queries[index][turn], len(row.input_ids)
            unseen[index, :count] = ~reach[index][turn]
            seen[index, :count] = reach[index][turn]
            seen[index, query] = False
            places.append((index, query))
        changed = torch.where(unseen[..., None], other, embeddings)
        leak = max(leak, _largest(model.encode(batch, changed), before, places))
        control = max(control, _largest(model.encode(batch, changed, mask=batch.valid), causal, places))
        changed = torch.where(seen[..., None], other, embeddings)
        after = model.encode(batch, changed)
        changes = [_largest(after, before, [place]) for place in places if bool(seen[place[0]].any())]
        sensitivity = min([sensitivity, *changes])
    return leak, control, sensitivity, sum(map(len, queries))


def _shuffled(embeddings: Tensor) -> Tensor:
    """Embeddings of the same size that differ everywhere."""
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(embeddings.shape, generator=draw).to(embeddings)
    return embeddings.roll(1, dims=1) + noise * embeddings.std()


def _largest(after: Tensor, before: Tensor, places: Sequence[tuple[int, int]]) -> float:
    """The largest relative change of the states at (row, token); nan where any state is."""
    row, token = (torch.tensor(column, device=before.device) for column in zip(*places, strict=True))
    difference = (after[row, token] - before[row, token]).abs().amax(dim=-1)
    return float((difference / before[row, token].abs().amax(dim=-1)).max())


def _equivalence(model: JepaModel, rows: Sequence[PackedRow], batch: PackedBatch) -> float:
    """Every block of predictors and every copy alone in a forward pass of its own, with its part of the original."""
    packed, embeddings = model.encode(batch), model.embed(batch)
    largest = 0.0
    for index, row in enumerate(rows):
        for segment in row.segments[1:]:
            seen = row.reach[segment.start]
            if not _contiguous(model.config, row, segment.start, seen):
                continue
            places = [*range(seen), *range(segment.start, segment.end)]
            positions = batch.position_ids[index, places][None]
            out = model.transformer(
                inputs_embeds=embeddings[index, places][None],
                attention_mask=torch.ones_like(positions),
                position_ids=positions,
                use_cache=False,
            )
            alone, together = out.last_hidden_state[0, seen:], packed[index, segment.start : segment.end]
            largest = max(largest, _relative(together, alone))
    return largest


def _contiguous(config: Any, row: PackedRow, start: int, seen: int) -> bool:
    """A separate pass counts a sliding window by place and we by position, which differ across a gap."""
    window = getattr(config.get_text_config(), "sliding_window", None)
    return window is None or seen == 0 or row.position_ids[start] == seen


def _language(model: JepaModel, rows: Sequence[PackedRow], batch: PackedBatch) -> float:
    """The logits that are trained against those of the model's own forward pass on the original row."""
    states = model.encode(batch)
    largest = 0.0
    for index, row in enumerate(rows):
        count = row.segments[0].end
        ids = torch.tensor([row.input_ids[:count]], device=states.device)
        ordinary = model.lm(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0]
        largest = max(largest, _relative(model.logits(states[index, :count]), ordinary))
    return largest


def _relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference relative to the largest entry."""
    return float((found - expected).abs().max() / expected.abs().max())


@contextmanager
def _still(model: JepaModel, bf16: bool) -> Iterator[None]:
    """Without dropout and gradients, in mixed precision where training is."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(_device(model).type, torch.bfloat16, enabled=bf16):
            yield
    finally:
        model.train(training)


def _has_experts(config: Any) -> bool:
    names = ("num_experts", "num_local_experts", "n_routed_experts")
    return any(getattr(config.get_text_config(), name, None) for name in names)


def _device(model: JepaModel) -> torch.device:
    return next(model.parameters()).device


def _dtype(model: JepaModel) -> torch.dtype:
    dtype: torch.dtype = model.causal_lm.dtype
    return dtype
