"""CodeI/O and CRUXEval: predictions are data; any right input counts, and nothing that merely runs does."""

import json

import pytest

from engines.sandbox import open_sandbox
from engines.suite.simulation_tasks import CODEIO, CRUXEVAL_I, CRUXEVAL_O

CRUX = {
    "code": "def f(xs, k=1):\n    return sorted(x * k for x in xs)",
    "input": "[3, 1], 2",
    "output": "[2, 6]",
    "id": "sample_0",
}
INPUT, OUTPUT = CRUXEVAL_I.parse(CRUX), CRUXEVAL_O.parse(CRUX)


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox(workers=1) as opened:
        yield opened


@pytest.mark.parametrize(
    ("answer", "score", "outcome"),
    [
        ("assert f([3, 1], 2) == [2, 6]", 1.0, "graded"),
        ("assert f([1,3],2)==[2,6]", 1.0, "graded"),
        ("assert f([6, 2]) == [2, 6]", 1.0, "graded"),
        ("assert f([6, 2], k=1) == [2, 6]", 1.0, "graded"),
        ("assert f(range(2, 7, 4)) == [2, 6]", 1.0, "graded"),
        ("assert f(list((2, 6))) == [2, 6]", 1.0, "graded"),
        ("assert f([3, 1], 3) == [2, 6]", 0.0, "graded"),
        ("assert f() == [2, 6]", 0.0, "graded"),
        ("assert f('a' * 10**12) == [2, 6]", 0.0, "graded"),
        ("assert f(__import__('os').getcwd()) == [2, 6]", 0.0, "graded"),
        ("assert f([x for x in (2, 6)]) == [2, 6]", 0.0, "graded"),
        ("assert f([1]) == [1]", 0.0, "no_answer"),
        ("assert [2, 6] == [2, 6]", 0.0, "no_answer"),
        ("assert f([2, 6]) == [2, 6]\nassert True", 0.0, "no_answer"),
        ("assert f([2, 6]) == [2, 6] or True", 0.0, "no_answer"),
        ("assert f([0]) == [2, 6] == [2, 6]", 0.0, "no_answer"),
        ("assert f([0]) != [2, 6]", 0.0, "no_answer"),
        ("pass", 0.0, "no_answer"),
        ("assert True", 0.0, "no_answer"),
        ("f = lambda *a: [2, 6]\nassert f(0) == [2, 6]", 0.0, "graded"),
        ("def f(*a):\n    return [2, 6]\nassert f(0) == [2, 6]", 0.0, "graded"),
    ],
)
def test_a_predicted_input_is_run_through_the_benchmarks_function(sandbox, answer, score, outcome):
    grade = CRUXEVAL_I.grade(INPUT, f"```python\n{answer}\n```", sandbox)

    assert (grade.score, grade.outcome) == (score, outcome), grade.detail


@pytest.mark.parametrize(
    ("answer", "score", "outcome"),
    [
        ("assert f([3, 1], 2) == [2, 6]", 1.0, "graded"),
        (
            "def f(xs, k=1):\n    return sorted(x * k for x in xs)\n\nassert f( [3,1], 2 ) == [2,6]",
            1.0,
            "graded",
        ),
        ("assert f([3, 1], 2) == [2, 6.0]", 1.0, "graded"),
        ("assert f([3, 1], 2) == (2, 6)", 0.0, "graded"),
        ("assert f([3, 1], 2) == [6, 2]", 0.0, "graded"),
        ("assert f([3, 1], 2) == f([3, 1], 2)", 0.0, "graded"),
        ("assert f([3, 1], 2) == sorted([6, 2])", 0.0, "graded"),
        ("assert f([3, 1], 1) == [2, 6]", 0.0, "no_answer"),
        ("assert f([3, 1], 2) == [2, 6]\nassert f([3, 1], 2) == [6, 2]", 0.0, "no_answer"),
        ("[2, 6]", 0.0, "no_answer"),
    ],
)
def test_a_predicted_output_is_compared_and_never_run(sandbox, answer, score, outcome):
    grade = CRUXEVAL_O.grade(OUTPUT, f"```python\n{answer}\n```", sandbox)

    assert (grade.score, grade.outcome) == (score, outcome), grade.detail


def test_an_assertion_on_a_bare_line_counts_leniently(sandbox):
    for task, item in ((CRUXEVAL_I, INPUT), (CRUXEVAL_O, OUTPUT)):
        grade = task.grade(item, "So the answer is\nassert f([3, 1], 2) == [2, 6]", sandbox)

        assert (grade.correct, grade.lenient, grade.method) == (False, True, "bare_line")


def test_the_benchmarks_own_input_counts_even_where_it_is_no_literal(sandbox):
    row = {
        "code": "def f(xs, op):\n    op(xs)\n    return xs",
        "input": "[1, 2], (lambda x: x.reverse())",
        "output": "[2, 1]",
    }
    item = CRUXEVAL_I.parse(row)

    assert CRUXEVAL_I.grade(item, CRUXEVAL_I.gold_answer(item), sandbox).score == 1.0


def codeio(asked):
    """The first made item that asks for this."""
    return next(
        item for item in (CODEIO.generate(seed, 2) for seed in range(50)) if item.details["asked"] == asked
    )


def block(value):
    return f"```json\n{json.dumps(value)}\n```"


def test_codeio_asks_for_both_directions_and_hides_what_it_asks_for():
    for asked in ("input", "output"):
        item = codeio(asked)

        shown = item.prompt.split("Given this")[1]
        assert json.dumps(item.details["given"]) in shown and f"Predict the {asked}" in shown
        assert f"{json.dumps(item.answer)}\n" not in shown


def test_any_input_with_the_given_output_is_right(sandbox):
    row = {
        "problem_description": "Count.", "io_requirements": "Input: xs. Output: a number.",
        "refcode": "def main_solution(xs):\n    return {'n': len(xs)}", "ios": [{"input": {"xs": [1, 2]}, "output": {"n": 2}}],
    }  # fmt: skip
    item = next(
        item
        for number in range(50)
        if (item := CODEIO.parse({**row, "refcode": row["refcode"] + f"  # {number}"})).details["asked"]
        == "input"
    )

    for given, score in (
        ({"xs": [1, 2]}, 1.0),
        ({"xs": "ab"}, 1.0),
        ({"xs": [1]}, 0.0),
        ({"ys": [1, 2]}, 0.0),
        ([1, 2], 0.0),
        ({}, 0.0),
    ):
        grade = CODEIO.grade(item, block({"input": given}), sandbox)
        assert (grade.score, grade.outcome) == (score, "graded"), given


def test_a_predicted_output_must_be_the_value(sandbox):
    item = codeio("output")

    assert CODEIO.grade(item, block({"output": item.answer}), sandbox).score == 1.0
    assert CODEIO.grade(item, block({"output": [item.answer]}), sandbox).score == 0.0
    assert CODEIO.grade(item, block({"input": item.answer}), sandbox).outcome == "no_answer"


def test_the_last_json_block_counts_and_a_bare_object_only_leniently(sandbox):
    item = codeio("output")
    wrong, right = block({"output": "wrong"}), block({"output": item.answer})

    assert CODEIO.grade(item, f"{wrong}\nNo, wait.\n{right}", sandbox).correct
    assert not CODEIO.grade(item, f"{right}\nNo, wait.\n{wrong}", sandbox).correct
    bare = CODEIO.grade(item, f"It is {json.dumps({'output': item.answer})}.", sandbox)
    assert (bare.correct, bare.lenient, bare.method) == (False, True, "bare_json")
