"""The files and scores that a search leaves: under the names of the programs that it replaces, and as an evaluation."""

import json
from dataclasses import asdict
from typing import Any

from engines.run import write_whole
from engines.steer.card import card
from engines.steer.confirm import Confirmed
from engines.steer.directions import Steering
from engines.steer.export import leave_exports, save_steering
from engines.steer.heatmap import Cell, layers_to_screen, steering_fields
from engines.steer.items import Item
from engines.steer.journal import hash_of, write_json
from engines.steer.sources import FILE as VECTORS
from engines.steer.sources import Sources
from engines.steer.studies import copy_database
from engines.steer.subject import Subject
from engines.steer.verdict import Outcome, as_record, controls, statistics, write_trials
from engines.tasks.grading import GRADERS
from engines.tasks.protocol import protocol
from engines.tasks.summary import summarize

VECTOR = "vector.safetensors"


def leave_results(
    subject: Subject, sources: Sources, cells: list[Cell], outcome: Outcome, unsteered: list[Item]
) -> None:
    """Write all files, then say what came out."""
    run, recipe = subject.run, subject.recipe
    steering = winning(subject, sources, cells, outcome.winner)
    save_steering(steering, run.dir / VECTOR)
    stats, nulls = statistics(subject, outcome, unsteered), controls(outcome)
    vectors = json.loads((run.dir / VECTORS).read_text(encoding="utf-8"))
    write_json(run.dir / "stats.json", stats)
    write_json(run.dir / "controls.json", nulls)
    write_whole(run.dir / "steer_card.md", card(recipe, stats, nulls, vectors))
    stem = run.file_stem
    names = {
        "best_configuration": f"best_configuration_{stem}.json",
        "config": f"config_{stem}.json",
        "final_results": f"final_results_{stem}.json",
        "study_trials": f"study_trials_{stem}.csv",
        "optuna_study": f"optuna_study_{stem}.db",
    }
    write_json(run.dir / names["best_configuration"], as_record(outcome.winner))
    write_json(run.dir / names["config"], recipe.model_dump(mode="json", by_alias=True))
    write_json(run.dir / names["final_results"], _final_results(outcome, stats))
    write_trials(subject, outcome.studies, names["study_trials"])
    outcome.studies[0].study._storage.remove_session()
    copy_database(run, run.dir / names["optuna_study"])
    write_json(run.dir / "manifest.json", _manifest(subject, steering))
    forms = _exports(subject, steering)
    _emit(subject, outcome, stats, nulls)
    files = {
        "vector": VECTOR, "steer_card": "steer_card.md", "heatmap": "heatmap.csv", "gates": "gates.json",
        "stats": "stats.json", "side_effects": "side_effects.json", "controls": "controls.json", "test_lock": "test_lock.json",
        "manifest": "manifest.json", **names, **forms,
    }  # fmt: skip
    for name, path in files.items():
        if (run.dir / path).is_file():
            run.events.emit("artifact", name=name, path=path)


def _exports(subject: Subject, steering: Steering) -> dict[str, str]:
    """`exports/`: what wins, in the forms of other programs."""
    run = subject.run
    if steering.spec.alpha == 0:
        return {}
    forms, notes = leave_exports(steering, run.dir / "exports", subject.model.config.model_type)
    for note in notes:
        run.events.message(f"exports: {note}")
    return {name: str(path.relative_to(run.dir)) for name, path in forms.items()}


def winning(subject: Subject, sources: Sources, cells: list[Cell], winner: Confirmed | None) -> Steering:
    """The winner's steering; where none wins, strength 0 along the first direction at its most promising layer."""
    if winner is not None and winner.finalist.steering is not None:
        return winner.finalist.steering
    name, found = next(iter(sources.found.items()))
    return found.steering(layers_to_screen(cells, name, 1), 0.0, **steering_fields(subject))


def _final_results(outcome: Outcome, stats: dict[str, Any]) -> dict[str, Any]:
    scores = {
        name: {one.name: {"value": one.value, **one.fields} for one in summarize(rows)}
        for name, rows in outcome.final.rows.items()
    }
    shown = {name: stats[name] for name in ("winner", "test", "side_effects")}
    return {**shown, "scores": scores}


def _manifest(subject: Subject, steering: Steering) -> dict[str, Any]:
    """What was worked on, as hashes, and what was found."""
    return {
        "recipe": hash_of(subject.recipe.model_dump(mode="json", by_alias=True)),
        "seed": subject.run.seed,
        "splits": subject.splits.record(),
        "steering": steering.key,
        "spec": steering.spec.model_dump(mode="json"),
        **subject.asked,
    }


def _emit(subject: Subject, outcome: Outcome, stats: dict[str, Any], nulls: dict[str, Any]) -> None:
    """Scores as those of an evaluation of the steered model, so that it can be set beside one of the unsteered."""
    emit, recipe, final = subject.run.events.emit, subject.recipe, outcome.final
    asked = protocol(recipe.task, "test", final.examples, recipe.prompt, recipe.greedy)
    for row in final.rows["winner"]:
        emit("example", key=row.key, fields=asdict(row))
    for score in summarize(final.rows["winner"]):
        fields = score.fields | ({"protocol": asked} if score.name in GRADERS else {})
        emit("score", name=score.name, value=score.value, fields=fields)
    for name in ("baseline", "control"):
        for score in summarize(final.rows[name]) if name in final.rows else ():
            if score.name in GRADERS:
                emit("score", name=f"{name}/{score.name}", value=score.value, fields=score.fields)
    for name, comparison in final.comparisons.items():
        _emit_gain(subject, f"test/{name}_gain", comparison.record())
    for name, found in outcome.effects.items():
        if found["perplexity"] is not None:
            fields = {key: found[key] for key in ("nats_change", "texts", "plain_tokens")}
            emit("score", name=f"perplexity/{name}", value=found["perplexity"], fields=fields)
    winner = outcome.winner
    emit("score", name="steering/alpha", value=winner.finalist.params["alpha"] if winner else 0.0, fields={})
    if winner is not None:
        emit("score", name="steering/layer", value=winner.finalist.params["layer"], fields={})
        emit("score", name="search/gain_selected", value=winner.finalist.searched, fields={})
        _emit_gain(subject, "confirm/gain", winner.comparison.record())
    if best := stats["search"].get("best"):
        emit("score", name="search/corrected_p", value=best["corrected_p"], fields={})
    for number, gain in enumerate(nulls["null_best_gains"]):
        emit("score", name=f"controls/{number}/gain_selected", value=gain, fields={})
    for kind, found in (("controls", nulls["confirmed"]), ("rivals", nulls["rivals"])):
        for name, record in found.items():
            _emit_gain(subject, f"{kind}/{name}_gain", record)
    subject.run.events.message(_sentence(outcome))


def _emit_gain(subject: Subject, name: str, found: dict[str, Any]) -> None:
    fields = {key: found[key] for key in ("n", "low", "high", "p", "fixed", "broken")}
    subject.run.events.emit("score", name=name, value=found["gain"], fields=fields)


def _sentence(outcome: Outcome) -> str:
    if outcome.winner is None:
        return "no steering wins: no configuration surely gained anything on the confirm questions"
    one, test = outcome.winner.finalist, outcome.final.comparisons["winner"]
    return (
        f"{one.study} at layer {one.params['layer']} with strength {one.params['alpha']:.3g} wins: on the test "
        f"{test.gain:+.1%} (95 %: {test.low:+.1%} to {test.high:+.1%}), {test.fixed} fixed and {test.broken} broken"
    )
