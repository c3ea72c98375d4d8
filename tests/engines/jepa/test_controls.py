from hypothesis import given
from hypothesis import strategies as st

from engines.jepa.controls import others, random_boundaries
from engines.jepa.rows import Step, SteppedRow


@given(st.lists(st.integers(0, 5), max_size=20), st.text(max_size=3))
def test_the_partner_is_always_of_another_row(rows, seed):
    partner = others(rows, seed)
    if len(set(rows)) < 2:
        assert partner == [-1] * len(rows)
    else:
        assert all(rows[theirs] != own for own, theirs in zip(rows, partner, strict=True))
    assert partner == others(rows, seed)


def test_another_seed_pairs_otherwise():
    rows = [0, 0, 1, 2, 2, 3, 4]
    assert len({tuple(others(rows, str(seed))) for seed in range(10)}) > 5


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 50))
def test_random_steps_cover_the_same_tokens_in_the_same_number(lengths, seed):
    steps, start = [], 3
    for length in lengths:
        steps.append(Step(start, start + length, start + length))
        start += length
    row = SteppedRow("row", list(range(start + 1)), [-100] * 3 + [1] * (start - 2), tuple(steps))
    cut = random_boundaries(row, seed)
    assert len(cut.steps) == len(steps) and cut.input_ids == row.input_ids
    assert cut.steps[0].start == 3 and cut.steps[-1].end == start
    assert all(a.end == b.start and a.start < a.end for a, b in zip(cut.steps, cut.steps[1:], strict=False))
    assert cut == random_boundaries(row, seed)
