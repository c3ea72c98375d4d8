import pytest

from engines.verbs.__main__ import main

RECIPE = """
defaults: {model: {base: pocket}, task: pocket-math}
jobs:
  t: {engine: traces, num_samples: 4}
  s: {engine: step_jepa, traces: {from: t}, train_samples: 4}
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)
    return str(tmp_path / "r.yaml")


def test_coverage_counts_what_a_job_would_train_on_and_says_which_traces_are_not_there_yet(recipe, capsys):
    assert main(["step_jepa", "coverage", recipe, "--set", "jobs.s.train_samples=3"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0].split() == ["examples", "3"]
    assert "the traces of job `t` are made when it runs" in said.err


def test_traces_of_a_file_are_shown_with_what_is_left_out_of_them(recipe, tmp_path, capsys):
    (tmp_path / "t.jsonl").write_text(
        '{"question": "One?", "ground_truth": "3", "deepseek_response": "1 + 1 = 2\\n\\n2 + 1 = \\\\boxed{3}"}\n'
        '{"question": "Two?", "ground_truth": "4", "deepseek_response": "\\\\boxed{5}"}\n'
    )
    traces = ["--traces", str(tmp_path / "t.jsonl"), "--set", "jobs.s.train_samples=1"]
    assert main(["step_jepa", "show-mask", recipe, "-k", "1", *traces]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("trace-1: ") and "K=1" in said.out
    assert "1 of 2 replies are not trained on: 1 wrong" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show-mask"], "Missing argument 'RECIPE'"),
        (
            ["show-mask", "RECIPE", "--example", "x"],
            "no training example `x`\nhint: give a number from 0 to 3",
        ),
        (["show-mask", "RECIPE", "-k", "9"], "0<=x<=8"),
        (["show-mask", "RECIPE", "--job", "t"], "no job `t` of engine `step_jepa`\nhint: those there are: s"),
        (["coverage", "RECIPE", "--traces", "none.jsonl"], "there is no file `none.jsonl`"),
        (["dance", "RECIPE"], "no verb `dance`"),
    ],
)
def test_what_is_asked_wrongly_is_said_with_a_hint_and_ends_with_2(recipe, capsys, arguments, said):
    arguments = [recipe if argument == "RECIPE" else argument for argument in arguments]
    assert main(["step_jepa", *arguments]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and "error: " in printed.err and not printed.out


def test_each_verb_has_its_own_help(capsys):
    assert main(["step_jepa", "show-mask", "--help"]) == 0
    assert "Usage: tunedeck engine step_jepa show-mask" in capsys.readouterr().out
