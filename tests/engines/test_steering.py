"""The whole search, on models of which the truth is known and on a tiny one that is killed."""

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from engines.events import EventWriter
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.steer.draft import DraftingDecoder
from engines.steer.export import deltas, load_steering
from engines.steer.generate import SteeredGenerator
from engines.steering import Recipe, resume_step, run

GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k"


def executed(job, directory, name="job", **options):
    directory.mkdir(parents=True, exist_ok=True)
    attempt = Run(dir=directory, events=EventWriter(directory), seed=job.seed, name=name, **options)
    run(job, attempt)
    return attempt


def read(path):
    text = path.read_text()
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)


def planted_recipe(planted, **fields):
    body = {
        "engine": "steering",
        "model": {"base": str(planted.model)},
        "task": {"name": "gsm8k", "path": str(planted.questions), "dev_examples": 20},
        "prompt": {"system": "", "stop": []},
        "max_new_tokens": 4,
        "batch_size": 128,
        "heatmap_texts": 16,
        "splits": {"vectors": 100, "screen": 10, "search": 40, "confirm": 50, "decontaminate": None},
        "search": {
            "trials": 8,
            "batch_configs": 4,
            "alphas": {"low": -0.15, "high": 0.15},
            "ladder": [0.05, 0.1],
            "screen_layers": 2,
            "startup": 4,
        },
        "confirm": {"top_k": 2},
        "device": "cpu",
        "seed": 3,
    }
    return Recipe.model_validate({**body, **fields})


@pytest.fixture(scope="module")
def searched(planted, tmp_path_factory):
    """A whole search of the planted model."""
    return executed(planted_recipe(planted), tmp_path_factory.mktemp("planted") / "job")


def test_the_planted_layer_sign_and_strength_are_found(planted, searched):
    best = read(searched.dir / "best_configuration_job.json")
    norm = best["spec"]["norm_ref"][str(planted.LAYER)]
    low, high = (push / norm for push in planted.BEST)
    assert best["params"]["layer"] == planted.LAYER
    assert low * 0.8 < best["params"]["alpha"] < high * 1.2
    test = read(searched.dir / "final_results_job.json")["test"]["winner"]
    assert test["accuracy"] > 0.95 and 0.4 < test["unsteered"] < 0.6 and test["broken"] == 0
    assert test["low"] > 0.3 and test["p"] < 1e-6
    vector = load_steering(searched.dir / "vector.safetensors")
    assert abs(float(vector.vectors[planted.LAYER][planted.U])) > 0.9


def test_the_heat_map_shows_the_planted_layer_before_anything_is_generated(planted, searched):
    rows = list(csv.DictReader((searched.dir / "heatmap.csv").open()))
    own = [row for row in rows if row["direction"] == "mean_difference"]
    best = max(own, key=lambda row: float(row["margin_change"]))
    assert (int(best["layer"]), best["significant"]) == (planted.LAYER, "True") and float(best["alpha"]) > 0
    assert len(rows) == 4 * planted.LAYERS * 4


def test_every_null_control_stays_at_chance(searched):
    controls = read(searched.dir / "controls.json")
    assert len(controls["null_best_gains"]) == 3 and controls["p"] == pytest.approx(1 / 4)
    assert set(controls["confirmed"]) == {"random-0", "random_in_pca-0", "shuffled-0"}
    for found in controls["confirmed"].values():
        assert found["sure_gain"] <= 0 and found["accuracy"] < 0.75
    stats = read(searched.dir / "stats.json")
    assert stats["test"]["control"]["accuracy"] < 0.75
    assert stats["search"]["best"]["corrected_p"] < 0.01


def test_all_files_are_there_and_the_scores_are_those_of_an_evaluation(searched, read_events):
    names = (
        *("best_configuration_job.json", "config_job.json", "final_results_job.json", "study_trials_job.csv"),
        *("optuna_study_job.db", "optuna.db", "manifest.json", "gates.json", "baseline.jsonl", "heatmap.csv"),
        *(
            "controls.json",
            "stats.json",
            "vector.safetensors",
            "test_lock.json",
            "steer_card.md",
            "splits.json",
        ),
        *("side_effects.json", "exports/vector.gguf", "exports/easysteer.json", "rivals/prompt.items.jsonl"),
        *("trials/mean_difference/0/items.jsonl", "trials/mean_difference/sampler.pkl"),
    )
    for name in names:
        assert (searched.dir / name).is_file(), name
    studies = read(searched.dir / "studies.json")
    assert [(one["finished"], one["running"]) for one in studies] == [(8, 0)] * 4
    assert studies[0]["study"] == "mean_difference" and studies[0]["best_gain"] > 0.3
    assert not list(searched.dir.rglob("*.partial")) + list(searched.dir.rglob("*.journal"))
    events = read_events(searched)
    scores = {event["name"]: event for event in events if event["kind"] == "score"}
    assert scores["robust"]["fields"]["protocol"]["split"] == "test"
    assert scores["robust"]["value"] - scores["baseline/robust"]["value"] == pytest.approx(
        scores["test/winner_gain"]["value"]
    )
    examples = {event["key"] for event in events if event["kind"] == "example"}
    assert len(examples) == scores["robust"]["fields"]["n"]
    done = [event["done"] for event in events if event["kind"] == "progress"]
    assert done == sorted(done) and done[-1] == 9
    steps = [event for event in events if event["kind"] == "metrics"]
    assert len(steps) == 4 * 8 and steps[0]["values"]["mean_difference/alpha"] == 0.0


def test_rivals_stand_in_the_table_with_the_figures_of_finalists(searched, read_events):
    rows = {row["study"]: row for row in read(searched.dir / "stats.json")["confirm"]}
    rivals = read(searched.dir / "controls.json")["rivals"]
    assert set(rivals) == {"sign_flipped", "prompt", "longer", "first_token"}
    assert all(rows[name] == found and found["control"] for name, found in rivals.items())
    assert rows["sign_flipped"]["gain"] < -0.3  # turned round, the planted direction harms
    leader = read(searched.dir / "stats.json")["confirm"][0]
    assert rows["sign_flipped"]["params"]["alpha"] == -leader["params"]["alpha"]
    assert rows["longer"]["params"] == {"max_new_tokens": 8} and rows["longer"]["changed"] == 0
    token = rows["first_token"]["params"]["token"]
    items = read(searched.dir / "rivals" / "first_token.items.jsonl")[1:]
    assert len(items) == 50 and all(item["completion"].startswith(token) for item in items)
    assert {item["correct"] for item in items} == {True, False}
    card = (searched.dir / "steer_card.md").read_text()
    for name in ("sign_flipped", 'told "Think step by step."', "random_in_pca-0", "made to begin with"):
        assert name in card
    scores = {event["name"] for event in read_events(searched) if event["kind"] == "score"}
    assert {f"rivals/{name}_gain" for name in rivals} | {"controls/random_in_pca-0_gain"} <= scores


def test_what_steering_does_to_plain_text_is_reported(searched, read_events):
    """In the planted model nothing reads u behind a text of unknown words."""
    effects = read(searched.dir / "final_results_job.json")["side_effects"]
    assert set(effects) == {"baseline", "winner", "control"}
    assert effects["winner"]["texts"] == 12 and effects["baseline"]["nats_change"] == 0
    assert effects["winner"]["perplexity"] == pytest.approx(effects["baseline"]["perplexity"], rel=1e-3)
    scores = {event["name"]: event for event in read_events(searched) if event["kind"] == "score"}
    assert scores["perplexity/control"]["value"] == effects["control"]["perplexity"]
    assert "| winner | 0.0% | 0.0% | 0.0% | 2 |" in (searched.dir / "steer_card.md").read_text()


def test_the_winner_is_left_in_the_forms_of_other_programs(searched):
    gguf = pytest.importorskip("gguf", reason="GGUF export needs the gguf package, which is optional")
    winner = load_steering(searched.dir / "vector.safetensors")
    [vector] = read(searched.dir / "exports" / "easysteer.json")["vectors"]
    reader = gguf.GGUFReader(searched.dir / "exports" / vector["source"])
    assert reader.get_field("general.architecture").contents() == "controlvector"
    assert reader.get_field("controlvector.model_hint").contents() == "llama"
    found = {tensor.name: tensor.data for tensor in reader.tensors}
    added = deltas(winner)
    assert found.keys() == {f"direction.{layer}" for layer in added} and vector["layers"] == list(added)
    assert all((found[f"direction.{layer}"] == delta.numpy()).all() for layer, delta in added.items())


def test_a_study_can_be_opened_in_optuna_and_holds_strength_zero(searched):
    storage = f"sqlite:///{searched.dir / 'optuna_study_job.db'}"
    names = optuna.get_all_study_names(storage)
    assert sorted(names) == ["mean_difference", "random-0", "random_in_pca-0", "shuffled-0"]
    study = optuna.load_study(study_name="mean_difference", storage=storage)
    assert len(study.trials) == 8
    # One file without a log beside it, of a database whose readers need not wait for who writes.
    for name, mode in (("optuna.db", "wal"), ("optuna_study_job.db", "delete")):
        with closing(sqlite3.connect(searched.dir / name)) as database:
            assert database.execute("PRAGMA journal_mode").fetchone() == (mode,)
            assert database.execute("SELECT count(*) FROM trials").fetchone() == (4 * 8,)
    first = study.trials[0]
    assert first.params["alpha"] == 0 and first.value == 0 and set(first.constraints) == {
        "truncation", "repetition", "length",
    }  # fmt: skip
    pruned = [trial for trial in study.trials if trial.state.name == "PRUNED"]
    assert pruned and all(trial.user_attrs["answers"]["n"] < 40 for trial in pruned)


def test_without_an_effect_strength_zero_wins_and_the_report_says_so(planted, tmp_path, read_events):
    """Steering before block 3 comes to nothing in the planted model."""
    quick = {"controls": {"random": 1, "random_in_pca": 0, "shuffled": 0}, "gates": False, "heatmap_texts": 4}
    less = {"layers": [1, 2], "trials": 4, "kinds": ["constant", "dac"], "screen_layers": 1, "startup": 2}
    search = {**planted_recipe(planted).search.model_dump(), **less}
    attempt = executed(planted_recipe(planted, search=search, **quick), tmp_path / "job")
    assert read(attempt.dir / "best_configuration_job.json")["alpha"] == 0
    assert "**No steering wins.**" in (attempt.dir / "steer_card.md").read_text()
    assert set(read(attempt.dir / "controls.json")["studies"]) == {
        "mean_difference", "mean_difference-dac", "random-0", "random-0-dac",
    }  # fmt: skip
    assert load_steering(attempt.dir / "vector.safetensors").spec.alpha == 0
    test = read(attempt.dir / "stats.json")["test"]["winner"]
    assert (test["gain"], test["changed"]) == (0, 0)
    texts = [event["text"] for event in read_events(attempt) if event["kind"] == "message"]
    assert any(text.startswith("no steering wins") for text in texts)


def test_the_test_is_opened_once(planted, searched, tmp_path):
    """Another steering in the same directory is refused, the same one goes on."""
    lock = read(searched.dir / "test_lock.json")
    assert [attempt["allowed"] for attempt in lock["attempts"]] == [True]
    before = (searched.dir / "stats.json").read_bytes()
    run(planted_recipe(planted), searched)
    assert (searched.dir / "stats.json").read_bytes() == before
    assert len(read(searched.dir / "test_lock.json")["attempts"]) == 2
    splits = {**planted_recipe(planted).splits.model_dump(), "test": 40}
    with pytest.raises(RecipeError, match="tested something else already \\(data differ\\)"):
        run(planted_recipe(planted, splits=splits), searched)
    assert resume_step(searched) is None


def small(planted, **fields):
    """A search of seconds, with siblings."""
    search = {
        **planted_recipe(planted).search.model_dump(),
        **{"trials": 7, "batch_configs": 3, "siblings": [0.5], "layers": [2, 3, 5], "ladder": [0.05]},
        **{"startup": 2, "screen_layers": 1},
    }
    splits = {"vectors": 50, "screen": 6, "search": 30, "confirm": 20, "test": 20, "decontaminate": None}
    controls = {"random": 1, "random_in_pca": 0, "shuffled": 0}
    body = {"search": search, "splits": splits, "controls": controls, "heatmap_texts": 4}
    return planted_recipe(planted, **{**body, "gates": False, "batch_size": 128, **fields})


def files_of(directory):
    """What a run leaves, without what tells of its attempts and times."""
    mine = {"events.jsonl", "generated.txt", "helpers.log", "worker.json", "test_lock.json"}
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
        and path.name not in mine
        and ".db" not in path.name
        and path.parent.name != "leases"
    }


def trials_of(directory):
    """Numbers, parameters, values and states of all trials of all studies."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{directory / 'optuna.db'}")
    found = {
        name: [
            (one.number, one.state.name, one.params, one.values, one.intermediate_values, one.user_attrs, one.constraints)
            for one in optuna.load_study(study_name=name, storage=storage).trials
        ]
        for name in optuna.get_all_study_names(storage)
    }  # fmt: skip
    storage.remove_session()
    return found


def metrics_of(directory):
    """What the store keeps: the points of the newest attempt, which reports all of them."""
    kept = {}
    for line in (directory / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["kind"] == "started":
            assert event["resume_step"] is None
            kept = {}
        elif event["kind"] == "metrics":
            kept |= {(event["step"], name): value for name, value in event["values"].items()}
    return kept


@pytest.fixture(scope="module")
def undisturbed(planted, kill_at, tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed") / "job"
    assert kill_at(directory, "steering", small(planted)) == 0
    return directory


PLACES = (
    *("batch 2", "before baseline.jsonl", "before screen.items.jsonl", "suggest 2", "after ask 1"),
    *(
        "before trials/mean_difference/batches/0.json",
        "suggest 1",
        "append 2",
        "before tell 1",
        "after tell 1",
    ),
    *("append 3", "before trials/mean_difference/5/items.jsonl", "before tell 2"),
    *("before trials/random-0/0/result.json", "before confirm.items.jsonl", "before test.jsonl"),
    "after stats.json",
)


@pytest.mark.slow
def test_a_search_that_is_killed_again_and_again_comes_to_the_same_end(
    planted, undisturbed, kill_at, tmp_path
):
    directory = tmp_path / "job"
    for place in PLACES:
        assert kill_at(directory, "steering", small(planted), place) == -signal.SIGKILL, place
    assert kill_at(directory, "steering", small(planted)) == 0
    assert trials_of(directory) == trials_of(undisturbed)
    ours, theirs = files_of(directory), files_of(undisturbed)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert metrics_of(directory) == metrics_of(undisturbed)


def unsearched(directory):
    """Takes the search out of a finished run, so that it is what a job has before it."""
    shutil.rmtree(directory / "trials")
    shutil.rmtree(directory / "leases")
    for path in directory.glob("optuna.db*"):
        path.unlink()
    return directory


WORKER = """
import os, signal, sys, time
from pathlib import Path
from engines.steer import stages, trials, worker

directory, dies = Path(sys.argv[1]), sys.argv[2] == "dies"
race, search, races = trials.race, stages.search, []

def noted(subject, examples, unsteered, runners, on_batch):
    with (directory / "evaluated.txt").open("a") as file:
        file.write("".join(f"{os.getpid()} {runner.path}\\n" for runner in runners))
    races.append(1)
    def on_batch_or_end():
        if dies and len(races) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        on_batch()
    return race(subject, examples, unsteered, runners, on_batch_or_end)

def together(*arguments):
    (directory / f"ready-{os.getpid()}").touch()
    until = time.monotonic() + 60
    while len(list(directory.glob("ready-*"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    search(*arguments)

trials.race, stages.search = noted, together
sys.exit(worker.main(directory))
"""


def test_two_processes_never_evaluate_the_same_trial_and_one_goes_on_for_a_dead_one(
    planted, undisturbed, tmp_path
):
    """The first is killed in its second batch."""
    job, directory = small(planted), unsearched(shutil.copytree(undisturbed, tmp_path / "job"))
    told = {"recipe": job.model_dump(mode="json", by_alias=True), "cache": None, "inputs": {}, "name": "job"}
    (directory / "worker.json").write_text(json.dumps({**told, "parent": os.getpid()}))
    command = [sys.executable, "-P", "-c", WORKER, str(directory)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    processes = [subprocess.Popen([*command, how], env=environment) for how in ("dies", "lives")]
    assert [process.wait(timeout=200) for process in processes] == [-signal.SIGKILL, 0]
    for found in trials_of(directory).values():
        own = [one for one in found if "sibling_of" not in one[5]]
        assert len(own) == 7 and {one[1] for one in found} <= {"COMPLETE", "PRUNED"}
        siblings = [str(one[5]["sibling_of"]) for one in found if "sibling_of" in one[5]]
        assert len(siblings) == len(set(siblings)) >= 4
    lines = [line.split() for line in (directory / "evaluated.txt").read_text().splitlines()]
    dead, alive = (str(process.pid) for process in processes)
    batches = {path: [pid for pid, other in lines if other == path] for _, path in lines}
    twice = {path: pids for path, pids in batches.items() if len(pids) > 1}
    assert all(pids == [dead, alive] for pids in twice.values())
    # All that was done twice is of the one batch that the dead one had begun.
    assert 1 <= len({Path(path).parent for path in twice}) <= 3
    assert [dead] in batches.values() and [alive] in batches.values()
    assert not list(directory.glob("trials/**/*.journal"))


def test_a_helper_is_started_and_the_search_ends_as_it_would_without_errors(
    planted, undisturbed, tmp_path, read_events
):
    directory = unsearched(shutil.copytree(undisturbed, tmp_path / "job"))
    for name in ("confirm.items.jsonl", "test.jsonl", "test_lock.json", "side_effects.json"):
        (directory / name).unlink()
    shutil.rmtree(directory / "rivals")
    attempt = executed(small(planted, workers=2), directory)
    assert all(len(found) >= 7 for found in trials_of(attempt.dir).values())
    messages = [event for event in read_events(attempt) if event["kind"] == "message"]
    assert not [event for event in messages if event["level"] == "warning"]
    assert "Traceback" not in (attempt.dir / "helpers.log").read_text()


def test_a_stop_request_is_heeded_and_the_next_attempt_goes_on(planted, undisturbed, tmp_path, monkeypatch):
    directory = tmp_path / "job"
    directory.mkdir()
    attempt = Run(dir=directory, events=EventWriter(directory), seed=3, name="job")
    real = EventWriter.metrics

    def stopping(self, *arguments):
        real(self, *arguments)
        attempt.stop_requested = True

    monkeypatch.setattr(EventWriter, "metrics", stopping)
    run(small(planted), attempt)
    assert attempt.stopped_early and not (directory / "stats.json").exists()
    monkeypatch.undo()
    attempt.stop_requested = attempt.stopped_early = False
    run(small(planted), attempt)
    assert not attempt.stopped_early and trials_of(directory) == trials_of(undisturbed)


@pytest.mark.slow
def test_without_drafts_the_search_leaves_the_same_files(planted, undisturbed, tmp_path, monkeypatch):
    """And with them, drafts are read in every part of it."""
    seen = []
    verify = DraftingDecoder._verify

    def counted(self, rows, drafts, *arguments):
        seen.append({row.request.prompt for row, draft in zip(rows, drafts, strict=True) if draft})
        return verify(self, rows, drafts, *arguments)

    monkeypatch.setattr(DraftingDecoder, "_verify", counted)
    attempt = executed(small(planted, drafts=False), tmp_path / "job")
    assert not seen
    ours, theirs = files_of(attempt.dir), files_of(undisturbed)
    told = ["config_job.json", "manifest.json"]  # which have the recipe
    assert sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)) == told
    assert trials_of(attempt.dir) == trials_of(undisturbed)
    for name in ("screen.items.jsonl", "confirm.items.jsonl"):
        (attempt.dir / name).unlink()
    executed(small(planted), unsearched(attempt.dir))
    assert files_of(attempt.dir) == theirs and trials_of(attempt.dir) == trials_of(undisturbed)
    assert len(set().union(*seen)) > 6 + 20, "those of the search, beside those of screen and confirmation"


def test_bfloat16_has_no_drafts_and_says_so(tiny_model, make_run, read_events):
    from engines.steer.subject import open_subject

    model = {"base": str(tiny_model), "dtype": "bfloat16"}
    attempt = make_run()
    subject = open_subject(gsm8k_recipe(tiny_model, model=model), attempt)
    assert type(subject.generator) is SteeredGenerator
    texts = [event["text"] for event in read_events(attempt) if event["kind"] == "message"]
    assert any("`drafts` are not used" in text and "bfloat16" in text for text in texts)


def gsm8k_recipe(tiny_model, path=GSM8K, **fields):
    """A search as small as one can be."""
    body = {
        "engine": "steering",
        "model": {"base": str(tiny_model)},
        "task": {"name": "gsm8k", "path": str(path)},
        "max_new_tokens": 8,
        "vectors": {
            "pairs": "P1",
            "read": "cot_mean",
            "on_leak": "warn",
            "methods": ["mean_difference", "pca"],
        },
        "splits": {"vectors": 24, "screen": 4, "search": 20, "confirm": 12, "test": 12},
        "search": {
            **{"trials": 2, "batch_configs": 2, "ladder": [0.1], "startup": 1, "screen_layers": 1},
            "kinds": ["constant", "dac"],
        },
        "controls": {"random": 1, "random_in_pca": 0, "shuffled": 0},
        "heatmap_texts": 3,
        "device": "cpu",
    }
    return Recipe.model_validate({**body, **fields})


def test_the_direction_without_length_is_searched_where_texts_differ_in_it(tiny_model, sums, tmp_path):
    """Behind a blank, some numbers are one token of the tiny tokenizer, and others of as many digits are two."""
    fields = {
        "task": {"name": "gsm8k", "path": str(sums), "dev_examples": 6},
        "prompt": {"solution_start": "<SOLUTION> "},
        "vectors": {"pairs": "P0", "on_leak": "warn"},
        "splits": {"vectors": 30, "screen": 4, "search": 10, "confirm": 10, "test": 6, "decontaminate": None},
        "search": {"trials": 2, "layers": [1, 2], "ladder": [0.1], "startup": 1, "screen_layers": 1},
        "controls": {"random": 0, "random_in_pca": 0, "shuffled": 0},
        "gates": False,
    }
    attempt = executed(gsm8k_recipe(tiny_model, **fields), tmp_path / "job")
    assert set(trials_of(attempt.dir)) == {"mean_difference", "without_length"}
    vectors = read(attempt.dir / "vectors.json")
    assert vectors["directions"]["without_length"]["role"] == "rival"
    assert all(0 < abs(cosine) < 1 for cosine in vectors["length_cosine"].values())
    controls = read(attempt.dir / "controls.json")
    assert controls["null_best_gains"] == [] and "without_length" in controls["rivals"]


@pytest.mark.skipif(not GSM8K.is_dir(), reason="the GSM8K files are not here")
def test_the_whole_search_runs_on_the_real_gsm8k_with_a_random_model(tiny_model, tmp_path):
    attempt = executed(gsm8k_recipe(tiny_model), tmp_path / "job")
    assert len(trials_of(attempt.dir)) == 6
    splits = read(attempt.dir / "splits.json")["result"]
    ids = [splits[name]["ids"] for name in ("vectors", "screen", "search", "confirm")]
    assert [len(part) for part in ids] == [24, 4, 20, 12] and len({id_ for part in ids for id_ in part}) == 60
    assert len(read(attempt.dir / "gates.json")) == 10
    assert "Steering" in (attempt.dir / "steer_card.md").read_text()
