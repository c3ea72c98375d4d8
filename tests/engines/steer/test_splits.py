import json

import pytest

from engines.recipe.blocks import TaskBlock
from engines.recipe.errors import RecipeError
from engines.steer.fields import SplitsBlock
from engines.steer.splits import PARTS, make_splits
from engines.tasks.loading import load_examples

WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heath",
    "islet",
    "jetty",
    "knoll",
    "ledge",
    "marsh",
    "nook",
    "oasis",
]


def questions(count):
    """No two share many words in a row."""
    for number in range(count):
        words = [f"{word}{number}" for word in WORDS]
        yield {"question": " ".join(words), "answer": f"It is {number}.\n#### {number}"}


def write(directory, train, test):
    for split, rows in (("train", train), ("test", test)):
        (directory / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TaskBlock(name="gsm8k", path=str(directory), dev_examples=5)


SIZES = SplitsBlock(vectors=20, screen=4, search=12, confirm=10)


def test_parts_share_nothing_with_each_other_dev_or_test(tmp_path):
    rows = list(questions(70))
    task = write(tmp_path, rows[:60], rows[60:])
    found = make_splits(task, SIZES)
    ids = [example.id for name in PARTS for example in found.part(name)]
    assert len(ids) == len(set(ids)) == 46 and found.dropped == 0
    assert not set(ids) & {example.id for example in load_examples(task, "dev")}
    assert {len(found.part(name)) for name in PARTS} == {20, 4, 12, 10}


def test_neither_the_order_of_the_file_nor_a_smaller_size_moves_a_question(tmp_path):
    rows = list(questions(70))
    (tmp_path / "other").mkdir()
    one = make_splits(write(tmp_path, rows[:60], rows[60:]), SIZES)
    other = make_splits(write(tmp_path / "other", rows[:60][::-1], rows[60:]), SIZES)
    for name in PARTS:
        texts = [[example.question for example in found.part(name)] for found in (one, other)]
        assert texts[0] == texts[1]


def test_what_is_like_a_test_question_or_one_of_another_part_is_left_out(tmp_path):
    rows = list(questions(70))
    like_test = {**rows[65], "question": rows[65]["question"] + " again"}
    twins = [{**row, "question": "well " + row["question"]} for row in rows[:30]]
    task = write(tmp_path, [*rows[:60], like_test, *twins], rows[60:])
    found = make_splits(task, SIZES)
    assert found.dropped >= 1
    where = {example.question.removeprefix("well "): name for name in PARTS for example in found.part(name)}
    for name in PARTS:
        for example in found.part(name):
            assert where[example.question.removeprefix("well ")] == name
            assert example.question != like_test["question"]


def test_too_few_questions_are_an_error_that_says_which_part_is_short(tmp_path):
    rows = list(questions(40))
    task = write(tmp_path, rows[:35], rows[35:])
    with pytest.raises(RecipeError, match="vectors 4 of 20"):
        make_splits(task, SIZES)
