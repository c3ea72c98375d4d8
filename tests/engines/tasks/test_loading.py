import json
from pathlib import Path

import pytest

from engines.recipe.blocks import TaskBlock
from engines.recipe.errors import RecipeError
from engines.tasks.loading import data_hash, load_examples, training_examples


@pytest.fixture
def task(tmp_path: Path) -> TaskBlock:
    """60 training questions, 10 of them also in the test split, one written twice."""
    for split, numbers in {"train": [*range(60), 59], "test": range(50, 80)}.items():
        rows = [
            {"question": f"What is {n} + {n}?", "answer": f"{n}+{n}={2 * n}\n#### {2 * n}"} for n in numbers
        ]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return TaskBlock(name="gsm8k", path=str(tmp_path), dev_examples=8)


def test_train_dev_and_test_share_no_question(task: TaskBlock) -> None:
    questions = [
        {example.question for example in load_examples(task, split)} for split in ("train", "dev", "test")
    ]
    assert [len(part) for part in questions] == [42, 8, 30]
    assert len(set.union(*questions)) == 80


def test_training_never_sees_a_test_question_and_takes_all_without_a_count(task: TaskBlock) -> None:
    test = {example.question for example in load_examples(task, "test")}
    everything = training_examples(task, None, seed=1)
    assert len(everything) == 42 and not test & {example.question for example in everything}


def test_budgets_are_nested_and_seeded(task: TaskBlock) -> None:
    assert training_examples(task, 16, seed=1) == training_examples(task, 32, seed=1)[:16]
    assert training_examples(task, 16, seed=1) != training_examples(task, 16, seed=2)


@pytest.mark.parametrize("count", [0, 43])
def test_more_examples_than_there_are_is_an_error_that_says_how_many_there_are(
    task: TaskBlock, count: int
) -> None:
    with pytest.raises(
        RecipeError, match=f"{count} training examples asked for, but gsm8k has 1 to 42"
    ) as caught:
        training_examples(task, count, seed=1)
    assert "42" in caught.value.hint


def test_a_dev_set_that_leaves_nothing_to_train_on_is_refused(task: TaskBlock) -> None:
    with pytest.raises(RecipeError, match="leaves nothing to train on"):
        load_examples(task.model_copy(update={"dev_examples": 50}), "dev")


def test_the_data_hash_sees_content_and_order(task: TaskBlock) -> None:
    examples = load_examples(task, "dev")
    assert data_hash(examples) == data_hash(load_examples(task, "dev")) != data_hash(examples[::-1])
    assert len(data_hash(examples)) == 16 and data_hash(examples[:-1]) != data_hash(examples)


def test_an_empty_test_split_is_an_error_with_a_hint(task: TaskBlock) -> None:
    (Path(str(task.path)) / "test.jsonl").write_text("")
    with pytest.raises(RecipeError, match=r"test split of gsm8k is empty\nhint: "):
        load_examples(task, "test")
