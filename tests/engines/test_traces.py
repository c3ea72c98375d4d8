import json
import signal
from collections import Counter

import pytest

from engines.generation.completion import Completion
from engines.prompts.spec import PromptSpec
from engines.pruning.attempts import judge_completion
from engines.pruning.trace_fields import TAKEN
from engines.recipe.blocks import TaskBlock
from engines.recipe.expand import load_recipe
from engines.sft import Recipe as SftRecipe
from engines.sft import run as run_sft
from engines.tasks.example import Example
from engines.tasks.loading import training_examples
from engines.traces import Recipe, resume_step, run

SEED_FIELDS = {
    "total_samples",
    "grpo_successes",
    "fallback_count",
    "success_rate",
    "avg_attempts_for_successes",
    "avg_attempts_overall",
}


def recipe(solver, sums, **fields):
    return Recipe.model_validate(
        {
            "engine": "traces",
            "model": {"base": str(solver / "model")},
            "task": {"name": "gsm8k", "path": str(sums), "dev_examples": 10},
            "prompt": {"system": ""},
            "max_attempts": 3,
            "max_new_tokens": 64,
            "temperature": 1.0,
            "generation": {"batch_size": 8},
            "device": "cpu",
            **fields,
        }
    )


def rows(directory, name="traces.jsonl"):
    return [json.loads(line) for line in (directory / name).read_text().splitlines()]


def statistics(directory):
    return json.loads((directory / "traces.jsonl.stats.json").read_text())


@pytest.fixture(scope="module")
def whole(solver, sums, tmp_path_factory):
    """A run that nothing disturbed."""
    from engines.events import EventWriter
    from engines.run import Run

    directory = tmp_path_factory.mktemp("whole")
    attempt = Run(dir=directory, events=EventWriter(directory), seed=42, name="job")
    run(recipe(solver, sums), attempt)
    return attempt


def test_every_trace_is_a_right_solution_and_ends_in_the_gold_answer(whole, sums):
    task = TaskBlock(name="gsm8k", path=str(sums), dev_examples=10)
    gold = {example.question: example for example in training_examples(task, None, 42)}
    made = rows(whole.dir)
    assert [row["question"] for row in made] == list(gold)
    assert {row["source"] for row in made} == {"generated", "gold"}
    for row in made:
        reasoning, _, answer = row["answer"].partition("\n\n#### ")
        assert answer == gold[row["question"]].answer and reasoning
        if row["source"] == "gold":
            assert reasoning == gold[row["question"]].reasoning


def test_the_statistics_have_the_seeds_fields_and_add_up(whole):
    found, made, tried = statistics(whole.dir), rows(whole.dir), rows(whole.dir, "attempts.jsonl")
    assert set(found) >= SEED_FIELDS | {
        *("attempt_histogram", "per_source", "truncated", "format_failures", "ambiguous", "mean_tokens"),
        *("generated_tokens", "wall_s", "distinct_ratio", "overlap_with_gold", "adapter_sha", "prompt_hash"),
        "parser_version",
    }
    generated = [row for row in made if row["source"] == "generated"]
    assert found["grpo_successes"] == len(generated) == found["per_source"]["generated"]
    assert found["grpo_successes"] + found["fallback_count"] == found["total_samples"] == len(made) == 50
    assert found["success_rate"] == len(generated) / 50
    histogram = {int(number): count for number, count in found["attempt_histogram"].items()}
    assert histogram == Counter(row["attempts"] for row in generated)
    total = sum(number * count for number, count in histogram.items())
    assert found["avg_attempts_for_successes"] == total / len(generated)
    assert found["avg_attempts_overall"] == (total + 3 * found["fallback_count"]) / 50
    # Who used n attempts has n lines in the journal: nobody is asked again after a success.
    lines = Counter(row["id"] for row in tried)
    assert lines == {row["id"]: row["attempts"] for row in made}
    assert found["attempts"] == len(tried) == round(found["avg_attempts_overall"] * 50)
    assert found["generated_tokens"] == sum(row["tokens"] for row in tried)


def test_progress_and_metrics_count_attempts_and_end_at_the_total(whole, read_events):
    events = read_events(whole)
    steps = [event["step"] for event in events if event["kind"] == "metrics"]
    assert steps == sorted(set(steps)) and steps[-1] == statistics(whole.dir)["attempts"]
    last = [event for event in events if event["kind"] == "progress"][-1]
    assert last["done"] == last["total"] == 150
    scores = {event["name"]: event["value"] for event in events if event["kind"] == "score"}
    assert (
        scores["budget/completions"] == statistics(whole.dir)["attempts"] and scores["budget/prompts"] == 50
    )
    [warning] = [event["text"] for event in events if event["kind"] == "message"]
    assert "word for word the task's own" in warning


def test_killed_at_any_batch_it_goes_on_and_makes_no_attempt_twice(solver, sums, whole, kill_at, tmp_path):
    job = recipe(solver, sums)
    for place in ("batch 3", "batch 4", "batch 2"):
        assert kill_at(tmp_path / "job", "traces", job, place) == -signal.SIGKILL
    journal = tmp_path / "job" / "attempts.jsonl"
    kept = len(journal.read_text().splitlines())
    assert kept == 2 * 8 + 3 * 8 + 1 * 8
    with journal.open("a") as file:
        file.write('{"id": "gsm8k-train-1", "attem')  # as a kill leaves it
    assert kill_at(tmp_path / "job", "traces", job) == 0
    generated = (tmp_path / "job" / "generated.txt").read_text().splitlines()
    assert len(generated) == len(set(generated)) == statistics(whole.dir)["attempts"]
    assert (tmp_path / "job" / "traces.jsonl").read_bytes() == (whole.dir / "traces.jsonl").read_bytes()
    resumed, undisturbed = statistics(tmp_path / "job"), statistics(whole.dir)
    assert {**resumed, "wall_s": 0} == {**undisturbed, "wall_s": 0}
    started = [json.loads(line) for line in (tmp_path / "job" / "events.jsonl").read_text().splitlines()]
    assert [event["resume_step"] for event in started if event["kind"] == "started"] == [None, 16, 40, kept]


def test_a_stop_request_ends_between_batches_and_the_next_attempt_goes_on(solver, sums, whole, make_run):
    attempt = make_run("stopped")
    record = attempt.events.progress

    def stop_at_first(done, total, unit):
        record(done, total, unit)
        attempt.stop_requested = True

    attempt.events.progress = stop_at_first
    run(recipe(solver, sums), attempt)
    assert attempt.stopped_early and not (attempt.dir / "traces.jsonl").exists()
    assert resume_step(attempt) == 8
    attempt.stop_requested, attempt.stopped_early, attempt.events.progress = False, False, record
    run(recipe(solver, sums), attempt)
    assert rows(attempt.dir) == rows(whole.dir)


def test_unsolved_questions_can_be_dropped_or_tried_with_a_hint(solver, sums, whole, make_run):
    dropped, hinted = make_run("dropped"), make_run("hinted")
    run(recipe(solver, sums, fallback="drop"), dropped)
    assert rows(dropped.dir) == [row for row in rows(whole.dir) if row["source"] == "generated"]
    found = statistics(dropped.dir)
    assert (
        found["per_source"]["dropped"] == found["fallback_count"] == statistics(whole.dir)["fallback_count"]
    )
    fields = {"max_attempts": 1, "hint": "{question} It is {answer}.", "fallback": "rationalize"}
    run(recipe(solver, sums, **fields), hinted)
    tried = rows(hinted.dir, "attempts.jsonl")
    assert {row["hinted"] for row in tried} == {False, True}
    asked = {row["id"] for row in tried if row["hinted"]}
    assert asked == {row["id"] for row in tried if not row["hinted"] and not row["solved"]}
    made = {row["id"]: row for row in rows(hinted.dir)}
    assert set(made) == {row["id"] for row in tried if row["solved"]}
    assert {row["source"] for row in made.values()} == {"generated", "rationalized"}
    assert all(row["question"].endswith("now?") for row in made.values())
    found = statistics(hinted.dir)
    assert found["grpo_successes"] == found["per_source"]["generated"]
    assert found["per_source"]["rationalized"] == len(made) - found["grpo_successes"]
    assert found["per_source"]["dropped"] == 50 - len(made)
    with pytest.raises(ValueError, match="must contain"):
        recipe(solver, sums, hint="{question}")


def test_a_model_that_solves_nothing_leaves_no_empty_file(tiny_model, sums, make_run):
    from engines.recipe.errors import RecipeError

    attempt = make_run()
    model = {"base": str(tiny_model)}
    with pytest.raises(RecipeError, match="none of 4 questions was solved"):
        run(recipe(tiny_model, sums, model=model, num_samples=4, fallback="drop", max_new_tokens=8), attempt)
    assert not (attempt.dir / "traces.jsonl").exists()


@pytest.mark.parametrize("split", ["dev", "test"])
def test_questions_that_must_not_be_trained_on_are_refused(solver, sums, split):
    with pytest.raises(ValueError, match="must not be"):
        recipe(solver, sums, split=split)


@pytest.mark.parametrize("name", ["attempts.jsonl", "events.jsonl", "generated.jsonl"])
def test_a_file_of_the_run_is_not_overwritten_with_traces(solver, sums, name):
    with pytest.raises(ValueError, match="keeps a file of its own"):
        recipe(solver, sums, output_file=name)


def test_no_file_that_a_run_keeps_is_free_to_be_overwritten(whole):
    kept = {path.name for path in whole.dir.glob("*.jsonl")} - {"traces.jsonl"}
    assert kept <= TAKEN


def test_a_hint_that_nobody_gives_is_remarked_on(solver, sums):
    hint = "{question} It is {answer}."
    assert recipe(solver, sums, hint=hint).remarks() == ["no effect: `hint`; `fallback` is not `rationalize`"]
    assert recipe(solver, sums, hint=hint, fallback="rationalize").remarks() == []


def test_greedy_attempts_that_would_all_be_the_same_are_refused(solver, sums):
    with pytest.raises(ValueError, match="greedy attempts are all the same"):
        recipe(solver, sums, temperature=0)


EXAMPLE = Example("e", "2 + 2?", "gold", "4")
SPEC = PromptSpec()
RS, RE, SS, SE = SPEC.tags


@pytest.mark.parametrize(
    "text, prefill, solved, reasoning",
    [
        (f"{RS}2+2=4{RE}{SS}4{SE}", "", True, "2+2=4"),
        (f"2+2=4{RE}{SS}4{SE}", RS, True, "2+2=4"),  # the tag is in the prompt, and the reasoning still found
        (f"{RS}well... 2+2=4{RE}{SS}4{SE}", "", True, "2+2=4"),
        (f"2+2=4{RE}{SS}4{SE}", "", False, None),  # right, but no reasoning can be taken out
        (f"{RS}well...{RE}{SS}4{SE}", "", False, None),
        (f"{RS}2+2=4{RE}{SS}5{SE}", "", False, "2+2=4"),
        (f"{RS}2+2=4{RE}{SS}4{SE}{SS}4{SE}", "", False, "2+2=4"),
        (f"{RS}2+2=4{RE}#### 4", "", False, "2+2=4"),
    ],
)
def test_what_counts_as_solved(text, prefill, solved, reasoning):
    spec = SPEC.model_copy(update={"prefill": prefill})
    attempt = judge_completion(EXAMPLE, 1, False, Completion(text, [1], True, "stop"), spec)
    assert (attempt.solved, attempt.reasoning) == (solved, reasoning)
    cut_off = judge_completion(EXAMPLE, 1, False, Completion(text, [1], False, "length"), spec)
    assert not cut_off.solved


def test_sft_trains_on_the_traces_of_another_job(solver, sums, whole, make_run):
    body = {
        "engine": "sft",
        "model": {"base": str(solver / "model")},
        "lora": {"r": 2},
        "task": {"name": "gsm8k", "path": str(sums), "dev_examples": 10},
        "prompt": {"system": ""},
        "traces": {"from": "traces"},
        "train_samples": 12,
        "num_train_epochs": 1,
        "learning_rate": 1e-3,
        "warmup_steps": 0,
        "device": "cpu",
    }
    attempt = make_run("sft", inputs={"traces": whole.dir})
    run_sft(SftRecipe.model_validate(body), attempt)
    record = json.loads((attempt.dir / "run.json").read_text())
    assert record["rows"] == 12
    # For the same seed these are the questions that training on the task's own solutions would take.
    first = make_run("gold")
    run_sft(SftRecipe.model_validate({**body, "traces": None}), first)
    shown = [(job.dir / "debug" / f"full_{job.name}_train.txt").read_text() for job in (attempt, first)]
    prompts = [[text.splitlines()[1] for text in part.split("--- ")[1::2]] for part in shown]
    assert prompts[0] == prompts[1]


def test_a_recipe_links_sft_to_the_job_that_makes_its_traces(tmp_path):
    path = tmp_path / "pipe.yaml"
    text = (
        "defaults: {model: {base: pocket}, task: pocket-math}\n"
        "jobs:\n"
        "  sft: {engine: sft, traces: {from: traces}}\n"
        "  traces: {engine: traces}\n"
    )
    path.write_text(text)
    jobs = load_recipe(path).jobs
    assert [(job.name, job.needs) for job in jobs] == [("traces", ()), ("sft", (("traces", "traces"),))]
    path.write_text(text.replace("{engine: traces}", "{engine: sft}"))
    with pytest.raises(Exception, match="leaves no traces"):
        load_recipe(path)


def test_blank_lines_between_steps_survive_from_the_completion_to_the_steps_of_the_trace(tmp_path):
    """Teacher traces for Step-JEPA are asked for with the seed's words, and cut at their blank lines."""
    from engines.jepa.fields import StepsBlock
    from engines.jepa.splitters import split_steps
    from engines.pruning.search import Search
    from engines.training.rows import read_traces

    asked = "{question}\n\nPlease solve the problem step by step (separate steps with double newlines), but keep it short."
    spec = PromptSpec(user_template=asked, prefill="<start_working_out>")
    example = Example("e-0", "Mia packs 4 boxes of 6 pens and gives 5 away. How many are left?", "gold", "19")
    steps = ["Mia packs\n4 * 6 = 24 pens.", "She keeps 24 - 5 = 19.", "So 19."]
    text = "\n\n".join(steps) + "<end_working_out>\n\n<SOLUTION>19</SOLUTION>"
    attempt = judge_completion(example, 1, False, Completion(text, [1] * 9, True, "stop"), spec)
    search = Search(None, None, spec, None, None, None)
    search.add(attempt)
    file = tmp_path / "traces.jsonl"
    file.write_text(json.dumps(search.row(example) | {"attempts": 1}) + "\n")
    [trace] = read_traces(file, [])
    found = split_steps(trace.reasoning, StepsBlock(splitter="blank_line"))
    assert [trace.reasoning[start:end] for start, end, _ in found] == steps
