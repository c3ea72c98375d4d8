"""Real benchmark files, where they stand beside the checkout: every gold is right, and junk is not."""

from itertools import pairwise
from pathlib import Path

import pytest

from engines.suite.catalog import SUITE
from engines.suite.loading import read_items
from engines.suite.math_equal import equal

DATA = Path(__file__).parents[4] / "shared" / "data"
FILES = [
    ("aime", "aime24/test.jsonl", 30),
    ("amc", "amc23/test.jsonl", 40),
    ("math500", "math500/test.jsonl", 500),
    ("supergpqa", "mmlu_stem/test.jsonl", 3006),
    ("arcagi1", "arc_agi/training", 50),
    ("arcagi1", "arc_agi/evaluation", 50),
    ("ordering", "bbh/logical_deduction_three_objects.json", 250),
    ("ordering", "bbh/logical_deduction_five_objects.json", 250),
    ("ordering", "bbh/logical_deduction_seven_objects.json", 250),
    ("ordering", "bbh/penguins_in_a_table.json", 146),
]

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark files are not here")


@pytest.mark.parametrize(("task", "file", "count"), FILES)
def test_every_gold_of_a_real_file_is_right_and_junk_is_not(task, file, count):
    items = read_items(SUITE[task], str(DATA / file))
    assert len(items) == count
    for item in items:
        assert SUITE[task].grade(item, SUITE[task].gold_answer(item), None).correct, item
        for junk in ("", "zzz", "I do not know."):
            grade = SUITE[task].grade(item, junk, None)
            assert grade.score == 0 and not grade.lenient, (item, junk)


def test_math_500_answers_are_equal_to_themselves_alone():
    """The answer to one problem is not the answer to another that reads differently."""
    golds = [str(item.answer) for item in read_items(SUITE["math500"], str(DATA / "math500/test.jsonl"))]
    odd = sorted({gold for gold in golds if not gold.lstrip("-").isdigit()})[::6]
    assert len(odd) > 20
    for first, second in pairwise(odd):
        assert equal(first, first) and not equal(first, second), (first, second)
