"""Which pairs a mode makes of a row with four steps."""

import pytest

from engines.jepa.fields import JepaBlock
from engines.jepa.packing import Packing
from engines.jepa.views import Views


@pytest.fixture
def row(stepped_rows_by_hand):
    return stepped_rows_by_hand[0]


def packing(row, **fields):
    views = {row.id: Views(row.input_ids[:4], row.input_ids[6:])}
    return Packing(JepaBlock(**fields), 5, views)


def steps_of(row, packed):
    """For each pair the step that it is predicted from and the one that is predicted."""
    from_step = {segment.end - 1: segment.step for segment in packed.segments if segment.kind == "predictor"}
    return [(from_step[pair.source], pair.target.step) for pair in packed.pairs]


@pytest.mark.parametrize(
    ("fields", "pairs"),
    [
        ({}, [(1, 2), (2, 3), (3, 4)]),
        ({"mode": "monitor"}, [(1, 2), (2, 3), (3, 4)]),
        ({"mode": "step"}, [(1, 2)]),
        ({"horizon": 2}, [(1, 3), (2, 4)]),
        ({"horizon": 3}, [(1, 4)]),
        ({"horizon": 4}, []),
        ({"mode": "step", "horizon": 2}, [(1, 3)]),
    ],
    ids=str,
)
def test_which_step_predicts_which(row, fields, pairs):
    made = packing(row, **fields)
    assert steps_of(row, made.full(row, 0)) == pairs
    measured = made.measured(row)
    assert set(pairs) <= set(steps_of(row, measured))
    assert [span.step for span in measured.candidates] == [1, 2, 3, 4]


def test_a_mode_without_steps_has_one_pair_or_none(row):
    assert packing(row, mode="regular").full(row, 0).pairs == ()
    for mode in ("text_code", "stp"):
        assert len(packing(row, mode=mode).full(row, 0).pairs) == 1


def test_tubes_are_drawn_anew_at_every_step_and_the_same_in_every_attempt(row):
    tubes = packing(row, mode="stp")
    assert len({tubes.full(row, step).pairs for step in range(6)}) > 3
    assert tubes.full(row, 2) == packing(row, mode="stp").full(row, 2)
    assert tubes.measured(row) == tubes.measured(row)


def test_one_draw_drops_a_whole_step(stepped_rows_by_hand, row):
    made = packing(row, loss_dropout=0.5)
    for step in range(20):
        found = {len(made.row(one, step).pairs) == 0 for one in stepped_rows_by_hand}
        assert found == {made.is_dropped(step)}
