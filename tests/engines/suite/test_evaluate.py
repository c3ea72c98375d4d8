"""The eval engine over a suite, with a real tiny model: every answer graded once, and a killed job generates none again."""

import json
import shutil

import pytest
from pydantic import ValidationError

from engines.eval import Recipe, run
from engines.recipe.errors import RecipeError

TASKS = ["aime", "supergpqa", "hitab", "ifeval"]


def _recipe(tiny_model, **fields):
    suite = {"tasks": TASKS, "examples": 3, "samples": 2, **fields.pop("suite", {})}
    return Recipe.model_validate(
        {
            "engine": "eval",
            "model": {"base": str(tiny_model)},
            "suite": suite,
            "sampling": {"temperature": 1.0, "max_new_tokens": 8},
            "generation": {"batch_size": 4},
            "device": "cpu",
            **fields,
        }
    )


def _kinds(events, kind):
    return [event for event in events if event["kind"] == kind]


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_answer_of_every_task_is_graded_scored_and_kept(tiny_model, make_run, read_events):
    attempt = make_run()
    run(_recipe(tiny_model), attempt)
    events = read_events(attempt)
    keys = [event["key"] for event in _kinds(events, "example")]
    assert len(keys) == len(set(keys)) == len(TASKS) * 3 * 2
    for task in TASKS:
        assert len(_lines(attempt.dir / "samples" / f"{task}.jsonl")) == 6
        grades = _lines(attempt.dir / "grades" / f"{task}.jsonl")
        assert {line["sandbox"] for line in grades} <= {"L0", "L1", "L2"}
    scores = {event["name"]: event for event in _kinds(events, "score")}
    assert scores["strict"]["fields"]["n"] == len(TASKS) * 3
    protocol = scores["strict"]["fields"]["protocol"]
    assert protocol["domains"] == {
        "aime": "math",
        "supergpqa": "science",
        "hitab": "tabular",
        "ifeval": "ood",
    }
    assert {
        "mean_tasks",
        "mean_domains",
        "domain.math",
        "aime.pass@2",
        "aime.strict",
        "grader_errors",
    } <= set(scores)
    assert json.loads((attempt.dir / "metrics.json").read_text())["scores"]["strict"]["n"] == 12


def test_adding_a_task_changes_no_answer_to_the_others(tiny_model, make_run):
    run(_recipe(tiny_model), more := make_run("more"))
    run(
        _recipe(tiny_model, suite={"tasks": ["hitab"]}, generation={"batch_size": 3, "cache": False}),
        one := make_run("one"),
    )
    name = "samples/hitab.jsonl"
    first, second = (
        {line["key"]: line["text"] for line in _lines(attempt.dir / name)} for attempt in (more, one)
    )
    assert first == second


def test_a_retry_generates_only_what_is_missing_and_ends_with_the_same_scores(
    tiny_model, make_run, read_events
):
    whole = make_run("whole")
    run(_recipe(tiny_model, generation={"cache": False}), whole)
    torn = make_run("torn")
    shutil.copytree(whole.dir / "samples", torn.dir / "samples")
    shutil.copytree(whole.dir / "grades", torn.dir / "grades")
    samples = torn.dir / "samples" / "hitab.jsonl"
    lines = samples.read_text().splitlines(keepends=True)
    samples.write_text("".join(lines[:2]) + lines[2][: len(lines[2]) // 2])  # killed inside of a line
    for name in ("hitab", "aime"):
        (torn.dir / "grades" / f"{name}.jsonl").unlink()
    asked = []
    from engines.generation.hf import HfGenerator

    stream = HfGenerator.stream

    def noted(self, requests, *rest):
        asked.extend(requests)
        return stream(self, requests, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HfGenerator, "stream", noted)
        run(_recipe(tiny_model, generation={"cache": False}), torn)
    assert len(asked) == 4, "two of six answers were whole"
    first, second = (
        {e["name"]: e["value"] for e in _kinds(read_events(attempt), "score")} for attempt in (whole, torn)
    )
    assert first == second
    keys = ({e["key"] for e in _kinds(read_events(attempt), "example")} for attempt in (whole, torn))
    assert len(set(map(frozenset, keys))) == 1


def test_a_stop_request_is_heeded_between_batches(tiny_model, make_run, read_events):
    attempt = make_run()
    attempt.stop_requested = True
    run(_recipe(tiny_model), attempt)
    assert attempt.stopped_early
    assert len(_kinds(read_events(attempt), "example")) == 4 and not _kinds(read_events(attempt), "score")


def test_a_question_that_does_not_fit_the_model_counts_as_not_answered(tiny_model, make_run, read_events):
    attempt = make_run()
    suite = {"tasks": ["arcagi1", "amc"], "samples": 1}
    run(_recipe(tiny_model, suite=suite, sampling={"max_new_tokens": 60}), attempt)
    rows = [event["fields"] for event in _kinds(read_events(attempt), "example")]
    long = [row for row in rows if row["method"] == "too_long"]
    assert len(rows) == 6 and {row["task"] for row in long} == {"arcagi1"}
    scores = {event["name"]: event["value"] for event in _kinds(read_events(attempt), "score")}
    assert scores["too_long"] == len(long) / 6 > 0


def test_a_grader_that_fails_is_an_error_apart_and_no_example_that_a_comparison_counts(
    tiny_model, make_run, read_events, monkeypatch
):
    from dataclasses import replace

    from engines.suite import catalog

    def fails(item, text, sandbox):
        raise RuntimeError("broken")

    monkeypatch.setitem(catalog.SUITE, "hitab", replace(catalog.SUITE["hitab"], grade=fails))
    attempt = make_run()
    run(_recipe(tiny_model, suite={"tasks": ["hitab", "amc"]}), attempt)
    events = read_events(attempt)
    assert {event["fields"]["task"] for event in _kinds(events, "example")} == {"amc"}
    scores = {event["name"]: event for event in _kinds(events, "score")}
    assert scores["hitab.grader_errors"]["value"] == 1.0 and scores["strict"]["fields"]["n"] == 3
    assert "RuntimeError: broken" in (attempt.dir / "grades" / "hitab.jsonl").read_text()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"suite": {"tasks": []}}, "one task at least"),
        ({"suite": {"tasks": ["aime", "aime"]}}, "none of them twice"),
        ({"suite": {"paths": {"aime": "x"}}}, "needs `source: public`"),
        ({"suite": {"tasks": ["amc"], "source": "public", "paths": {"aime": "x"}}}, "not among `tasks`"),
        ({"suite": {"samples": 4}, "sampling": {"temperature": 0}}, "`suite.samples` above 1"),
        ({"limit": 3}, "`limit` is `suite.examples`"),
        ({"checkpoints": "all"}, "needs `model: {from: job}`"),
    ],
)
def test_what_cannot_be_meant_is_refused(tiny_model, fields, message):
    with pytest.raises(ValidationError, match=message):
        _recipe(tiny_model, **fields)


def test_greedy_answers_are_not_asked_for_twice(tiny_model, make_run):
    recipe = _recipe(
        tiny_model, suite={"tasks": ["aime"], "samples": "published"}, sampling={"max_new_tokens": 8}
    )
    with pytest.raises(RecipeError, match="32 answers to each question of aime"):
        run(recipe, make_run())


def test_neither_task_nor_suite_is_refused(tiny_model):
    with pytest.raises(ValidationError, match="give a `task`, or a `suite`"):
        Recipe.model_validate({"engine": "eval", "model": {"base": str(tiny_model)}})


def _kept(folder, tiny_model, rewards=()):
    """A training run with three whole checkpoints and what a crash leaves of a fourth."""
    for epoch, name in ((0, "start"), (2, "epoch_0002"), (4, "epoch_0004"), (4, "final"), (2, "best")):
        policy = folder / "checkpoints" / name / "policy"
        shutil.copytree(tiny_model, policy)
        (policy.parent / "trainer_state.json").write_text(json.dumps({"epoch": epoch, "step": 10 * epoch}))
        (policy.parent / "manifest.json").write_text("{}")
    shutil.copytree(tiny_model, folder / "checkpoints" / "epoch_0008" / "policy")
    lines = [
        {"kind": "metrics", "step": e, "values": {"epoch": e, "train_reward_mean": r}} for e, r in rewards
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_every_whole_checkpoint_is_evaluated_on_the_same_questions(
    tiny_model, make_run, read_events, tmp_path
):
    trained = _kept(tmp_path / "trained", tiny_model, [(2, 0.1), (4, 0.2)])
    attempt = make_run("evolution", inputs={"train": trained})
    recipe = {"model": {"from": "train"}, "checkpoints": "all", "suite": {"tasks": ["amc", "supergpqa"]}}
    run(_recipe(tiny_model, **recipe), attempt)
    events = read_events(attempt)
    assert [event["step"] for event in _kinds(events, "metrics")] == [0, 2, 4]
    assert {"strict", "mean_domains", "domain.math"} <= set(_kinds(events, "metrics")[0]["values"])
    [score] = [event for event in _kinds(events, "score") if event["name"] == "evolution"]
    found = score["fields"]
    assert found["epochs"] == [0, 2, 4] and set(found["domains"]) == {"math", "science"}
    assert json.loads((attempt.dir / "evolution.json").read_text()) == found
    assert not any(domain["forgotten"] for domain in found["domains"].values()), "the weights are the same"
    assert not _kinds(events, "example"), "a comparison must not mix checkpoints"
    for name in ("start", "epoch_0002", "epoch_0004"):
        assert len(_lines(attempt.dir / name / "samples" / "amc.jsonl")) == 6


def test_a_job_without_checkpoints_is_refused_with_what_to_do(tiny_model, make_run, tmp_path):
    (tmp_path / "empty").mkdir()
    attempt = make_run("evolution", inputs={"train": tmp_path / "empty"})
    with pytest.raises(RecipeError, match=r"kept none in .*\nhint: train with `save_freq`"):
        run(_recipe(tiny_model, model={"from": "train"}, checkpoints="all"), attempt)
