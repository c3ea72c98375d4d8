import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.jepa.collate import collate
from engines.jepa.layout import may_attend, pack, plain
from engines.jepa.masks import attention_mask
from engines.jepa.rows import Step, SteppedRow


class Config:
    """What is read of a model's config."""

    def __init__(self, attention="sdpa", **fields):
        self._attn_implementation = attention
        self.__dict__.update(fields)

    def get_text_config(self):
        return self


def row_of(lengths, prompt=3, tail=1):
    total = prompt + sum(lengths) + tail
    ids = list(range(10, 10 + total))
    steps, start = [], prompt
    for length in lengths:
        steps.append(Step(start, start + length, start + length))
        start += length
    return SteppedRow("row", ids, [-100] * prompt + ids[prompt:], tuple(steps))


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=8), min_size=1, max_size=3),
    predictors=st.integers(0, 4),
    target=st.sampled_from(["isolated", "bos", "question", "contextual"]),
    side=st.sampled_from(["left", "right"]),
)
def test_the_mask_of_a_batch_is_that_of_each_row_alone(lengths, predictors, target, side):
    rows = [pack(row_of(each), predictors=predictors, target=target) for each in lengths]
    batch = collate(rows, pad_token=0, padding_side=side)
    if not batch.packed:
        return
    mask = attention_mask(batch, Config(), torch.float32)
    length = batch.group.shape[1]
    for index, row in enumerate(rows):
        count = len(row.input_ids)
        before = length - count if side == "left" else 0
        wanted = torch.eye(length, dtype=torch.bool)
        for q in range(count):
            for k in range(count):
                wanted[before + q, before + k] = may_attend(row.group[q], q, row.reach[q], row.group[k], k)
        assert torch.equal(mask[index, 0], wanted)
    assert mask.any(dim=-1).all()


@pytest.mark.parametrize("predictors", range(5))
@pytest.mark.parametrize("steps", range(2, 9))
def test_every_adjacent_pair_has_its_predictors_and_its_copy(predictors, steps):
    row = row_of([2] * steps)
    packed = pack(row, predictors=predictors)
    assert len(packed.pairs) == steps - 1
    assert len(packed.input_ids) == len(row.input_ids) + (steps - 1) * (predictors + 2)
    for pair in packed.pairs:
        copied = packed.input_ids[pair.target.end - 1]
        assert copied == row.input_ids[row.steps[pair.target.step - 1].end - 1]
        assert packed.labels[pair.target.end - 1] == -100


def test_eager_gets_a_finite_mask_to_add_and_plain_rows_the_ordinary_one():
    batch = collate([pack(row_of([2, 2]), predictors=1)], pad_token=0)
    seen = attention_mask(batch, Config("sdpa"), torch.float32)
    added = attention_mask(batch, Config("eager"), torch.bfloat16)
    assert added.dtype == torch.bfloat16 and added.isfinite().all()
    assert torch.equal(added == 0, seen)
    ordinary = collate([plain(row_of([2, 2])), plain(row_of([3, 2]))], pad_token=0)
    assert torch.equal(
        attention_mask(ordinary, Config("sdpa"), torch.float32), torch.tensor([[1] * 8 + [0], [1] * 9])
    )


def test_a_sliding_window_is_kept_and_counted_by_position():
    batch = collate([pack(row_of([3, 3, 3]), predictors=2)], pad_token=0)
    kinds = ["sliding_attention", "full_attention"]
    masks = attention_mask(batch, Config(layer_types=kinds, sliding_window=4), torch.float32)
    assert set(masks) == set(kinds)
    distance = batch.position_ids[:, None, :, None] - batch.position_ids[:, None, None, :]
    assert torch.equal(masks["sliding_attention"], masks["full_attention"] & (distance < 4))
    everywhere = attention_mask(batch, Config(sliding_window=4), torch.float32)
    assert torch.equal(everywhere, masks["sliding_attention"])


def test_labels_are_those_of_the_next_original_token():
    packed = pack(row_of([2, 3, 2]), predictors=3)
    batch = collate([packed], pad_token=0, padding_side="left")
    original = packed.segments[0].end
    for place in range(1, len(packed.labels)):
        if packed.labels[place] != -100:
            assert place < original and packed.labels[place] == packed.input_ids[place]
    assert batch.label_count == 8


def test_positions_go_on_where_the_step_ended_and_copies_keep_theirs():
    row = row_of([2, 3, 2])
    packed = pack(row, predictors=2)
    for segment in packed.segments[1:]:
        step = row.steps[segment.step - 1]
        start = step.end if segment.kind == "predictor" else step.start
        assert packed.position_ids[segment.start] == start


def test_random_rows_of_a_panel_hold_a_copy_of_every_step():
    row = row_of([random.Random(0).randint(1, 5) for _ in range(5)])
    packed = pack(row, predictors=1, all_steps=True)
    assert [span.step for span in packed.candidates] == [1, 2, 3, 4, 5]
    assert len(packed.pairs) == 4 and packed.pairs[0].target == packed.candidates[1]
