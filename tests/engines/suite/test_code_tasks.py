"""Code tasks: what passes, what does not, and that nothing but a solution does."""

import re

import orjson
import pytest

from engines.sandbox import Limits, Sandbox, open_sandbox
from engines.sandbox import pool as pool_module
from engines.sandbox.attacks import ATTACKS
from engines.suite import code_tasks, livecodebench_task, simulation_tasks
from engines.suite.code_tasks import HUMANEVAL, MBPP, humaneval_tests, mbpp_tests, plan_for
from engines.suite.code_tests import passes, plan_of
from engines.suite.livecodebench_task import LIVECODEBENCH
from engines.suite.rows import Answer, fields_of, graded_row

TASKS = {task.name: task for task in (*code_tasks.TASKS, *simulation_tasks.TASKS)}
HACKS = {attack.name: attack.code for attack in ATTACKS if attack.family == "verdict"}
JUNK = [
    "",
    " ",
    "I do not know.",
    "```python\n```",
    "```python\npass\n```",
    "```python\nassert True\n```",
    "```json\n{}\n```",
    "\\boxed{42}",
    "<answer>1</answer>",
    "```python\n)(\n```",
    "def",
    "{" * 500,
    "```json\n" + "[" * 5000 + "\n```",
]
NESTED = ["0x" + "f" * 5000, "1" + "+1" * 900, "-" * 900 + "1", "x" + "[0]" * 900, "[" * 150 + "]" * 150, "9" * 900, "x" + ".a" * 20_000]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox(workers=1) as opened:
        yield opened


def items(task, count=6):
    return [task.generate(seed, seed % 6) for seed in range(count)]


@pytest.mark.parametrize("name", TASKS)
def test_the_gold_answer_scores_one_bare_and_wrapped_and_every_time(sandbox, name):
    task = TASKS[name]
    for item in items(task):
        gold = task.gold_answer(item)
        wrapped = f"<think>Is it ```python\nassert 1\n```?</think>Let me see.\n```python\nx = 1\n```\nNo:\n{gold}\nThat is it."
        grades = [task.grade(item, text, sandbox) for text in (gold, gold, wrapped)]

        assert [(grade.score, grade.correct, grade.lenient, grade.outcome) for grade in grades] == [
            (1.0, True, True, "graded")
        ] * 3
        assert grades[0] == grades[1]


@pytest.mark.parametrize("name", TASKS)
def test_junk_scores_nothing_and_is_never_an_error(sandbox, name):
    task = TASKS[name]
    item = task.generate(3, 3)
    for text in JUNK:
        grade = task.grade(item, text, sandbox)

        assert (grade.score, grade.correct, grade.lenient) == (0.0, False, False), text
        assert grade.outcome in ("graded", "no_answer"), text


@pytest.mark.parametrize("name", TASKS)
def test_no_nesting_breaks_a_grader_and_so_takes_an_answer_out_of_the_count(sandbox, name):
    task = TASKS[name]
    item = task.generate(3, 3)
    call = f"f({item.details['input']})" if name == "cruxeval_o" else "f([1])"
    for nested in NESTED:
        for text in (
            f"assert f({nested}) == {item.details.get('output')}",
            f"assert {call} == {nested}",
            nested,
            f'{{"input": {nested}}}',
        ):
            for language in ("python", "json"):
                grade = task.grade(item, f"```{language}\n{text}\n```", sandbox)

                assert grade.score == 0.0 and grade.outcome != "error", text[:50]


@pytest.mark.parametrize("name", TASKS)
def test_generated_items_are_the_same_every_time_and_different_between_seeds(name):
    task = TASKS[name]

    assert items(task) == items(task)
    assert len({task.generate(seed, 2).prompt for seed in range(40)}) > 35
    assert len(task.generate(0, 5).details.get("code", task.gold_answer(task.generate(0, 5)))) > 0


@pytest.mark.parametrize("hack", HACKS)
@pytest.mark.parametrize("name", ["humaneval", "mbpp", "livecodebench"])
def test_no_hack_scores_on_any_code_task(sandbox, name, hack):
    task = TASKS[name]
    for item in items(task, 2):
        entry = item.details.get("entry", "")
        if entry.startswith("Solution."):
            posed = f"{HACKS[hack]}\nclass Solution:\n    def {entry.split('.')[1]}(self, xs):\n        return solve(0)\n"
        elif entry:
            posed = f"{HACKS[hack]}\ndef {entry}(xs):\n    return solve(0)\n"
        else:
            posed = f"{HACKS[hack]}\nsolve(0)\n"
        grade = task.grade(item, f"```python\n{posed}```", sandbox)

        assert (grade.score, grade.lenient, grade.outcome) == (0.0, False, "graded")


@pytest.mark.parametrize("name", ["humaneval", "mbpp", "livecodebench"])
def test_a_solution_of_another_question_scores_nothing(sandbox, name):
    task = TASKS[name]
    mine, other = task.generate(0, 2), task.generate(2, 3)
    code = task.gold_answer(other)
    for old, new in zip(
        re.findall(r"def (\w+)\(", code), re.findall(r"def (\w+)\(", task.gold_answer(mine)), strict=True
    ):
        code = code.replace(old, new)

    grade = task.grade(mine, code, sandbox)

    assert (grade.score, grade.outcome) == (0.0, "graded") and "test " in grade.detail


def test_a_broken_sandbox_is_an_error_and_no_zero(sandbox, monkeypatch):
    monkeypatch.setattr(pool_module, "_BOOT", "raise SystemExit(1)")
    broken = Sandbox(sandbox.guards, {}, 1)
    for name in ("humaneval", "mbpp", "livecodebench", "cruxeval_i"):
        item = TASKS[name].generate(0, 1)

        assert TASKS[name].grade(item, TASKS[name].gold_answer(item), broken).outcome == "error"


def test_imports_from_the_future_stay_first(sandbox):
    for task in (HUMANEVAL, LIVECODEBENCH):
        item = task.generate(1, 1)
        answer = task.gold_answer(item).replace(
            "```python\n", "```python\nfrom __future__ import annotations\n", 1
        )

        assert task.grade(item, answer, sandbox).score == 1.0


@pytest.mark.parametrize(
    ("text", "method", "lenient"),
    [
        ("```python\n{gold}", "open_block", True),
        ("{gold}", "whole_text", True),
        ("    return 0\n", "none", False),
    ],
)
def test_a_program_outside_of_a_closed_block_counts_only_leniently(sandbox, text, method, lenient):
    item = MBPP.generate(0, 1)

    grade = MBPP.grade(item, text.replace("{gold}", item.answer["solution"]), sandbox)

    assert (grade.score, grade.correct, grade.lenient, grade.method) == (0.0, False, lenient, method)


def test_a_bare_continuation_of_humanevals_prompt_counts_leniently(sandbox):
    item = HUMANEVAL.generate(1, 2)

    grade = HUMANEVAL.grade(item, f"```python\n{item.answer['solution']}\n```", sandbox)

    assert (grade.correct, grade.lenient, grade.method) == (False, True, "continuation")


HELPED = {
    "task_id": "HumanEval/x",
    "prompt": 'import math\nfrom typing import List\n\n\ndef poly(xs: List[float], x: float) -> float:\n    """Value at x."""\n'
    "    return sum(c * math.pow(x, i) for i, c in enumerate(xs))\n\n\ndef root(xs: List[float]) -> float:\n"
    '    """A root of a + b x."""\n',
    "canonical_solution": "    return -xs[0] / xs[1]\n",
    "entry_point": "root",
}
RANDOM_CHECK = """
METADATA = {}
def check(candidate):
    import random
    for _ in range(20):
        xs = [random.randint(-9, 9), random.randint(1, 9)]
        assert abs(poly(xs, candidate(xs))) < 1e-4
"""


@pytest.mark.parametrize(
    ("body", "scores"),
    [
        ("return -xs[0] / xs[1]", 1.0),
        ("return -xs[0] / xs[1] + 1e-9", 1.0),
        ("return xs[0] / xs[1]", 0.0),
        ("return None", 0.0),
        ("return 10**400", 0.0),
        ("return 'LookupError'", 0.0),
        ("return 'x' * 1_000_000", 0.0),
        ("return eval('[' * 60 + ']' * 60)", 0.0),
        ("return {k for k in range(20_000)}", 0.0),
        ("return float('nan')", 0.0),
        ("poly.__code__ = (lambda xs, x: 0).__code__; return 0.0", 0.0),
        ("return type('Z', (float,), {'__rmul__': lambda *a: 0, '__rpow__': lambda *a: 0})(7)", 0.0),
    ],
)
def test_tests_with_helpers_and_chance_are_replayed_away_from_the_submission(sandbox, body, scores):
    item = HUMANEVAL.parse({**HELPED, "test": RANDOM_CHECK})
    assert plan_for(item, humaneval_tests(item), sandbox).way == "replay"

    grade = HUMANEVAL.grade(item, f"```python\ndef root(xs: List[float]):\n    {body}\n```", sandbox)

    assert (grade.score, grade.outcome) == (scores, "graded"), grade.detail


@pytest.mark.parametrize(
    ("assertion", "way", "good", "bad"),
    [
        ("candidate([2.0, 4.0]) == -2.0 / 4.0", "values", "-0.5", "0.5"),
        ("abs(candidate([1.0, 3.0]) - -1 / 3) < 1e-3", "values", "-0.3334", "-0.34"),
        ("candidate([1, 1])", "values", "7", "0"),
        ("not candidate([1, 1])", "values", "[]", "[0]"),
        ("candidate([1, 1]) is True", "values", "True", "1"),
        ("-1 == candidate([1, 1])", "values", "-1.0", "1"),
        ("tuple(candidate([1, 1])) == (1, 2)", "replay", "[1, 2]", "[2, 1]"),
        ("candidate([1, 1]) == candidate([2, 2]) and candidate([1, 1]) == -1", "replay", "-1", "1"),
        (
            "candidate(candidate([[1, 1], 1])) == 1",
            "replay",
            "([1, 1] if len(xs) and xs[0] == [1, 1] else 1)",
            "2",
        ),
        ("candidate([1, 1]) in (3, 4)", "replay", "3", "5"),
        ("abs(candidate([1, 1]) - 0.5) < 0.25", "values", "0.6", "10**400"),
        ("abs(candidate([1, 1]) - 5) < 2", "values", "6", "7"),
        ("abs(candidate([1, 1]) - 5) < 2", "values", "6", "float('nan')"),
    ],
)
def test_every_form_of_assertion_is_judged_by_the_value(sandbox, assertion, way, good, bad):
    solution = f"    return {good}\n"
    item = HUMANEVAL.parse(
        {
            **HELPED,
            "canonical_solution": solution,
            "test": f"def check(candidate):\n    assert {assertion}\n    assert True\n",
        }
    )

    assert plan_for(item, humaneval_tests(item), sandbox).way == way
    for value, score in ((good, 1.0), (bad, 0.0)):
        assert (
            HUMANEVAL.grade(item, f"```python\ndef root(xs):\n    return {value}\n```", sandbox).score
            == score
        ), value


def test_arguments_of_the_submissions_own_classes_are_made_beside_it_and_values_compared_outside(sandbox):
    code = "class Node:\n    def __init__(self, data):\n        self.data = data\n        self.left = None\ndef depth(n):\n    return 1 + depth(n.left) if n else 0\n"
    row = {
        "text": "Depth of a tree.", "code": code, "test_list": ["assert depth(root) == 2", "assert (depth(root.left)) == 1"],
        "test_setup_code": "root = Node(1)\r\nroot.left = Node(2)", "task_id": 1,
    }  # fmt: skip
    item = MBPP.parse(row)

    assert plan_for(item, mbpp_tests(item), sandbox).way == "expressions"
    assert MBPP.grade(item, MBPP.gold_answer(item), sandbox).score == 1.0
    assert MBPP.grade(item, f"```python\n{code.replace('1 + depth', '2 + depth')}\n```", sandbox).score == 0.0


def test_tests_that_fail_on_their_own_solution_are_an_error_and_no_zero(sandbox):
    test = "def check(candidate):\n    for n in [1]:\n        assert candidate([n, 1]) == 'never'\n"
    item = HUMANEVAL.parse({**HELPED, "test": test})

    grade = HUMANEVAL.grade(item, HUMANEVAL.gold_answer(item), sandbox)

    assert grade.outcome == "error" and "own solution" in grade.detail


class Listening(Sandbox):
    """A sandbox that keeps what was sent into it."""

    def __init__(self, guards):
        super().__init__(guards, {}, 1)
        self.sent = []

    def _run(self, what, code, entry, inputs, limits):
        self.sent.append((code, list(inputs)))
        return super()._run(what, code, entry, inputs, limits)


def test_no_expected_output_is_ever_sent_in_with_a_submission(sandbox):
    secret = "5f4dcc3b5aa765d6"
    mark = "# the submission"
    rows = [
        HUMANEVAL.parse({**HELPED, "canonical_solution": f"    return '{secret}'\n", "test": f"def check(candidate):\n    assert candidate([1]) == '{secret}'\n"}),
        HUMANEVAL.parse({**HELPED, "canonical_solution": f"    return '{secret}'\n", "test": f"def check(candidate):\n    for n in [1]:\n        assert candidate([n]) == '{secret}'\n"}),
        MBPP.parse({"text": "x", "code": f"def root(xs):\n    return '{secret}'", "test_list": [f"assert root([1]) == '{secret}'"], "task_id": 1}),
        LIVECODEBENCH.parse({"problem": "x", "starter_code": "", "metadata": {}, "tests": [{"input": "1", "output": secret, "testtype": "stdin"}]}),
    ]  # fmt: skip
    with Listening(sandbox.guards) as listening:
        for item in rows:
            task = TASKS[item.task]
            task.grade(item, f"```python\n{mark}\ndef root(xs):\n    return 1\n```", listening)
        with_submission = [(code, inputs) for code, inputs in listening.sent if mark in code]

    assert len(with_submission) == len(rows) and secret not in repr(with_submission)


def test_tests_are_prepared_once_for_all_samples(sandbox):
    item = HUMANEVAL.parse({**HELPED, "test": RANDOM_CHECK})
    with Listening(sandbox.guards) as listening:
        for _ in range(3):
            HUMANEVAL.grade(item, HUMANEVAL.gold_answer(item), listening)

        assert len(listening.sent) == 3 + 3 * 2


def test_a_hanging_submission_costs_one_timeout_and_scores_nothing(sandbox):
    tests = mbpp_tests(MBPP.generate(0, 1))
    hanging = f"def {tests.entry}(xs):\n    while True: pass"

    right, detail = passes(plan_of(tests, sandbox), tests, hanging, sandbox, Limits(wall=0.2))

    assert not right and "test 1 of 3: timeout" in detail


def test_a_slow_benchmark_gives_its_submissions_more_time(sandbox):
    slow = "import time\ndef root(xs):\n    time.sleep(0.8)\n    return 1"
    item = MBPP.parse({"text": "x", "code": slow, "test_list": ["assert root([1]) == 1"], "task_id": 1})

    assert 8.0 < plan_for(item, mbpp_tests(item), sandbox).wall < 60.0
    assert plan_for(MBPP.generate(0, 1), mbpp_tests(MBPP.generate(0, 1)), sandbox).wall < 8.0


def test_a_solution_that_needs_what_is_not_here_makes_an_error_and_no_zero(sandbox):
    code = "import numpy\ndef root(xs):\n    return int(numpy.sum(xs))"
    item = MBPP.parse({"text": "x", "code": code, "test_list": ["assert root([1]) == 1"], "task_id": 1})

    grade = MBPP.grade(item, MBPP.gold_answer(item), sandbox)

    assert grade.outcome == "error" and "numpy" in grade.detail


LIVECODEBENCH_ROWS = {
    "stdin": {
        "problem": "Print the sum and the mean.", "starter_code": "", "metadata": {},
        "tests": '[{"input": "1 2\\n", "output": "3 1.5\\n", "testtype": "stdin"}, {"input": "4 5", "output": "9 4.5", "testtype": "stdin"}]',
    },
    "functional": {
        "problem": "Pairs.", "starter_code": "class Solution:\n    def pairs(self, xs: List[int], k: int) -> List[List[int]]:\n        ",
        "metadata": {"func_name": "pairs"},
        "tests": '[{"input": "[1, 2]\\n3", "output": "[[1, 3], [2, 3]]", "testtype": "functional"}]',
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "code", "score"),
    [
        ("stdin", "a, b = map(int, input().split())\nprint(a + b, (a + b) / 2)", 1.0),
        ("stdin", "a, b = map(int, input().split())\nprint(a + b)\nprint((a + b) / 2)", 0.0),
        ("stdin", "a, b = map(int, input().split())\nprint(a + b, (a + b) / 2 + 1e-8)", 1.0),
        ("stdin", "print(3, 1.5)", 0.0),
        (
            "functional",
            "class Solution:\n    def pairs(self, xs: List[int], k):\n        return [(x, k) for x in xs]",
            1.0,
        ),
        ("functional", "class Solution:\n    def pairs(self, xs, k):\n        return Counter(xs)", 0.0),
        ("functional", "class Solution:\n    def other(self, xs, k):\n        return 1", 0.0),
    ],
)
def test_livecodebench_runs_programs_and_methods(sandbox, kind, code, score):
    item = livecodebench_task.parse_livecodebench(LIVECODEBENCH_ROWS[kind])

    grade = LIVECODEBENCH.grade(item, f"```python\n{code}\n```", sandbox)

    assert (grade.score, grade.outcome) == (score, "graded"), grade.detail


def test_livecodebench_has_no_solutions_to_show():
    with pytest.raises(ValueError, match="no solutions"):
        LIVECODEBENCH.gold_answer(livecodebench_task.parse_livecodebench(LIVECODEBENCH_ROWS["stdin"]))


def test_a_program_that_fails_with_half_a_character_is_graded_and_its_row_can_be_written(sandbox):
    item = MBPP.generate(0, 0)
    program = f"```python\ndef {item.details['entry']}(*given):\n    raise ValueError(chr(0xD800))\n```"
    row = graded_row(MBPP, item, Answer(0, program, 9, True), sandbox)
    assert (row.outcome, row.strict) == ("graded", False)
    assert "ud800" in row.detail and orjson.dumps(fields_of(row))
