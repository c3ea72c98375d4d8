"""Which completions go through the model together, and as what."""

from collections import Counter

import torch

from engines.ppo.batches import by_unit, collate, micro_batches, mini_batches, placebo_units, response_mask


def test_prompts_are_padded_on_the_left_and_responses_on_the_right(make_row):
    batch = collate([make_row([5, 6], [7]), make_row([5], [8, 9, 1])], pad=0, device=torch.device("cpu"))
    assert batch.input_ids.tolist() == [[5, 6, 7, 0, 0], [0, 5, 8, 9, 1]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0, 0], [0, 1, 1, 1, 1]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 2, 2], [0, 0, 1, 2, 3]]
    assert batch.responses.tolist() == [[7, 0, 0], [8, 9, 1]] and batch.width == 3


def test_an_empty_response_is_a_column_of_padding_that_does_not_count(make_row):
    rows = [make_row([5], [])]
    assert collate(rows, pad=0, device=torch.device("cpu")).width == 1
    assert not response_mask(rows, mask_truncated=False).any()


def test_tokens_count_up_to_the_end_token_unless_the_grader_failed_or_cut_off_ones_are_left_out(make_row):
    rows = [
        make_row([5], [7, 1]),
        make_row([5], [7, 7, 7], truncated=True),
        make_row([5], [7], outcome="error"),
    ]
    assert response_mask(rows, mask_truncated=False).tolist() == [[1, 1, 0], [1, 1, 1], [0, 0, 0]]
    assert response_mask(rows, mask_truncated=True).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_micro_batches_hold_every_row_once_and_there_are_two_where_two_are_asked_for():
    assert micro_batches(range(5), 2) == [[0, 1], [2, 3], [4]]
    assert micro_batches(range(5), 100, parts=2) == [[0, 1, 2], [3, 4]]
    assert micro_batches([3], 100, parts=2) == [[3]]


def test_every_mini_batch_has_its_share_of_every_unit_and_whole_questions(rows):
    found = mini_batches(rows, 2, "seed")
    assert sorted(number for chosen in found for number in chosen) == list(range(len(rows)))
    for chosen in found:
        assert set(by_unit([row.unit for row in rows], chosen)) == {0, 1}
        assert all(count == 2 for count in Counter(rows[number].group for number in chosen).values())
    assert mini_batches(rows, 2, "seed") == found
    assert mini_batches(rows, None, "seed") == [list(range(len(rows)))]


def test_a_placebo_keeps_sizes_and_questions_whole_and_deals_them_at_random(rows):
    chosen = list(range(len(rows)))
    dealt = [placebo_units(rows, chosen, f"seed {number}") for number in range(20)]
    for one in dealt:
        assert Counter(one.values()) == Counter(row.unit for row in rows)
        for group in {row.group for row in rows}:
            assert len({one[number] for number in chosen if rows[number].group == group}) == 1
    assert len({tuple(one.items()) for one in dealt}) > 5
