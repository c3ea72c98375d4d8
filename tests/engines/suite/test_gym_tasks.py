"""Tasks of reasoning-gym: the list, the refusal without the package, the wrapper; and with it, every name of the list."""

import importlib
import json
import subprocess
import sys
import types
from importlib.util import find_spec
from itertools import pairwise
from typing import get_args

import pytest
from pydantic import ValidationError
from serving import always_fails, gives_almost_all, never_answers

from engines.eval import Recipe
from engines.recipe.blocks import SuiteBlock
from engines.recipe.errors import RecipeError
from engines.recipe.gym_names import GymTaskName
from engines.sandbox import open_sandbox
from engines.suite import gym_process
from engines.suite.catalog import SUITE, suite_task
from engines.suite.deadline import Pool
from engines.suite.gym_tasks import ALLOWED, GYM, LEFT_OUT, PREFIX, SUFFIX, gold_answer, grade
from engines.suite.item import Domain, make_item
from engines.suite.loading import made_items, split_of
from engines.suite.rows import Answer, fields_of, graded_row, item_of
from engines.suite.selection import items_of, tasks_of
from engines.tasks.splits import question_key

NAMES = sorted(ALLOWED)
needs_gym = pytest.mark.skipif(
    find_spec("reasoning_gym") is None,
    reason="reasoning-gym is not installed: pip install 'tunedeck[gym]'",
)
BROKEN = (
    "graph_color", "rubiks_cube", "boxnet", "rush_hour", "propositional_logic", "game_of_life_halting",
    "prime_factorization", "sentence_reordering", "knight_swap", "sokoban", "zebra_puzzles", "futoshiki",
    "intermediate_integration", "puzzle24",
)  # fmt: skip
"""Known as broken or slow before any trial of ours."""


def test_recipes_know_the_names_of_the_list_and_no_others():
    assert sorted(get_args(GymTaskName)) == NAMES
    left_out = [PREFIX + name for names in LEFT_OUT.values() for name in names]
    assert {PREFIX + name for name in BROKEN} <= set(left_out)
    assert len(set(left_out)) == len(left_out) and not set(NAMES) & set(left_out)
    assert set(ALLOWED.values()) <= set(get_args(Domain))
    assert not set(NAMES) & set(SUITE)


def _recipe(*tasks):
    return Recipe(engine="eval", model={"base": "pocket"}, suite={"tasks": list(tasks)})


def test_names_are_checked_at_submit_and_the_package_is_not_imported_for_it():
    assert _recipe("gym_chain_sum", "aime").suite.tasks == ["gym_chain_sum", "aime"]
    with pytest.raises(ValidationError, match="gym_rubiks_cube"):
        _recipe("gym_rubiks_cube")
    program = (
        "import sys; from engines.recipe.blocks import SuiteBlock; from engines.suite.catalog import SUITE\n"
        "SuiteBlock(tasks=['gym_gcd']); print('reasoning_gym' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setattr(gym_process, "find_spec", lambda name: None)
    gym_process.check_installed.cache_clear()
    yield
    gym_process.check_installed.cache_clear()


def test_without_the_package_a_task_is_refused_with_what_to_install(not_installed):
    with pytest.raises(
        RecipeError,
        match=r"gym_gcd needs reasoning-gym, which is not installed\nhint: `pip install 'tunedeck\[gym\]'`",
    ):
        tasks_of(SuiteBlock(tasks=["aime", "gym_gcd"]))
    assert suite_task("aime").name == "aime"


def test_an_unknown_name_is_answered_with_the_list():
    with pytest.raises(RecipeError, match=r"'gym_sokoban' is no task of the suite\nhint: tasks: .*gym_gcd"):
        suite_task("gym_sokoban")


@needs_gym
def test_every_dataset_of_the_package_is_either_offered_or_left_out_for_a_reason():
    pytest.importorskip("reasoning_gym")
    known = {name.removeprefix(PREFIX) for name in NAMES}.union(*LEFT_OUT.values())
    assert known == set(importlib.import_module("reasoning_gym.factory").DATASETS) - {"composite"}


def test_levels_of_difficulty_and_files_are_refused_since_there_are_none(tmp_path):
    with pytest.raises(RecipeError, match="gym_gcd has no levels of difficulty, but 3 is asked for"):
        made_items(GYM["gym_gcd"], "test", 1, difficulty=3)
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"question": "q", "answer": "a"}) + "\n")
    for paths in ({}, {"gym_gcd": str(file)}):
        block = SuiteBlock(tasks=["gym_gcd"], source="public", paths=paths)
        with pytest.raises(RecipeError, match="use `source: made`"):
            items_of(block, GYM["gym_gcd"], "test")


@pytest.fixture
def answered_by(monkeypatch):
    """Another program in the place of reasoning-gym's process."""
    pools = []

    def put(serve):
        pools.append(Pool(serve, "stands in", size=1))
        monkeypatch.setattr(gym_process, "_POOL", pools[-1])

    yield put
    for pool in pools:
        pool.stop()


SUM = make_item("gym_chain_sum", "1 + 1?" + SUFFIX, "2", {"difficulty": {}})


def test_a_scorer_that_raises_is_an_error_of_the_grader_and_no_zero(answered_by):
    answered_by(always_fails)
    found = grade(SUM, "<answer>two</answer>", None)
    assert (found.outcome, found.correct) == ("error", False)
    assert "chain_sum failed: ValueError: no number" in found.detail


def test_an_answer_that_is_scored_for_ever_is_wrong(answered_by, monkeypatch):
    answered_by(never_answers)
    monkeypatch.setattr(gym_process, "SCORED", 0.2)
    found = grade(SUM, "<answer>9</answer>", None)
    assert (found.outcome, found.score, found.lenient) == ("graded", 0.0, False)
    assert found.detail.startswith("no score within")


def test_partial_credit_is_told_and_not_given(answered_by):
    answered_by(gives_almost_all)
    found = grade(SUM, "<answer>3</answer>", None)
    assert (found.outcome, found.score, found.correct, found.lenient) == ("graded", 0.0, False, False)
    assert found.detail == "0.98 by reasoning-gym"


def test_what_is_no_answer_or_an_essay_never_reaches_the_scorer(answered_by):
    answered_by(always_fails)
    assert grade(SUM, "", None).outcome == "no_answer"
    assert grade(SUM, f"<answer> </answer>{SUFFIX}", None).outcome == "no_answer"
    essay = grade(SUM, f"<answer>{'2 ' * 5000}</answer>", None)
    assert (essay.outcome, essay.score, essay.detail) == ("graded", 0.0, "too long to be the answer")


WRONG = (
    "zzz", "None", "nan", "NaN", "inf", "-inf", "1e999", "1e999999999", "1e-999999999", "[]", "{}", "[[]]", "[[0]]", "null", "()", "\0", "**", "[1,2",
    '{"a": 1}', "[null]", "[NaN]", "z" * 150, "9" * 150, "(" * 150, "[" * 150, "1/0", "x**x", "I do not know.",
    "é☃", "!!python/object/apply:os.system [id]", "nan+nanj", "(nan, nan)", "a: 1", "zzz\nzzz",
)  # fmt: skip
ODD = (
    "0",
    "1",
    "-1",
    "True",
    "yes",
    "A",
    "1 1 1\n1 1 1",
    "1,1",
    "1_0",
    "٣",
    "0x1",
    "1.",
    ".",
    "-",
    "/",
    ",",
    "1/1",
    "1e1",
)
"""They may be right; no scorer may fail on them."""


@needs_gym
@pytest.mark.parametrize("name", NAMES)
def test_gold_is_right_in_every_wrapping_and_the_same_question_comes_again(name):
    task = suite_task(name)
    for seed in range(20):
        item = task.generate(seed, seed % 6)
        assert task.generate(seed, 0).prompt == item.prompt and task.generate(seed, 0).gold == item.gold
        gold = str(item.answer)
        found = task.grade(item, gold_answer(item), None)
        assert (found.score, found.correct, found.outcome) == (1.0, True, "graded"), (item, found)
        thought = f"<think>Perhaps <answer>7</answer>? No.</think>Let me see.\n{gold_answer(item)}\n"
        assert task.grade(item, thought, None).correct, item
        boxed = task.grade(item, f"So it is \\boxed{{{gold}}}.", None)
        assert (boxed.lenient, boxed.correct) == (True, False), (item, boxed)


@needs_gym
@pytest.mark.parametrize("name", NAMES)
def test_a_stored_answer_is_graded_again_without_making_its_question(name):
    task = suite_task(name)
    item = task.generate(5, 0)
    with open_sandbox(None) as sandbox:
        stored = graded_row(task, item, Answer(0, gold_answer(item), 9, True), sandbox)
        found, answer = item_of(json.loads(json.dumps(fields_of(stored))))
        again = graded_row(task, found, answer, sandbox)
    assert stored.strict and again == stored


@needs_gym
@pytest.mark.parametrize("name", NAMES)
def test_junk_is_wrong_and_nothing_makes_the_scorer_fail(name):
    task = suite_task(name)
    for seed in range(5):
        item = task.generate(seed, 0)
        for text in ("", " \n", "<answer></answer>", "<answer>\n</answer>", "\\boxed{}", item.prompt):
            assert not task.grade(item, text, None).lenient, (item, text)
        for junk in WRONG:
            found = task.grade(item, f"<answer>{junk}</answer>", None)
            assert (found.score, found.lenient, found.outcome) == (0.0, False, "graded"), (item, junk, found)
        for odd in ODD:
            found = task.grade(item, f"<answer>{odd}</answer>", None)
            assert found.outcome == "graded" and found.score in (0.0, 1.0), (item, odd, found)


@needs_gym
@pytest.mark.parametrize("name", NAMES)
def test_the_answer_to_another_question_is_wrong_and_so_are_two_answers(name):
    task = suite_task(name)
    items = [task.generate(seed, 0) for seed in range(20)]
    for item, other in pairwise(items):
        if _same(str(item.answer), str(other.answer)):
            continue
        for text in (str(other.answer), f"{item.answer} or {other.answer}", f"{other.answer}, {item.answer}"):
            assert not task.grade(item, f"<answer>{text}</answer>", None).lenient, (item, text)


def _same(left, right):
    try:
        return float(left) == float(right)
    except ValueError:
        return left == right


@needs_gym
@pytest.mark.parametrize("name", NAMES)
def test_the_splits_share_no_question(name):
    keys = {}
    for split in ("train", "dev", "test"):
        items = made_items(suite_task(name), split, 8)
        assert all(split_of(item.prompt) == split for item in items)
        keys[split] = {question_key(item.prompt) for item in items}
    assert len(set.union(*keys.values())) == 24


@needs_gym
def test_questions_are_the_same_in_every_process():
    program = (
        "import json; from engines.suite.gym_tasks import GYM\n"
        "for name, task in sorted(GYM.items()):\n"
        "    items = [task.generate(seed, 0) for seed in range(12)]\n"
        "    print(name, json.dumps([[item.prompt, item.gold, item.extra] for item in items]))\n"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]
    assert len(found[0]) == len(NAMES)
    other = {line.split()[0] for line, again in zip(*found, strict=True) if line != again}
    assert not other


RUNS_TEXT = {
    "eval",
    "exec",
    "compile",
    "parse_expr",
    "sympify",
    "__import__",
    "system",
    "Popen",
    "parse_latex",
}


@needs_gym
@pytest.mark.parametrize("name", NAMES)
def test_no_scorer_runs_what_it_is_given(name):
    pytest.importorskip("reasoning_gym")
    dataset = importlib.import_module("reasoning_gym.factory").DATASETS[name.removeprefix(PREFIX)][0]
    called = _names(dataset.score_answer, dataset, set())
    assert not called & RUNS_TEXT, name


def _names(function, dataset, seen):
    """Every name that a function of reasoning-gym uses, and those that it calls in its module and class use."""
    if function in seen:
        return set()
    seen.add(function)
    names, codes = set(), [function.__code__]
    while codes:
        code = codes.pop()
        names |= set(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    for name in list(names):
        for inner in (getattr(dataset, name, None), function.__globals__.get(name)):
            inner = getattr(inner, "__func__", inner)
            if isinstance(inner, types.FunctionType) and inner.__module__.startswith("reasoning_gym"):
                names |= _names(inner, dataset, seen)
    return names
