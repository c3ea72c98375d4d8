"""Every published solution passes its own tests in the sandbox; on the real files, which stand beside the checkout."""

import gzip
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from engines.sandbox import open_sandbox
from engines.suite.code_tasks import HUMANEVAL, MBPP, humaneval_tests, mbpp_tests, plan_for
from engines.suite.simulation_tasks import CRUXEVAL_I, CRUXEVAL_O

DATA = Path(__file__).parents[4] / "shared" / "data"
FILES = {
    "humaneval": DATA / "humaneval" / "HumanEval.jsonl.gz",
    "mbpp": DATA / "mbpp" / "mbpp.jsonl",
    "cruxeval": DATA / "cruxeval" / "cruxeval.jsonl",
}
TASKS = {"humaneval": [HUMANEVAL], "mbpp": [MBPP], "cruxeval": [CRUXEVAL_I, CRUXEVAL_O]}

pytestmark = pytest.mark.skipif(
    not all(path.is_file() for path in FILES.values()), reason="the files are not here"
)


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox() as opened:
        yield opened


def rows(name):
    data = FILES[name].read_bytes()
    text = gzip.decompress(data) if FILES[name].suffix == ".gz" else data
    return [json.loads(line) for line in text.splitlines()]


def failures(task, found, sandbox):
    items = [task.parse(row) for row in found]
    with ThreadPoolExecutor(sandbox.workers) as threads:
        grades = list(threads.map(lambda item: task.grade(item, task.gold_answer(item), sandbox), items))
    return [
        (item.prompt[:80], grade.detail)
        for item, grade in zip(items, grades, strict=True)
        if grade.score != 1.0
    ]


@pytest.mark.parametrize("name", FILES)
def test_every_eighth_published_answer_scores_one(sandbox, name):
    for task in TASKS[name]:
        assert failures(task, rows(name)[::8], sandbox) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_every_published_answer_scores_one(sandbox, name):
    for task in TASKS[name]:
        assert failures(task, rows(name), sandbox) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "name", "tests", "ways"),
    [
        (HUMANEVAL, "humaneval", humaneval_tests, {"values": 157, "replay": 7}),
        (MBPP, "mbpp", mbpp_tests, {"values": 969, "expressions": 4, "replay": 1}),
    ],
)
def test_nearly_all_tests_are_compared_value_by_value_and_none_is_left_to_an_assertion(
    sandbox, task, name, tests, ways
):
    items = [task.parse(row) for row in rows(name)]

    assert Counter(plan_for(item, tests(item), sandbox).way for item in items) == ways


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_solutions_of_neighbouring_questions_score_nothing(sandbox, name):
    (task,) = TASKS[name]
    items = [task.parse(row) for row in rows(name)[::40]]
    for item, other in pairwise(items):
        alias = f"\n{item.details['entry']} = {other.details['entry']}\n```"
        answer = task.gold_answer(other).removesuffix("\n```") + alias

        grade = task.grade(item, answer, sandbox)
        assert (grade.score, grade.outcome) == (0.0, "graded")
