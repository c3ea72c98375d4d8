from dataclasses import replace

import pytest

from engines.jepa.layout import Pair, pack
from engines.jepa.reach import check_answers_are_hidden, reachable
from engines.jepa.views import Views, text_and_code, tube
from engines.recipe.errors import RecipeError


@pytest.mark.parametrize("predictors", [0, 1, 3])
@pytest.mark.parametrize("target", ["isolated", "bos", "question", "contextual"])
@pytest.mark.parametrize("readout", ["separator", "last_content", "mean"])
@pytest.mark.parametrize("horizon", [1, 2])
def test_no_prediction_sees_its_answer(stepped_rows_by_hand, predictors, target, readout, horizon):
    rows = [
        pack(row, predictors=predictors, target=target, readout=readout, horizon=horizon, all_steps=True)
        for row in stepped_rows_by_hand
    ]
    assert any(row.pairs for row in rows)
    check_answers_are_hidden(rows)


def test_neither_do_those_that_know_no_steps(stepped_rows_by_hand):
    row = stepped_rows_by_hand[0]
    check_answers_are_hidden(
        [text_and_code(row, Views(row.input_ids[:4], row.input_ids[6:]), predictors=2), tube(row, "seed")]
    )


def test_a_row_whose_own_numbers_are_wrong_is_refused(stepped_rows_by_hand):
    """One token of the next step in sight is enough, though mask and numbers agree."""
    packed = pack(stepped_rows_by_hand[0], predictors=2)
    block = packed.segments[1]
    reach = [one + 1 if block.start <= place < block.end else one for place, one in enumerate(packed.reach)]
    with pytest.raises(RecipeError, match="sees what it is to predict"):
        check_answers_are_hidden([replace(packed, reach=reach)])
    one_group = [min(number, 1) for number in packed.group]
    with pytest.raises(RecipeError, match="sees its prediction"):
        check_answers_are_hidden([replace(packed, group=one_group)])


def test_a_prediction_from_the_first_token_of_the_next_step_is_refused(stepped_rows_by_hand):
    packed = pack(stepped_rows_by_hand[0], predictors=0)
    shifted = tuple(Pair(pair.source + 1, pair.target) for pair in packed.pairs)
    with pytest.raises(RecipeError, match="sees what it is to predict"):
        check_answers_are_hidden([replace(packed, pairs=shifted)])


def test_without_predictors_the_last_token_of_the_step_predicts(stepped_rows_by_hand):
    for row in stepped_rows_by_hand:
        packed = pack(row, predictors=0)
        assert [pair.source for pair in packed.pairs] == [step.end - 1 for step in row.steps[:-1]]


@pytest.mark.parametrize(("target", "count"), [("isolated", 0), ("bos", 1), ("question", 5)])
def test_a_copy_sees_as_much_of_the_original_as_its_target_says(stepped_rows_by_hand, target, count):
    packed = pack(stepped_rows_by_hand[0], predictors=2, target=target)
    original = packed.segments[0].end
    for pair in packed.pairs:
        [seen] = reachable(packed, [pair.target.end - 1])
        assert seen[:original].nonzero().flatten().tolist() == list(range(count))


@pytest.mark.parametrize("readout", ["separator", "last_content", "mean"])
@pytest.mark.parametrize("target", ["isolated", "contextual"])
def test_an_embedding_is_read_where_the_readout_says(stepped_rows_by_hand, readout, target):
    row = stepped_rows_by_hand[0]
    packed = pack(row, predictors=1, readout=readout, target=target, all_steps=True)
    copies = [segment.start for segment in packed.segments if segment.kind == "target"]
    for number, (step, span) in enumerate(zip(row.steps, packed.candidates, strict=True)):
        shift = copies[number] - step.start if copies else 0
        assert (span.start - shift, span.end - shift) == {
            "separator": (step.end - 1, step.end),
            "last_content": (step.content_end - 1, step.content_end),
            "mean": (step.start, step.end),
        }[readout]
