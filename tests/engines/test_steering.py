"""The whole search, on models of which the truth is known and on a tiny one that is killed."""

import csv
import json
from pathlib import Path

import optuna
import pytest

from engines.events import EventWriter
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.steer.export import load_steering
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
        "batch_size": 512,
        "heatmap_texts": 16,
        "splits": {"vectors": 100, "screen": 20, "search": 60, "confirm": 80, "decontaminate": None},
        "search": {
            "trials": 12,
            "batch_configs": 4,
            "alphas": {"low": -0.15, "high": 0.15},
            "ladder": [0.02, 0.05, 0.1],
            "screen_layers": 2,
            "startup": 4,
        },
        "controls": {"random": 1, "shuffled": 1},
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
    assert len(rows) == 3 * planted.LAYERS * 6


def test_every_null_control_stays_at_chance(searched):
    controls = read(searched.dir / "controls.json")
    assert len(controls["null_best_gains"]) == 2 and controls["p"] == pytest.approx(1 / 3)
    for found in controls["confirmed"].values():
        assert found["sure_gain"] <= 0 and found["accuracy"] < 0.75
    stats = read(searched.dir / "stats.json")
    assert stats["test"]["control"]["accuracy"] < 0.75
    assert stats["search"]["best"]["corrected_p"] < 0.01


def test_all_files_are_there_and_the_scores_are_those_of_an_evaluation(searched, read_events):
    names = (
        *("best_configuration_job.json", "config_job.json", "final_results_job.json", "study_trials_job.csv"),
        *("optuna_study_job.db", "optuna.db", "manifest.json", "gates.json", "baseline.jsonl", "heatmap.csv"),
        *("controls.json", "stats.json", "vector.safetensors", "test_lock.json", "steer_card.md", "splits.json"),
        *("trials/mean_difference/0/items.jsonl", "trials/mean_difference/sampler.pkl"),
    )
    for name in names:
        assert (searched.dir / name).is_file(), name
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
    assert len(steps) == 3 * 12 and steps[0]["values"]["mean_difference/alpha"] == 0.0


def test_a_study_can_be_opened_in_optuna_and_holds_strength_zero(searched):
    storage = f"sqlite:///{searched.dir / 'optuna_study_job.db'}"
    names = optuna.get_all_study_names(storage)
    assert sorted(names) == ["mean_difference", "random-0", "shuffled-0"]
    study = optuna.load_study(study_name="mean_difference", storage=storage)
    assert len(study.trials) == 12
    first = study.trials[0]
    assert first.params["alpha"] == 0 and first.value == 0 and set(first.constraints) == {
        "truncation", "repetition", "length",
    }  # fmt: skip
    pruned = [trial for trial in study.trials if trial.state.name == "PRUNED"]
    assert pruned and all(trial.user_attrs["answers"]["n"] < 60 for trial in pruned)


def test_without_an_effect_strength_zero_wins_and_the_report_says_so(planted, tmp_path, read_events):
    """Steering before block 3 comes to nothing in the planted model."""
    quick = {"controls": {"random": 1, "shuffled": 0}, "gates": False}
    search = {**planted_recipe(planted).search.model_dump(), "layers": [1, 2]}
    attempt = executed(planted_recipe(planted, search=search, **quick), tmp_path / "job")
    assert read(attempt.dir / "best_configuration_job.json")["alpha"] == 0
    assert "**No steering wins.**" in (attempt.dir / "steer_card.md").read_text()
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
    splits = {**planted_recipe(planted).splits.model_dump(), "test": 50}
    with pytest.raises(RecipeError, match="tested something else already \\(data differ\\)"):
        run(planted_recipe(planted, splits=splits), searched)
    assert resume_step(searched) is None
