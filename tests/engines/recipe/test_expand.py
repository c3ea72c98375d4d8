"""From a recipe file to jobs."""

import pytest

from engines.recipe.document import parse_document
from engines.recipe.errors import InvalidRecipeError, RecipeError
from engines.recipe.expand import Plan, expand
from engines.recipe.schemas import ENGINES


def plan(text: str, *overrides: str) -> Plan:
    return expand(parse_document(text, "r.yaml"), "r", overrides)


def problems(text: str, *overrides: str) -> str:
    with pytest.raises(InvalidRecipeError) as caught:
        plan(text, *overrides)
    return str(caught.value)


def test_a_single_job_is_named_after_its_file() -> None:
    result = plan("engine: command\nargv: [ls]\npriority: 3\n")

    assert (result.name, [job.name for job in result.jobs]) == ("r", ["r"])
    assert result.jobs[0].recipe.priority == 3


def test_a_matrix_makes_a_job_of_every_cell() -> None:
    result = plan("jobs:\n  a: {engine: command, argv: [ls], matrix: {seed: [1, 2], priority: [0, 5]}}")

    assert [job.name for job in result.jobs] == [
        "a[seed=1,priority=0]",
        "a[seed=1,priority=5]",
        "a[seed=2,priority=0]",
        "a[seed=2,priority=5]",
    ]
    assert [(job.recipe.seed, job.recipe.priority) for job in result.jobs] == [(1, 0), (1, 5), (2, 0), (2, 5)]


def test_a_dotted_matrix_key_reaches_into_blocks() -> None:
    result = plan("jobs:\n  a: {engine: command, argv: [ls], matrix: {retry.times: [1, 2]}}")

    assert [job.recipe.retry.times for job in result.jobs] == [1, 2]


def test_cells_are_linked_where_their_matrix_agrees() -> None:
    result = plan(
        "defaults: {model: {base: pocket}, task: pocket-math}\n"
        "jobs:\n"
        "  prep: {engine: sft, matrix: {seed: [1, 2]}}\n"
        "  full: {engine: sft, model: {from: prep}, matrix: {seed: [1, 2], train_samples: [8, 16]}}\n"
    )
    needs = {job.name: job.needs for job in result.jobs}

    assert needs["full[seed=2,train_samples=8]"] == (("prep[seed=2]", "prep"),)
    assert needs["full[seed=1,train_samples=16]"] == (("prep[seed=1]", "prep"),)


def test_from_a_job_that_stands_for_many_is_refused() -> None:
    text = (
        "defaults: {model: {base: pocket}, task: pocket-math}\n"
        "jobs:\n"
        "  prep: {engine: sft, matrix: {seed: [1, 2]}}\n"
        "  full: {engine: sft, model: {from: prep}}\n"
    )

    assert "r.yaml:4: jobs.full.model.from: job `prep` stands for 2 jobs" in problems(text)


def test_eval_adds_an_evaluation_with_the_jobs_task_and_prompt() -> None:
    result = plan(
        "defaults: {model: {base: pocket}, task: {name: gsm8k, path: x}, prompt: {system: hi}}\n"
        "jobs:\n  prep: {engine: sft, eval: {limit: 7}}\n"
    )
    training, evaluation = result.jobs
    body = evaluation.recipe.model_dump(by_alias=True)

    assert evaluation.name == "prep/eval"
    assert evaluation.needs == (("prep", "prep"),)
    assert (body["task"]["path"], body["prompt"]["system"], body["limit"]) == ("x", "hi", 7)
    assert body["model"]["from"] == "prep"
    assert training.needs == ()


def test_defaults_and_the_precision_of_the_model_reach_the_evaluation_too() -> None:
    result = plan(
        "defaults: {model: {base: pocket, dtype: bfloat16}, task: gsm8k, sampling: {max_new_tokens: 9}, eval: true}\n"
        "jobs:\n  prep: {engine: sft}\n  base: {engine: eval}\n"
    )
    evaluations = [job.recipe.model_dump(by_alias=True) for job in result.jobs if job.engine == "eval"]

    assert {body["sampling"]["max_new_tokens"] for body in evaluations} == {9}
    assert {body["model"]["dtype"] for body in evaluations} == {"bfloat16"}
    assert {body["stage"] for body in evaluations} == {"prep", "eval"}


def test_defaults_go_where_an_engine_has_the_key_and_the_jobs_own_values_win() -> None:
    result = plan(
        "defaults: {priority: 4, retry: {times: 2, on: [lost]}, argv: [true]}\n"
        "jobs:\n  a: {engine: command, retry: {times: 1}}\n"
    )

    assert result.jobs[0].recipe.priority == 4
    assert result.jobs[0].recipe.retry.model_dump(exclude_defaults=True) == {"times": 1, "on": ["lost"]}


def test_needs_waits_for_every_cell() -> None:
    result = plan(
        "jobs:\n  a: {engine: command, argv: [ls], matrix: {seed: [1, 2]}}\n"
        "  b: {engine: command, argv: [ls], needs: [a]}\n"
    )

    assert result.jobs[-1].needs == (("a[seed=1]", None), ("a[seed=2]", None))


def test_set_overrides_values_and_names_what_it_does_not_find() -> None:
    text = "jobs:\n  a: {engine: command, argv: [ls]}\n"

    assert plan(text, "jobs.a.seed=7").jobs[0].recipe.seed == 7
    assert plan(text, "seed=8").jobs[0].recipe.seed == 8
    assert plan("engine: command\nargv: [ls]", "retry.times=2").jobs[0].recipe.retry.times == 2
    with pytest.raises(RecipeError, match=r"names no job; the jobs are: a\nhint"):
        plan(text, "jobs.b.seed=7")
    with pytest.raises(RecipeError, match="key=value"):
        plan(text, "seed")


def test_an_override_that_is_not_utf_8_is_refused() -> None:
    for override in ("argv=[\udcff]", "env.\udcff=1"):
        with pytest.raises(RecipeError, match="not a YAML value"):
            plan("engine: command\nargv: [x]", override)


def test_all_mistakes_are_reported_together_with_line_and_hint() -> None:
    text = (
        "defaults: {prioriti: 3}\n"
        "jobs:\n"
        "  a: {engine: comand}\n"
        "  b:\n"
        "    engine: command\n"
        "    arvg: [x]\n"
        "  c: {engine: command, argv: [x], needs: [nowhere], seed: -4}\n"
    )
    said = problems(text)

    for line in (
        "r.yaml:1: defaults.prioriti: no job here has this key\n  hint: did you mean `priority`?",
        f"r.yaml:3: jobs.a.engine: there is no engine `comand`; the engines are: {', '.join(ENGINES)}",
        "r.yaml:4: jobs.b.argv: is required",
        "r.yaml:6: jobs.b.arvg: unknown key; allowed: argv,",
        "hint: did you mean `argv`?",
        "r.yaml:7: jobs.c.seed: should be greater than or equal to 0 (it is -4)",
        "r.yaml:7: jobs.c.needs: there is no job `nowhere`",
    ):
        assert line in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jobs: {}", "with one job at least"),
        ("jobs: [a]", "must be a mapping"),
        ("[a, b]", "is not a mapping"),
        ("name: x", "neither `engine:` nor `jobs:`"),
        ("jobs:\n  a: 3", "must be a mapping with `engine:`"),
        ("jobs:\n  'a b': {engine: command, argv: [x]}", "is not a job name"),
        ("jobs: {a: {engine: command, argv: [x], matrix: {}}}", "must map keys to lists"),
        ("jobs: {a: {engine: command, argv: [x], matrix: {seed: []}}}", "one value at least"),
        ("jobs: {a: {engine: command, argv: [x], matrix: {seed: [1, 1]}}}", "has a value twice"),
        ("jobs: {a: {engine: command, argv: [x], needs: [a]}}", "cannot need itself"),
        ("jobs: {a: {engine: command, argv: [x], needs: [b]}, b: {engine: command, argv: [x], needs: [a]}}", "in a circle: a, b"),
        ("jobs: {a: {engine: command, argv: [x]}, b: {engine: eval, model: {from: a}, task: gsm8k}}", "job `a` (command) leaves no model"),
        ("jobs: {a: {engine: command, argv: [x]}, b: {engine: eval, model: {from: aa}, task: gsm8k}}", "did you mean `a`"),
        ("jobs: {a: {engine: eval, model: {bas: pocket}, task: gsm8k}}", "did you mean `base`"),
        ("jobs: {a: {engine: eval, model: {base: pocket}, task: gsm9k}}", "did you mean `gsm8k`"),
        ("extra: 1\njobs: {a: {engine: command, argv: [x]}}", "allowed: name, cron, hold_after, defaults, jobs"),
        ("engine: command\nargv: [x]\nresources: {gpus: -1}", "greater than or equal to 0"),
        ("engine: command\nargv: [x]\nresources: {gpus: 9000000000000000000000}", "less than or equal to"),
        ("engine: command\nargv: [x]\ntimeout: .inf", "finite"),
        ("engine: command\nargv: [x]\ntimeout: 1e300", "less than or equal to"),
        ("engine: command\nargv: [x]\nmatrix: {seed: [1, '1']}", "has a value twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(text: str, words: str) -> None:
    assert words in problems(text)


def test_a_matrix_of_ten_thousand_cells_is_refused() -> None:
    hundred = list(range(100))

    assert "makes 10,000 jobs; at most 1,000 are allowed" in problems(
        f"jobs: {{a: {{engine: command, argv: [x], matrix: {{seed: {hundred}, priority: {hundred}}}}}}}"
    )


@pytest.mark.parametrize("where", ["defaults", "job"])
def test_an_evaluation_that_a_job_adds_takes_its_defaults_from_the_file(where: str) -> None:
    result = plan(
        "defaults: {model: {base: pocket}, task: pocket-math, sampling: {max_new_tokens: 7}"
        + (", eval: true}\n" if where == "defaults" else "}\n")
        + "jobs:\n  a: {engine: sft"
        + (", eval: true}" if where == "job" else "}")
    )

    assert result.jobs[1].recipe.model_dump()["sampling"]["max_new_tokens"] == 7


def test_a_default_that_only_an_evaluation_has_is_a_mistake_where_there_is_none() -> None:
    said = problems(
        "defaults: {model: {base: pocket}, task: pocket-math, limit: 3}\njobs:\n  a: {engine: sft, eval: false}"
    )

    assert "defaults.limit: no job here has this key" in said


def test_a_mistake_in_one_of_two_forms_is_placed_without_the_forms() -> None:
    found = problems("engine: eval\nmodel: {base: pocket}\nsuite: {tasks: [aimee]}\n")
    assert "r.yaml:3: suite.tasks.0: should be" in found and "literal[" not in found
