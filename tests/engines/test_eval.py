import csv
import json

import pytest

from engines.eval import Recipe, run

SEED_COLUMNS = [
    "question",
    "labeled_cot",
    "labeled_answer",
    "generated_text",
    "extracted_thinking",
    "extracted_answer",
    "correct",
]


def recipe(tiny_model, sums, **fields):
    return Recipe.model_validate(
        {
            "engine": "eval",
            "model": {"base": str(tiny_model)},
            "task": {"name": "gsm8k", "path": str(sums), "dev_examples": 10},
            "sampling": {"max_new_tokens": 12},
            "generation": {"batch_size": 5},
            "device": "cpu",
            **fields,
        }
    )


def kinds(events, kind):
    return [event for event in events if event["kind"] == kind]


def test_every_question_is_answered_graded_and_reported(tiny_model, sums, make_run, read_events):
    attempt = make_run("base/eval")
    run(recipe(tiny_model, sums, stage="base"), attempt)
    events = read_events(attempt)
    examples = kinds(events, "example")
    assert {event["key"] for event in examples} == {f"gsm8k-test-{number}/0" for number in range(12)}
    fields = examples[0]["fields"]
    assert fields["question"].startswith("Tom has") and fields["gold"] and fields["tokens"] <= 12
    scores = {event["name"]: event for event in kinds(events, "score")}
    for name in (
        "strict",
        "robust",
        "openai_strict",
        "lm_eval_flexible",
        "thinking",
        "answered",
        "truncated",
    ):
        interval = scores[name]["fields"]
        assert interval["n"] == 12 and interval["low"] <= scores[name]["value"] <= interval["high"]
    assert {"format_gap", "mean_tokens", "p50_tokens", "p95_tokens"} <= set(scores)
    assert not any("@" in name for name in scores)


def test_progress_and_examples_come_batch_by_batch(tiny_model, sums, make_run, read_events):
    attempt = make_run()
    run(recipe(tiny_model, sums), attempt)
    events = [event for event in read_events(attempt) if event["kind"] in ("progress", "example")]
    seen = 0
    for event in events:
        if event["kind"] == "example":
            seen += 1
        else:
            assert (event["done"], event["total"], event["unit"]) == (seen, 12, "example")
    assert [event["done"] for event in kinds(events, "progress")] == [0, 5, 10, 12]


def test_files_have_the_seeds_columns_and_what_makes_evaluations_comparable(
    tiny_model, sums, make_run, read_events
):
    attempt = make_run("full[seed=1]/eval")
    run(recipe(tiny_model, sums, stage="full", limit=4), attempt)
    with (attempt.dir / "debug" / "full_full-seed-1-eval.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0])[:7] == SEED_COLUMNS and [row["id"] for row in table] == [
        f"gsm8k-test-{n}" for n in range(4)
    ]
    assert (
        (attempt.dir / "debug" / "full_full-seed-1-eval_metrics.txt")
        .read_text()
        .startswith("full: gsm8k test\n")
    )
    record = json.loads((attempt.dir / "metrics.json").read_text())
    same = record["protocol"]
    assert same["questions"] == 4 and same["split"] == "test" and same["sampling"]["temperature"] == 0
    assert len(same["prompt_hash"]) == len(same["data_hash"]) == 16
    for event in kinds(read_events(attempt), "artifact"):
        assert (attempt.dir / event["path"]).is_file()


def test_a_repeated_attempt_writes_the_same_keys_and_completions(tiny_model, sums, make_run, read_events):
    attempt = make_run()
    sampled = recipe(
        tiny_model, sums, sampling={"temperature": 1.0, "num_samples": 2, "max_new_tokens": 8}, limit=3
    )
    run(sampled, attempt)
    first = {event["key"]: event["fields"] for event in kinds(read_events(attempt), "example")}
    run(sampled, attempt)
    both = kinds(read_events(attempt), "example")
    assert len(first) == 6 and len(both) == 12
    assert all(event["fields"] == first[event["key"]] for event in both)


def test_several_samples_add_pass_at_k(tiny_model, sums, make_run, read_events):
    attempt = make_run()
    sampling = {"temperature": 1.0, "num_samples": 3, "max_new_tokens": 4}
    run(recipe(tiny_model, sums, sampling=sampling, limit=4), attempt)
    names = {event["name"] for event in kinds(read_events(attempt), "score")}
    assert {"avg@3", "pass@1", "pass@2", "pass@3", "maj@1", "maj@2", "maj@3"} <= names
    assert json.loads((attempt.dir / "metrics.json").read_text())["seed"] == 42


def test_a_stop_request_ends_after_the_batch_without_scores(tiny_model, sums, make_run, read_events):
    attempt = make_run()
    attempt.stop_requested = True
    run(recipe(tiny_model, sums), attempt)
    events = read_events(attempt)
    assert len(kinds(events, "example")) == 5 and not kinds(events, "score")
    assert not (attempt.dir / "metrics.json").exists()
    assert attempt.stopped_early


def test_a_stop_request_after_the_last_batch_comes_too_late(tiny_model, sums, make_run, read_events):
    attempt = make_run()
    attempt.stop_requested = True
    run(recipe(tiny_model, sums, limit=3), attempt)
    assert kinds(read_events(attempt), "score")
    assert not attempt.stopped_early


@pytest.mark.parametrize(("split", "count"), [("train", 50), ("dev", 10), ("test", 12)])
def test_any_split_can_be_evaluated(tiny_model, sums, make_run, read_events, split, count):
    attempt = make_run()
    run(recipe(tiny_model, sums, split=split, sampling={"max_new_tokens": 1}, generation={}), attempt)
    assert len(kinds(read_events(attempt), "example")) == count


def test_a_prefill_of_the_template_is_scored_with_the_generation(
    tiny_model, sums, make_run, read_events, tmp_path
):
    template = tmp_path / "prefilled.jinja"
    template.write_text(
        "{% for m in messages %}<|im_start|>{{ m.role }}{{ '\\n' }}{{ m.content }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant{{ '\\n' }}<start_working_out>{% endif %}"
    )
    attempt = make_run()
    model = {"base": str(tiny_model), "chat_template": str(template)}
    run(recipe(tiny_model, sums, model=model, limit=2), attempt)
    for event in kinds(read_events(attempt), "example"):
        assert event["fields"]["completion"].startswith("<start_working_out>")
    assert json.loads((attempt.dir / "metrics.json").read_text())["prefill"] == "<start_working_out>"
