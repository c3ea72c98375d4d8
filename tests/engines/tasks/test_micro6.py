"""The micro suite as a task of questions and answers, for engines that show them."""

import pytest

from engines.recipe.blocks import TaskBlock
from engines.recipe.errors import RecipeError
from engines.suite.loading import split_of
from engines.tasks.loading import load_examples, plain_text

TASK = TaskBlock(name="micro6", dev_examples=24)


def test_any_number_of_examples_has_some_of_each_task():
    kinds = [example.question.split()[0] for example in load_examples(TASK, "test")]
    assert len(kinds) == 96 and {"next", "reverse", "odd", "copy"} <= set(kinds[:6])


def test_nothing_is_shown_that_training_is_validated_or_tested_with():
    shown = [*load_examples(TASK, "train"), *load_examples(TASK, "dev")]
    assert len(shown) == 6 * 64 and {split_of(example.question) for example in shown} == {"train"}
    assert {split_of(example.question) for example in load_examples(TASK, "test")} == {"test"}


def test_an_answer_is_said_word_for_word_and_pre_training_sees_none():
    examples = load_examples(TASK, "train")
    assert all(example.completion == example.answer and not example.reasoning for example in examples)
    assert set(plain_text(TASK, 20, 0)) <= {example.question for example in examples}


def test_it_reads_no_file():
    with pytest.raises(RecipeError, match="micro6 is generated"):
        load_examples(TaskBlock(name="micro6", path="somewhere"), "train")
