import random
import re
from fractions import Fraction

import pytest

from engines.recipe.blocks import TaskBlock
from engines.recipe.errors import RecipeError
from engines.tasks import pocket_math
from engines.tasks.loading import data_hash, load_examples
from engines.tasks.word_problems import ONE_STEP, THREE_STEPS, TWO_STEPS

TASK = TaskBlock(name="pocket-math")


def test_the_splits_have_their_sizes_and_share_no_question() -> None:
    splits = [load_examples(TASK, split) for split in ("train", "dev", "test")]
    assert [len(part) for part in splits] == [20_256, 256, 1_000]
    assert len({example.question for part in splits for example in part}) == 21_512


def test_the_problems_are_the_same_on_every_machine() -> None:
    first = load_examples(TASK, "test")[0]
    assert first.id == "pocket-math-test-0"
    assert data_hash(load_examples(TASK, "test")) == "8b7998361a94efe2"


def test_every_step_is_true_and_the_last_one_gives_the_answer() -> None:
    for example in load_examples(TASK, "test"):
        for step in example.reasoning.split("\n"):
            left, sign, right, result = re.fullmatch(r"(\d+)([-+*/])(\d+)=(\d+)", step).groups()  # type: ignore[union-attr]
            a, b = Fraction(left), Fraction(right)
            assert Fraction(result) == {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[sign]
            assert 1 <= int(result) <= pocket_math.LARGEST
        assert example.answer == result


def test_the_numbers_of_the_first_step_are_in_the_question() -> None:
    for example in load_examples(TASK, "test"):
        first, second = re.findall(r"\d+", example.reasoning)[:2]
        assert {first, second} <= set(re.findall(r"\d+", example.question))


@pytest.mark.parametrize("kind", [*ONE_STEP, *TWO_STEPS, *THREE_STEPS], ids=lambda kind: kind.name)
def test_every_wording_of_a_kind_states_all_its_numbers(kind: pocket_math.Kind) -> None:
    values, _ = pocket_math.draw_numbers(kind, random.Random(0))
    for wording in kind.wordings:
        assert wording.endswith("?") and {f"{{{name}}}" for name in kind.numbers} <= set(
            re.findall(r"\{\w\}", wording)
        )
    assert set(kind.numbers) < set(values)


def test_a_path_is_refused_because_the_problems_are_generated() -> None:
    with pytest.raises(RecipeError, match="reads no file") as caught:
        load_examples(TaskBlock(name="pocket-math", path="data.jsonl"), "train")
    assert "gsm8k" in caught.value.hint
