"""Rows in verl's form, as GURU publishes them: every domain's ground truth becomes what its grader wants."""

import json

import pytest

from engines.recipe.errors import RecipeError
from engines.sandbox import open_sandbox
from engines.suite.catalog import SUITE
from engines.suite.loading import read_items


def _row(truth, prompt="Question?", **fields):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
    return {
        "data_source": "x__y",
        "prompt": messages,
        "reward_model": {"style": "rule", "ground_truth": truth},
        **fields,
    }


OPTIONS = "Which?\n(A): one\n(B): two\n(C): three\nAnswer within \\boxed{}."
TABLE = {"header": ["House", "Name"], "rows": [["1", "Ann"], ["2", "Bob"]]}
ROWS = {
    "math500": (_row("\\frac{1}{2}"), "\\boxed{0.5}", "\\boxed{2}"),
    "supergpqa": (_row("B", OPTIONS), "\\boxed{B}", "\\boxed{C}"),
    "arcagi1": (_row([[1, 2], [3, 4]]), "<answer>[[1, 2], [3, 4]]</answer>", "<answer>[[1]]</answer>"),
    "zebra": (_row(TABLE), f"<answer>{json.dumps(TABLE)}</answer>", '<answer>{"header": [], "rows": []}</answer>'),
    "ordering": (_row(["a", "b"]), "<answer>['a', 'b']</answer>", "<answer>['b', 'a']</answer>"),
    "hitab": (_row("12|rugs"), "\\boxed{rugs|12}", "\\boxed{12}"),
    "finqa": (_row(0.5), "\\boxed{50%}", "\\boxed{5}"),
    "livecodebench": (
        _row(json.dumps({"inputs": ["2\n", "3\n"], "outputs": ["4\n", "9\n"]})),
        "```python\nprint(int(input()) ** 2)\n```",
        "```python\nprint(4)\n```",
    ),
    "mbpp": (
        _row(json.dumps({"functional": "assert square(2) == 4\nassert square(3) == 9"})),
        "```python\ndef square(x):\n    return x * x\n```",
        "```python\ndef square(x):\n    raise SystemExit(0)\n```",
    ),
    "codeio": (_row(json.dumps({"output": [1, 2]})), '```json\n{"output": [1, 2]}\n```', '```json\n{"output": 1}\n```'),
}  # fmt: skip


@pytest.mark.parametrize("task", sorted(ROWS))
def test_a_row_is_read_and_graded_by_its_domains_grader(task, tmp_path):
    row, right, wrong = ROWS[task]
    path = tmp_path / f"x__{task}_1.jsonl"
    path.write_text(json.dumps(row) + "\n")
    [item] = read_items(SUITE[task], str(path))
    assert item.prompt == row["prompt"][-1]["content"]
    with open_sandbox() as sandbox:
        assert SUITE[task].grade(item, right, sandbox).correct
        grade = SUITE[task].grade(item, wrong, sandbox)
        assert not grade.correct and grade.outcome != "error"


def test_parquet_rows_with_nested_lists_are_read(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "logic__arcagi1_1.parquet"
    pandas.DataFrame([ROWS["arcagi1"][0]]).to_parquet(path)
    [item] = read_items(SUITE["arcagi1"], str(path))
    assert item.answer == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("math500", _row(""), "the ground truth is empty"),
        ("supergpqa", _row("Z", OPTIONS), "no option 'Z'"),
        ("mbpp", _row(json.dumps({"pytest": "x"})), "no plain assertions"),
        ("codeio", _row(json.dumps({"input": 1})), "without the reference code"),
        ("ifeval", _row("x"), "cannot be read from rows of verl's form"),
        ("livecodebench", _row("free text"), "no object of tests"),
    ],
)
def test_what_cannot_be_graded_without_a_hole_is_refused_with_its_place(task, row, message, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(RecipeError, match=f"rows.jsonl:1: .*{message}"):
        read_items(SUITE[task], str(path))
