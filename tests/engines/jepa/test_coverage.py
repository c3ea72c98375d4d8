from engines.jepa.coverage import coverage, coverage_table
from engines.jepa.rows import Step, SteppedRow


def row(length, *steps, merged=0, separators=0, edges=0):
    labels = [-100, *[1] * (length - 1)]
    return SteppedRow(
        "r", [1] * length, labels, tuple(Step(*step) for step in steps), merged, separators, edges
    )


ROWS = [
    row(10, (2, 4, 5), (5, 8, 8), separators=1, edges=2),
    row(30, (2, 4, 5), (5, 8, 9), (9, 20, 20), merged=1),
    row(6, (2, 4, 4)),
    row(6),
]


def test_every_count_is_that_of_the_rows():
    found = coverage(ROWS, max_length=10)
    assert (found.examples, found.stepped, found.steps, found.pairs) == (4, 2, 6, 3)
    assert (found.merged, found.merged_separators, found.merged_edges) == (1, 1, 2)
    assert (found.too_long, found.pairs_too_long) == (1, 2)
    assert (found.tokens, found.step_tokens) == (52, 6 + 18 + 2)
    assert found.by_steps == ((0, 1), (1, 1), (2, 1), (3, 1))


def test_the_table_has_a_line_a_count_with_its_share_and_fits_a_terminal():
    lines = coverage_table(coverage(ROWS, max_length=10)).splitlines()
    assert lines[1].split() == ["with", "two", "steps", "or", "more", "2", "50.0%"]
    assert lines[-1] == "examples by number of steps   0: 1  1: 1  2: 1  3: 1"
    assert all(len(line) <= 80 for line in lines)


def test_no_examples_at_all_make_a_table_without_shares():
    assert "%" not in coverage_table(coverage([], max_length=10))
