import csv
import json
import signal
from collections import Counter
from types import SimpleNamespace

import pytest

from engines.events import EventWriter
from engines.pruning import round_files
from engines.pruning.policies import Policies
from engines.pruning.rounds import Rounds
from engines.recipe.blocks import TaskBlock
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.tasks.loading import load_examples
from engines.tasks.splits import question_key
from engines.tpt import Recipe, resume_step, run


def recipe(solver, sums, **fields):
    return Recipe.model_validate(
        {
            "engine": "tpt",
            "model": {"base": str(solver / "model")},
            "lora": {"r": 4, "lora_alpha": 8},
            "task": {"name": "gsm8k", "path": str(sums), "dev_examples": 10},
            "prompt": {"system": ""},
            "rounds": 2,
            "num_samples": 3,
            "temperature": 1.0,
            "max_new_tokens": 48,
            "generation": {"batch_size": 32},
            "decontaminate": None,
            "train_size": 16,
            "num_train_epochs": 1,
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 2,
            "warmup_steps": 0,
            "learning_rate": 1e-4,
            "save_steps": 2,
            "evaluation": {"num_samples": 2},
            "device": "cpu",
            **fields,
        }
    )


def read(path):
    text = path.read_text()
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)


def executed(job, directory, name="job", **options):
    directory.mkdir(parents=True, exist_ok=True)
    attempt = Run(dir=directory, events=EventWriter(directory), seed=job.seed, name=name, **options)
    run(job, attempt)
    return attempt


def scores(events):
    return {event["name"]: event for event in events if event["kind"] == "score"}


@pytest.fixture(scope="module")
def whole(solver, sums, tmp_path_factory):
    """Two rounds that nothing disturbed; `asked` has which model was asked for which file, with which seed."""
    asked, answers = [], Policies.answers

    def noted(self, policy, examples, sampling, seed, path, on_progress):
        asked.append((policy, f"{path.parent.name}/{path.name}", seed))
        return answers(self, policy, examples, sampling, seed, path, on_progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Policies, "answers", noted)
        attempt = executed(recipe(solver, sums), tmp_path_factory.mktemp("whole"))
    attempt.asked = asked
    return attempt


def test_a_round_thinks_with_the_model_of_the_round_before_and_trains_the_base(whole, solver):
    thinks = [call for call in whole.asked if call[1].endswith("samples.jsonl")]
    assert thinks == [(0, "r1/samples.jsonl", 43), (1, "r2/samples.jsonl", 44)]
    judges = [call for call in whole.asked if call[1].startswith("eval/")]
    assert {seed for _, _, seed in judges} == {42}  # the same random numbers for all rounds
    assert [policy for policy, _, _ in judges] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for t in (1, 2):
        lineage = read(whole.dir / f"r{t}" / "model" / "lineage.json")
        assert [line["mode"] for line in lineage][-1] == "base"
        assert read(whole.dir / f"r{t}" / "run.json")["model"]["base"] == str(solver / "model")


FILES = (
    *("r0/eval/scores.json", "r0/eval/greedy.jsonl", "r0/eval/sampled.jsonl", "r0/eval/dev.jsonl"),
    *(f"r{t}/{name}" for t in (1, 2) for name in ("samples.jsonl", "e0.json", "e1.json", "e2.json")),
    *(f"r{t}/{name}" for t in (1, 2) for name in ("correct_answers.json", "train.json", "eval.json")),
    *(f"r{t}/{name}" for t in (1, 2) for name in ("pass_at_k_results.csv", "stats.json", "eval/scores.json")),
    *(f"r{t}/model/adapter_model.safetensors" for t in (1, 2)),
    "model/adapter_model.safetensors",
)


def test_every_round_leaves_the_files_of_the_original_with_its_fields(whole):
    for name in FILES:
        assert (whole.dir / name).is_file(), name
    for t in (1, 2):
        directory = whole.dir / f"r{t}"
        assert set(read(directory / "e0.json")[0]) == {"qnum", "question", "solution"}
        for name in ("correct_answers", "train", "eval"):
            assert set(read(directory / f"{name}.json")[0]) >= {"id", "idt", "question", "solution", "solnum"}
        table = list(csv.reader((directory / "pass_at_k_results.csv").open()))
        assert table[0] == ["Metric", "Score"] and [row[0] for row in table[1:]] == [
            "pass@1",
            "pass@2",
            "pass@3",
        ]
        assert read(directory / "pass_at_k_results.json")["pass@3"] == float(table[3][1])


def test_a_round_trains_on_exactly_as_many_right_solutions_as_asked_one_a_question(whole):
    for t in (1, 2):
        samples = {
            (row["example_id"], row["sample"]): row for row in read(whole.dir / f"r{t}" / "samples.jsonl")
        }
        rows = read(whole.dir / f"r{t}" / "train.json")
        assert len(rows) == 16 == len({row["id"] for row in rows})
        first = 3 * (t - 1)
        for row in rows:
            sample = samples[row["id"], row["sample"] - first]
            assert sample["strict"] and sample["terminated"] and sample["completion"] == row["solution"]
            assert row["reasoning"] in sample["completion"]
        trained = read(whole.dir / f"r{t}" / "run.json")
        assert trained["rows"] == 16 and trained["steps"] == 4
        shown = (whole.dir / f"r{t}" / "debug" / "tpt_job_train.txt").read_text()
        assert f"{rows[0]['reasoning']}<end_working_out><SOLUTION>{rows[0]['solnum']}</SOLUTION>" in shown


def test_no_question_of_the_evaluation_part_or_of_dev_and_test_is_ever_trained_on(whole, sums):
    """The original split by row after taking several rows a question: 72 of its 200 evaluation questions were trained on."""
    task = TaskBlock(name="gsm8k", path=str(sums), dev_examples=10)
    held_out = {question_key(e.question) for split in ("dev", "test") for e in load_examples(task, split)}
    trained, evaluated = set(), set()
    for t in (1, 2):
        trained |= {question_key(row["question"]) for row in read(whole.dir / f"r{t}" / "train.json")}
        evaluated |= {question_key(row["question"]) for row in read(whole.dir / f"r{t}" / "eval.json")}
    assert trained and evaluated
    assert not trained & evaluated and not (trained | evaluated) & held_out


def test_each_round_is_scored_against_the_base_and_the_round_before(whole, read_events):
    found = scores(read_events(whole))
    for t in (0, 1, 2):
        for name in ("strict", "robust", "format_gap", "truncated", "pass@1", "pass@2", "maj@2", "avg@2"):
            assert f"r{t}/{name}" in found, name
        assert {"n", "low", "high"} <= set(found[f"r{t}/strict"]["fields"])
        rows = read(whole.dir / f"r{t}" / "eval" / "greedy.jsonl")
        assert found[f"r{t}/robust"]["value"] == sum(row["robust"] for row in rows) / 12
    assert "against_base" not in found["r0/strict"]["fields"]
    before, now = (read(whole.dir / f"r{t}" / "eval" / "greedy.jsonl") for t in (0, 2))
    pairs = Counter((a["strict"], b["strict"]) for a, b in zip(before, now, strict=True))
    against = found["r2/strict"]["fields"]["against_base"]
    assert (against["wins"], against["losses"], against["n"]) == (pairs[False, True], pairs[True, False], 12)
    assert against["difference"] == (against["wins"] - against["losses"]) / 12
    assert set(against) == set(found["r1/robust"]["fields"]["against_previous"])
    for name in ("yield", "distinct", "rows", "train_pass@3"):
        assert f"r1/{name}" in found and f"r2/{name}" in found


def test_the_job_counts_as_an_evaluation_of_its_result(whole, read_events, sums):
    events = read_events(whole)
    found, result = scores(events), read(whole.dir / "run.json")["result"]
    on_dev = {t: found[f"r{t}/dev_robust"]["value"] for t in (1, 2)}
    assert on_dev[result] == max(on_dev.values())
    assert found["strict"]["value"] == found[f"r{result}/strict"]["value"]
    asked = found["strict"]["fields"]["protocol"]
    assert asked["split"] == "test" and asked["questions"] == 12 and asked["sampling"]["temperature"] == 0
    examples = {event["key"]: event["fields"] for event in events if event["kind"] == "example"}
    assert len(examples) == 12
    assert sum(fields["strict"] for fields in examples.values()) / 12 == found["strict"]["value"]
    adapter = "adapter_model.safetensors"
    left, trained = whole.dir / "model" / adapter, whole.dir / f"r{result}" / "model" / adapter
    assert left.read_bytes() == trained.read_bytes()
    budget = {name: found[f"budget/{name}"]["value"] for name in ("prompts", "completions", "steps")}
    assert budget == {"prompts": 50, "completions": 300, "steps": 8}


def test_steps_of_the_rounds_follow_one_another_and_progress_ends_at_the_total(whole, read_events):
    events = read_events(whole)
    losses = [event["step"] for event in events if event["kind"] == "metrics" and "loss" in event["values"]]
    assert losses == list(range(1, 9))
    steps = [event["step"] for event in events if event["kind"] == "metrics"]
    assert steps == sorted(steps)
    done = [event["done"] / event["total"] for event in events if event["kind"] == "progress"]
    assert done == sorted(done) and done[-1] == 1
    paths = [event["path"] for event in events if event["kind"] == "artifact"]
    assert all((whole.dir / path).exists() for path in paths) and "r2/model" in paths
    assert resume_step(whole) == 8


def test_the_model_that_is_left_can_be_trained_on(whole, solver, sums, make_run):
    from engines.sft import Recipe as SftRecipe
    from engines.sft import run as run_sft

    body = {
        "engine": "sft",
        "model": {"from": "tpt"},
        "lora": {"r": 4, "lora_alpha": 8},
        "task": {"name": "gsm8k", "path": str(sums), "dev_examples": 10},
        "prompt": {"system": ""},
        "train_samples": 4,
        "num_train_epochs": 1,
        "warmup_steps": 0,
        "device": "cpu",
    }
    attempt = make_run("after", inputs={"tpt": whole.dir})
    run_sft(SftRecipe.model_validate(body), attempt)
    lineage = json.loads((attempt.model / "lineage.json").read_text())
    assert [line["mode"] for line in lineage][-2:] == ["base", "continue"]


def test_killed_in_any_part_it_goes_on_with_that_part_to_the_same_end(
    solver, sums, whole, kill_at, tmp_path, read_events
):
    job, directory = recipe(solver, sums), tmp_path / "job"
    places = (
        "batch 2",
        "after r1/samples.jsonl",
        "step 4",
        "before r1/eval/scores.json",
        "batch 3",
        "step 2",
    )
    for place in places:
        assert kill_at(directory, "tpt", job, place) == -signal.SIGKILL, place
    assert not (directory / "r1" / "checkpoints").exists()
    assert kill_at(directory, "tpt", job) == 0
    for name in FILES:
        assert (directory / name).read_bytes() == (whole.dir / name).read_bytes(), name
    generated = (directory / "generated.txt").read_text().splitlines()
    assert len(generated) == len(set(generated))
    steps = [event["resume_step"] for event in events_of(directory) if event["kind"] == "started"]
    assert steps == [None, None, 0, 2, 4, 4, 4]
    # What the store keeps: metrics after a resume step are taken back.
    kept = {}
    for event in events_of(directory):
        if event["kind"] == "started":
            kept = {
                k: v
                for k, v in kept.items()
                if event["resume_step"] is not None and k <= event["resume_step"]
            }
        elif event["kind"] == "metrics" and "loss" in event["values"]:
            kept[event["step"]] = event["values"]["loss"]
    undisturbed = {
        event["step"]: event["values"]["loss"]
        for event in events_of(whole.dir)
        if event["kind"] == "metrics" and "loss" in event["values"]
    }
    assert kept == undisturbed
    ends = [scores(events_of(path)) for path in (directory, whole.dir)]
    for name in ends[0].keys() | ends[1].keys():
        if name != "budget/seconds":
            assert [end[name]["value"] for end in ends] == [ends[1][name]["value"]] * 2, name


def test_without_the_cache_finished_parts_are_still_not_done_again(solver, sums, kill_at, tmp_path):
    fields = {
        "rounds": 1,
        "generation": {"batch_size": 32, "cache": False},
        "evaluation": {"num_samples": None},
    }
    job, directory = recipe(solver, sums, **fields), tmp_path / "job"
    assert kill_at(directory, "tpt", job, "after r1/samples.jsonl") == -signal.SIGKILL
    assert kill_at(directory, "tpt", job) == 0
    generated = (directory / "generated.txt").read_text().splitlines()
    assert len(generated) == len(set(generated)) == 2 * (10 + 12) + 150


def events_of(directory):
    return [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]


def test_a_stop_request_is_heeded_while_thinking_and_while_training(solver, sums, tmp_path, monkeypatch):
    from engines.training.callbacks import EventCallback
    from engines.training.part_events import PartEvents

    job, directory = recipe(solver, sums, rounds=1), tmp_path / "job"
    directory.mkdir()
    attempt = Run(dir=directory, events=EventWriter(directory), seed=42, name="job")

    def stop_when(owner, name):
        """The wish comes right after the first call of a method."""
        original = getattr(owner, name)

        def stopping(*arguments, **fields):
            original(*arguments, **fields)
            attempt.stop_requested = True

        monkeypatch.setattr(owner, name, stopping)

    for owner, name in ((EventWriter, "progress"), (EventCallback, "on_log"), (PartEvents, "close")):
        stop_when(owner, name)
        run(job, attempt)
        monkeypatch.undo()
        assert attempt.stopped_early and not attempt.model.exists()
        attempt.stop_requested = attempt.stopped_early = False
        heard_in_training = name == "on_log"
        assert (directory / "r1" / "checkpoints" / "checkpoint-2").is_dir() or not heard_in_training
    run(job, attempt)
    assert not attempt.stopped_early and attempt.model.is_dir()


def test_too_few_solutions_are_an_error_at_first_and_an_end_later(solver, sums, tmp_path, read_events):
    with pytest.raises(RecipeError, match="rows were kept, of 49 that a round trains on"):
        executed(recipe(solver, sums, train_size=49), tmp_path / "none")
    # A rate that ruins the model: the second round has nothing to train on, and the first one's model is left.
    ruined = recipe(solver, sums, learning_rate=0.5, stop={"drops": 9, "max_pass_drop": None})
    attempt = executed(ruined, tmp_path / "ruined")
    texts = [event["text"] for event in read_events(attempt) if event["kind"] == "message"]
    assert any(text.startswith("round 2 does not train: ") and "rows were kept" in text for text in texts)
    assert read(attempt.dir / "run.json")["result"] == 1 and (attempt.model / "adapter_config.json").is_file()


def test_a_fall_on_dev_or_of_pass_at_n_ends_the_rounds(solver, sums, tmp_path, read_events):
    fields = {"learning_rate": 0.5, "train_size": None, "add_gold": True, "evaluation": {"num_samples": None}}
    narrow = executed(recipe(solver, sums, **fields, stop={"drops": 9}), tmp_path / "narrow")
    texts = [event["text"] for event in read_events(narrow) if event["kind"] == "message"]
    assert any("pass@3 of the training questions fell" in text for text in texts)
    assert not (narrow.dir / "r2" / "run.json").exists()


@pytest.mark.parametrize(
    ("on_dev", "drops", "ends"),
    [
        ((0.5, 0.4, 0.3), 2, True),
        ((0.5, 0.4, 0.45, 0.3), 2, True),  # not one after the other
        ((0.5, 0.4, 0.45), 2, False),
        ((0.5, 0.48, 0.46), 1, False),  # no more than the delta
        ((0.5, 0.4), 1, True),
    ],
)
def test_falls_on_dev_end_the_rounds_and_the_test_has_no_say(solver, sums, make_run, on_dev, drops, ends):
    attempt = make_run()
    job = SimpleNamespace(run=attempt, recipe=recipe(solver, sums, stop={"drops": drops, "delta": 0.02}))
    for number, value in enumerate(on_dev):
        path = round_files.round_dir(attempt.dir, number) / round_files.SCORES
        path.parent.mkdir(parents=True)
        scores = {"dev_robust": value, "robust": 0.9 - number / 2}
        round_files.write_json(path, [{"name": n, "value": v, "fields": {}} for n, v in scores.items()])
    assert Rounds.must_not_go_on(job) is ends


def test_training_can_go_on_from_the_previous_round_with_the_data_of_all(solver, sums, tmp_path):
    fields = {
        "train_from": "previous",
        "data": "accumulate",
        "max_per_question": 2,
        "pick": "all",
        "dedupe": [],
    }
    attempt = executed(recipe(solver, sums, **fields, train_size=27), tmp_path / "job")
    modes = [line["mode"] for line in read(attempt.dir / "r2" / "model" / "lineage.json")]
    assert modes[-1] == "continue" and read(attempt.dir / "r2" / "run.json")["train_from"] == "previous"
    rows = read(attempt.dir / "r2" / "train.json")
    assert len(rows) == 27 and max(Counter(row["id"] for row in rows).values()) == 2
    assert {row["sample"] // 3 for row in rows} == {0, 1}  # samples of both rounds


def test_a_hint_gives_solutions_to_what_no_sample_solved(solver, sums, tmp_path):
    fields = {
        "rounds": 1,
        "preset": "star",
        "hint": "{question} It is {answer}.",
        "evaluation": {"num_samples": None},
    }
    attempt = executed(
        recipe(solver, sums, **fields, num_samples=1, temperature=0, train_size=None), tmp_path / "j"
    )
    rows = read(attempt.dir / "r1" / "train.json")
    sources = Counter(row["source"] for row in rows)
    assert sources["generated"] > 10 and sources["rationalized"] > 2
    assert all(row["question"].endswith("now?") for row in rows)
    hinted = read(attempt.dir / "r1" / "hinted.jsonl")
    assert not {row["example_id"] for row in hinted} & {
        row["id"] for row in rows if row["source"] == "generated"
    }


def test_the_papers_preset_trains_in_a_precision_that_is_refused_elsewhere_and_says_so(
    solver, sums, tmp_path, read_events
):
    model = {"base": str(solver / "model")}
    fields = {key: value for key, value in recipe(solver, sums).model_dump(by_alias=True).items() if key in (
        "engine", "task", "prompt", "device", "seed")}  # fmt: skip
    paper = {
        **fields,
        "preset": "tpt-paper",
        "model": model,
        "grader": "robust",
        "rounds": 1,
        "num_samples": 2,
    }
    small = {
        "max_new_tokens": 48,
        "train_size": 16,
        "decontaminate": None,
        "evaluation": {"num_samples": None},
    }
    job = Recipe.model_validate({**paper, **small})
    assert (
        job.model.dtype == "bfloat16"
        and job.lora is None
        and job.learning_rate == 1e-6
        and job.pick == "first"
    )
    attempt = executed(job, tmp_path / "paper")
    [warning] = [
        event["text"]
        for event in read_events(attempt)
        if event["kind"] == "message" and "rounded" in event["text"]
    ]
    assert "was asked to train like that" in warning
    assert read(attempt.dir / "r1" / "run.json")["changed_parameters"] < 0.5
    # Where another grader decides, the model's own text is trained on, word for word.
    rows = read(attempt.dir / "r1" / "train.json")
    shown = (attempt.dir / "r1" / "debug" / "tpt_job_train.txt").read_text()
    assert rows[0]["solution"] in shown
    with pytest.raises(RecipeError, match="rounded away"):
        executed(Recipe.model_validate({**paper, **small, "rounding_is_wanted": False}), tmp_path / "refused")


def test_a_preset_is_a_table_that_explicit_fields_override():
    body = {"engine": "tpt", "model": {"base": "pocket"}, "task": "pocket-math"}
    rest = Recipe.model_validate({**body, "preset": "rest-em"})
    assert (rest.num_samples, rest.temperature, rest.top_k, rest.max_per_question) == (32, 0.7, 40, 10)
    assert rest.train_from == "base" and rest.data == "replace"
    assert Recipe.model_validate({**body, "preset": "rest-em", "num_samples": 4}).num_samples == 4
    rft = Recipe.model_validate({**body, "preset": "rft"})
    assert (rft.rounds, rft.num_samples, rft.add_gold, rft.pick) == (1, 100, True, "diverse")
    paper = {**body, "preset": "tpt-paper", "model": {"base": "pocket", "attn_implementation": "eager"}}
    assert Recipe.model_validate(paper).model.dtype == "bfloat16"
    # A resolved recipe names every field, and means the same when it is read again.
    again = Recipe.model_validate(json.loads(rft.model_dump_json(by_alias=True)))
    assert again == rft
    star = Recipe.model_validate({**body, "preset": "star", "evaluation": {"limit": 9}})
    assert star.rationalize and (star.evaluation.limit, star.evaluation.temperature) == (9, 0.7)
    with pytest.raises(ValueError, match="tpt-paper"):
        Recipe.model_validate({**body, "preset": "no-such"})


def test_questions_like_those_of_the_test_are_left_out(solver, sums, tmp_path):
    with pytest.raises(RecipeError, match="there are 0") as error:
        executed(recipe(solver, sums, decontaminate=8), tmp_path / "job")
    assert "decontaminate: null" in error.value.hint


def test_a_round_that_could_not_have_as_many_rows_as_it_trains_on_is_refused_before_thinking(solver, sums):
    with pytest.raises(ValueError, match=r"`train_size: 41` is more than 20 questions"):
        recipe(solver, sums, num_questions=20, train_size=41, add_gold=True)
    assert recipe(solver, sums, num_questions=20, train_size=40, add_gold=True).train_size == 40


@pytest.mark.parametrize("fields", [{"split": "test"}, {"evaluation": {"split": "train"}}])
def test_no_other_split_than_train_can_be_thought_about_or_train_be_reported(solver, sums, fields):
    with pytest.raises(ValueError, match="split"):
        recipe(solver, sums, **fields)


def test_an_adapter_with_the_rate_of_the_papers_full_training_is_warned_about():
    body = {"engine": "tpt", "model": {"base": "pocket"}, "task": "pocket-math", "preset": "tpt-paper"}
    assert Recipe.model_validate(body).remarks() == []
    [remark] = Recipe.model_validate({**body, "lora": {"r": 4}}).remarks()
    assert "`learning_rate: 1e-06` is for training all weights" in remark
