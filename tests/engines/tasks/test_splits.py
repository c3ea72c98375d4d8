import random

from engines.tasks.example import Example
from engines.tasks.splits import carve_dev, distinct, permuted, question_key

EXAMPLES = [Example(f"t-{index}", f"What is {index} + 1?", "", str(index + 1)) for index in range(300)]


def test_a_question_keeps_its_key_whatever_its_spacing_and_case() -> None:
    assert question_key("What  is\n2 + 2? ") == question_key("what is 2 + 2?")
    assert question_key("What is 2 + 2?") != question_key("What is 2 + 3?")


def test_dev_is_disjoint_from_train_and_does_not_depend_on_the_order_of_the_file() -> None:
    train, dev = carve_dev(EXAMPLES, 40)
    assert len(dev) == 40 and len(train) == 260 and not {e.id for e in train} & {e.id for e in dev}
    shuffled = random.Random(0).sample(EXAMPLES, len(EXAMPLES))
    assert {e.id for e in carve_dev(shuffled, 40)[1]} == {e.id for e in dev}
    assert [e.id for e in dev[:3]] == ["t-15", "t-21", "t-23"]


def test_a_larger_dev_set_holds_the_smaller_one() -> None:
    assert set(carve_dev(EXAMPLES, 20)[1]) < set(carve_dev(EXAMPLES, 40)[1])


def test_a_seeded_order_depends_on_the_seed_alone() -> None:
    shuffled = random.Random(0).sample(EXAMPLES, len(EXAMPLES))
    assert permuted(shuffled, 1) == permuted(EXAMPLES, 1) != permuted(EXAMPLES, 2)
    assert sorted(permuted(EXAMPLES, 1), key=lambda e: int(e.id[2:])) == EXAMPLES


def test_repeated_questions_and_those_already_seen_are_left_out() -> None:
    again = Example("x", "WHAT is 0 + 1?", "", "1")
    assert distinct([*EXAMPLES[:3], again], {question_key(EXAMPLES[1].question)}) == [
        EXAMPLES[0],
        EXAMPLES[2],
    ]
