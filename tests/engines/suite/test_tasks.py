"""Every task of the suite keeps its promises: gold is right, junk is not, and made questions are fresh and the same."""

import json
import re

import pytest

from engines.suite.catalog import PRESETS, SUITE
from engines.suite.loading import made_items, split_of
from engines.tasks.splits import question_key

TASKS = sorted(SUITE)
WHOLE = ("ifeval", *PRESETS["micro6"])
"""Tasks in which the whole text is the answer."""
JUNK = (
    "",
    " \n",
    "zzz",
    "I do not know.",
    "\\boxed{}",
    "<answer></answer>",
    "```python\n```",
    "<solution></solution>",
    "****",
    "\0",
    "{" * 50,
)


def _items(task, count=12):
    return [SUITE[task].generate(seed, seed % 6) for seed in range(count)]


@pytest.fixture(scope="module")
def sandbox():
    from engines.sandbox import open_sandbox

    with open_sandbox(None) as sandbox:
        yield sandbox


@pytest.mark.parametrize("task", TASKS)
def test_the_gold_answer_is_right_also_wrapped_and_twice(task, sandbox):
    for item in _items(task):
        gold = SUITE[task].gold_answer(item)
        first = SUITE[task].grade(item, gold, sandbox)
        assert (first.correct, first.lenient, first.score, first.outcome) == (True, True, 1.0, "graded"), item
        assert SUITE[task].grade(item, gold, sandbox) == first
        if task not in WHOLE:
            wrapped = f"<think>Perhaps \\boxed{{-7}}? No.</think>Let me see. 3 + 4 = 7.\n\n{gold}\n"
            assert SUITE[task].grade(item, wrapped, sandbox).correct, item


@pytest.mark.parametrize("task", TASKS)
def test_junk_scores_nothing(task, sandbox):
    for item in _items(task, 4):
        for junk in JUNK:
            grade = SUITE[task].grade(item, junk, sandbox)
            assert (grade.score, grade.correct, grade.lenient) == (0.0, False, False), (item, junk)
            assert grade.outcome != "error", (item, junk, grade.detail)


HOSTILE = (
    "\\boxed{", "<answer>", "<solution>", "<think>", "```\n", "```python\n", "answer is ", "1", "- ", "[", "[a", "*a", "**",
    "* ", "<<", ">>", " ", "\n", '{"rows":', "(", "p.s", "|", "1,", "\\frac{",
)  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_a_long_hostile_answer_is_graded_at_once_and_is_wrong(task, sandbox):
    """200,000 characters of one thing: an expression that goes back over its text would take hours."""
    item = SUITE[task].generate(3, 3)
    for piece in HOSTILE:
        text = piece * (200_000 // len(piece))
        for answer in (text, f"<answer>{text}</answer>", f"\\boxed{{{text}}}"):
            grade = SUITE[task].grade(item, answer, sandbox)
            assert grade.score < 1e-3 and not grade.correct, piece
            assert grade.outcome != "error", (piece, grade.detail)


@pytest.mark.parametrize("task", TASKS)
def test_the_prompt_given_back_is_no_answer_that_counts(task, sandbox):
    """A model that only repeats the question, format example included, has answered nothing."""
    for item in _items(task, 4):
        assert not SUITE[task].grade(item, item.prompt, sandbox).correct, item


def test_no_made_question_shows_its_answer_or_leaves_it_open(sandbox):
    """Many seeds of those whose prompts come close: an example that is a possible answer, a text without a mistake."""
    for task in ("livebench_reasoning", "livebench_language"):
        for seed in range(150):
            item = SUITE[task].generate(seed, seed % 6)
            assert not SUITE[task].grade(item, item.prompt, sandbox).correct, item
            assert item.details["kind"] != "typos" or item.answer not in item.prompt, item
    for seed in range(300):
        item = SUITE["math500"].generate(seed, seed % 6)
        if found := re.search(r"roots of \$x\^2 ([+-]) (\d+)x ([+-]) (\d+) = 0", item.prompt):
            b, c = int(found[1] + found[2]), int(found[3] + found[4])
            assert b * b > 4 * c, item


@pytest.mark.parametrize("task", TASKS)
def test_made_questions_are_the_same_every_time_and_hold_json(task):
    for seed in range(6):
        item = SUITE[task].generate(seed, seed)
        assert SUITE[task].generate(seed, seed) == item
        assert item.task == task
        assert json.loads(item.gold) is not None and isinstance(json.loads(item.extra), dict)


@pytest.mark.parametrize("task", TASKS)
def test_the_splits_share_no_question(task):
    items = {split: made_items(SUITE[task], split, 12) for split in ("train", "dev", "test")}
    keys = {split: {question_key(item.prompt) for item in group} for split, group in items.items()}
    assert all(len(group) == 12 for group in keys.values())
    assert (
        not keys["train"] & keys["dev"]
        and not keys["train"] & keys["test"]
        and not keys["dev"] & keys["test"]
    )
    assert all(split_of(item.prompt) == split for split, group in items.items() for item in group)


def test_the_presets_have_the_published_numbers_of_tasks():
    assert {name: len(PRESETS[name]) for name in PRESETS} == {
        "guru13": 13,
        "guru17": 19,
        "guru19": 19,
        "all21": 21,
        "micro6": 6,
    }
    assert set(PRESETS["guru13"]) - set(PRESETS["guru19"]) == {"amc", "ordering"}
    assert set(PRESETS["all21"]) == set(PRESETS["guru13"]) | set(PRESETS["guru19"])
