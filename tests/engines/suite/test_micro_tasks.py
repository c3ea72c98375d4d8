"""The six small tasks: what is asked, and what each answer is worth."""

import pytest

from engines.suite.catalog import PRESETS, suite_task
from engines.suite.loading import made_items
from engines.suite.micro_tasks import MICRO_TASKS

RIGHT = {
    "micro_math": ("next 385", "496"),
    "micro_code": ("reverse 385", "583"),
    "micro_science": ("a7 b9 c2 which 9", "b"),
    "micro_logic": ("odd 385", "1"),
    "micro_simulation": ("copy 385", "385"),
    "micro_tabular": ("a7 b9 c2 value c", "2"),
}


WORKED_OUT = {
    "micro_math": lambda words: "".join(str((int(c) + 1) % 10) for c in words[1]),
    "micro_code": lambda words: words[1][::-1],
    "micro_science": lambda words: next(w[0] for w in words[:-2] if w[1] == words[-1]),
    "micro_logic": lambda words: str(int(words[1]) % 2),
    "micro_simulation": lambda words: words[1],
    "micro_tabular": lambda words: next(w[1] for w in words[:-2] if w[0] == words[-1]),
}


def grade(name, prompt, answer, said):
    task = suite_task(name)
    return task.grade(task.parse({"prompt": prompt, "answer": answer}), said, None)


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_answer_alone_earns_everything_and_nothing_earns_nothing(name):
    prompt, answer = RIGHT[name]
    whole = grade(name, prompt, answer, f" {answer}\n")
    assert (whole.score, whole.correct, whole.lenient, whole.outcome) == (1.0, True, True, "graded")
    assert grade(name, prompt, answer, "  ").outcome == "no_answer"
    wrapped = grade(name, prompt, answer, f"it is {answer}")
    assert (wrapped.score, wrapped.correct, wrapped.lenient) == (0.0, False, True)
    assert grade(name, prompt, answer, "zzzz").score == 0.0


def test_an_answer_of_several_characters_earns_the_share_that_is_right():
    assert grade("micro_simulation", "copy 385", "385", "395").score == pytest.approx(2 / 3)
    assert grade("micro_simulation", "copy 385", "385", "3851").score == pytest.approx(3 / 4)
    assert grade("micro_simulation", "copy 385", "385", "38").score == pytest.approx(2 / 3)
    assert not grade("micro_simulation", "copy 385", "385", "38").correct


@pytest.mark.parametrize("task", MICRO_TASKS, ids=lambda task: task.name)
def test_what_is_made_can_be_worked_out_again_and_grades_as_right(task):
    for item in made_items(task, "train", 40):
        assert task.grade(item, task.gold_answer(item), None).correct
        assert item.answer == WORKED_OUT[task.name](item.prompt.split())


def test_there_is_one_for_each_domain():
    assert [suite_task(name).domain for name in PRESETS["micro6"]] == [
        "math",
        "code",
        "science",
        "logic",
        "simulation",
        "tabular",
    ]
