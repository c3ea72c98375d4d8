"""What a report holds: points, costs, verdicts, rounds, and what is missing."""

import dataclasses
import random
from typing import Any

import pytest

from cockpit.report import contents
from cockpit.report.contents import Report, build
from cockpit.report.evaluations import method_and_cell
from cockpit.report.points import Point
from cockpit.report.verdicts import Verdict, decompose
from engines.statistics.crossed import mean_over, paired
from engines.statistics.intervals import holm
from store.database import Database, StoreError
from store.lifecycle import NewJob
from store.schema import Status


def point(report: Report, label: str) -> Point:
    return next(p for p in report.points if p.label == label)


def verdict(verdicts: list[Verdict], label: str, grader: str = "strict") -> Verdict:
    return next(v for v in verdicts if v.point.label == label and v.grader == grader)


def notes(report: Report) -> str:
    return "\n".join(report.notes)


def test_a_sweep_becomes_a_series_a_method_and_reference_lines(swept: Database) -> None:
    report = build(swept, "sweep")

    assert [p.label for p in report.references] == ["base", "prep"]
    assert {name: [p.samples for p in points] for name, points in report.series.items()} == {
        "full": [64, 128, 256],
        "other": [64, 128, 256],
    }
    assert all(list(p.models) == [1, 2, 3] for points in report.series.values() for p in points)
    assert report.notes == []


def test_accuracy_is_the_mean_over_seeds_and_questions(swept: Database) -> None:
    found = point(build(swept, "sweep"), "full 128")
    rows = [e.shares["robust"] for e in found.models.values()]

    assert found.accuracy["robust"] == mean_over(rows)
    assert found.accuracy["robust"].value == pytest.approx(sum(map(sum, rows)) / 600)
    assert found.format_gap == pytest.approx(found.accuracy["robust"].value - found.accuracy["strict"].value)


def test_costs_are_those_of_the_training_job_and_make_the_axes(swept: Database) -> None:
    report = build(swept, "sweep")

    assert report.axes == ["samples", "generated_tokens", "trained_tokens", "seconds"]
    assert point(report, "other 128").costs == {
        "prompts": 128, "completions": 512, "generated_tokens": 12800, "trained_tokens": 6400, "steps": 32, "seconds": 64,
    }  # fmt: skip
    assert [p.position("seconds") for p in report.placed("seconds")["full"]] == [32, 64, 128]


def test_training_on_traces_costs_what_the_traces_cost_too(database: Database, lab: Any) -> None:
    recipe: dict[str, Any] = {"seed": 1, "train_samples": 8, "model": {"from": "prep"}}
    mine = lab.enqueue(
        "chain",
        NewJob("prep", "sft", {"seed": 1, "stage": "prep", "model": {"base": "pocket"}}),
        NewJob("grpo", "grpo", recipe, (("prep", "prep"),)),
        NewJob("traces", "traces", {"seed": 1, "model": {"from": "grpo"}}, (("grpo", "grpo"),)),
        NewJob(
            "on_traces",
            "sft",
            recipe | {"traces": {"from": "traces"}},
            (("prep", "prep"), ("traces", "traces")),
        ),
        *(
            NewJob(f"{name}/eval", "eval", {"model": {"from": name}}, ((name, name),))
            for name in ("prep", "grpo", "on_traces")
        ),
    )
    seconds = {"prep": 1000, "grpo": 100, "traces": 10, "on_traces": 1}
    for job in mine:
        if job.engine == "eval":
            lab.evaluate(job, [True, False] * 20)
        else:
            made = 50 if job.name in ("grpo", "traces") else 0
            lab.spend(job, seconds=seconds[job.name], generated_tokens=made, prompts=8)
        lab.end(job)
    report = build(database, "chain")

    assert point(report, "grpo 8").costs == {"seconds": 100, "generated_tokens": 50, "prompts": 8}
    assert point(report, "on_traces 8").costs == {"seconds": 111, "generated_tokens": 100, "prompts": 8}
    assert [p.label for p in report.references] == ["prep"]
    assert {v.point.label for v in report.between_methods} == {"on_traces 8"}


def test_verdicts_pair_each_seed_with_the_model_it_was_trained_from(swept: Database) -> None:
    report = build(swept, "sweep")
    prep = point(report, "prep").models[42].shares["strict"]
    rows = [e.shares["strict"] for e in point(report, "full 256").models.values()]
    found = verdict(report.against_references, "full 256")

    assert (found.against, found.text) == ("prep", "better")
    assert found.difference == paired([prep] * 3, rows)
    assert verdict(report.against_references, "prep").against == "base"
    assert not [v for v in report.against_references if v.point.label == "base"]


def test_methods_are_compared_at_equal_budgets_only(swept: Database) -> None:
    report = build(swept, "sweep")
    pairs = [(v.point.label, v.against) for v in report.between_methods if v.grader == "strict"]

    assert pairs == [("other 64", "full 64"), ("other 128", "full 128"), ("other 256", "full 256")]
    assert verdict(report.between_methods, "other 256").text == "worse"


def test_p_values_are_adjusted_within_a_table_and_a_grader(swept: Database) -> None:
    table = [v for v in build(swept, "sweep").against_references if v.grader == "robust"]

    assert len(table) == 7
    assert [v.p_adjusted for v in table] == holm([v.difference.p for v in table if v.difference])


def test_no_difference_says_what_could_have_been_seen(database: Database, lab: Any) -> None:
    mine = lab.submit("name: x\njobs:\n  a: {engine: eval, model: {base: pocket}, task: pocket-math}\n"
                      "  b: {engine: sft, model: {base: pocket}, task: pocket-math, train_samples: 8, eval: true}\n")  # fmt: skip
    generator = random.Random(1)
    right = [generator.random() < 0.5 for _ in range(400)]
    swapped = [not bit if index % 20 == 0 else bit for index, bit in enumerate(right)]
    lab.evaluate(mine[0], right)
    lab.end(mine[0])
    lab.end(mine[1])
    lab.evaluate(mine[2], swapped)
    lab.end(mine[2])
    found = verdict(build(database, "x").against_references, "b 8")

    assert found.text == "no difference shown"
    assert found.difference is not None
    assert 0.02 < found.difference.resolvable < 0.06
    assert f"A true difference of {100 * found.difference.resolvable:.1f} pp would show" in found.sentence


def test_a_difference_that_only_the_adjustment_takes_away_is_told_apart(swept: Database) -> None:
    found = verdict(build(swept, "sweep").against_references, "full 128")
    assert found.difference is not None
    shaky = dataclasses.replace(
        found, p_adjusted=0.08, difference=dataclasses.replace(found.difference, p=0.02)
    )

    assert shaky.text == "no difference shown"
    assert "It would count by itself (p = 0.020), but not among so many." in shaky.sentence


def test_a_seed_that_failed_is_left_out_of_both_sides_and_said(
    database: Database, lab: Any, finished_sweep: Any
) -> None:
    mine = finished_sweep(skip=lambda job: job.name.startswith("full[train_samples=64,seed=2]"))
    failed = next(job for job in mine if job.name == "full[train_samples=64,seed=2]")
    lab.end(failed, Status.FAILED, "exit code 1")
    report = build(database, "sweep")

    assert list(point(report, "full 64").models) == [1, 3]
    assert f"job {failed.id} (full[train_samples=64,seed=2]) is failed: exit code 1" in notes(report)
    found = verdict(report.between_methods, "other 64")
    assert found.difference is not None
    assert (found.difference.seeds, found.left_out) == (2, 1)


def test_methods_without_a_common_seed_are_not_compared(database: Database, finished_sweep: Any) -> None:
    finished_sweep(skip=lambda job: ("full" in job.name) == ("seed=3" in job.name) and "seed" in job.name)
    found = verdict(build(database, "sweep").between_methods, "other 64")

    assert found.text == "not comparable: they have no seed in common"
    assert found.sentence.endswith("they have no seed in common.")


def test_evaluations_under_another_protocol_are_left_out_and_named(
    database: Database, lab: Any, finished_sweep: Any
) -> None:
    mine = finished_sweep(skip=lambda job: job.name == "other[train_samples=64,seed=1]/eval")
    odd = next(job for job in mine if job.name == "other[train_samples=64,seed=1]/eval")
    lab.evaluate(odd, [True] * 200, protocol=lab.protocol | {"grading": 0})
    lab.end(odd)
    report = build(database, "sweep")

    assert list(point(report, "other 64").models) == [2, 3]
    assert f"left out job {odd.id} ({odd.name}): the version of the graders differs" in notes(report)
    assert "`tunedeck regrade`" in notes(report)


def test_a_question_that_a_grader_failed_on_in_one_evaluation_is_left_out_of_all(
    database: Database, lab: Any, finished_sweep: Any
) -> None:
    name = "other[train_samples=64,seed=1]/eval"
    mine = finished_sweep(skip=lambda job: job.name == name)
    broken = next(job for job in mine if job.name == name)
    lab.evaluate(broken, [True] * 198)
    lab.report(broken, lab.score("grader_errors", 0.01))
    lab.end(broken)
    report = build(database, "sweep")

    assert list(point(report, "other 64").models) == [1, 2, 3] and point(report, "other 64").n == 198
    assert f"left out 2 of 200 questions everywhere: a grader failed on them in job {broken.id}" in notes(
        report
    )


def test_an_evaluation_of_other_questions_is_left_out(
    database: Database, lab: Any, finished_sweep: Any
) -> None:
    mine = finished_sweep(skip=lambda job: job.name == "base")
    lab.evaluate(mine[0], [True] * 150)
    report = build(database, "sweep")

    assert [p.label for p in report.references] == ["prep"]
    assert f"left out job {mine[0].id} (base): it answered other questions (150 in common)" in notes(report)


def test_what_a_model_was_trained_from_is_found_past_those_that_were_not_evaluated(
    database: Database, finished_sweep: Any
) -> None:
    finished_sweep(skip=lambda job: job.name == "prep/eval")

    assert verdict(build(database, "sweep").against_references, "full 64").against == "base"


def test_a_prep_of_its_own_for_each_seed_is_paired_with_that_seed(database: Database, lab: Any) -> None:
    mine = lab.submit("""
name: chained
defaults: {model: {base: pocket}, task: pocket-math}
jobs:
  prep: {engine: sft, stage: prep, eval: true, matrix: {seed: [1, 2]}}
  full: {engine: sft, model: {from: prep}, eval: true, matrix: {train_samples: [8, 16], seed: [1, 2]}}
""")
    right = {"prep[seed=1]": [True, False] * 30, "prep[seed=2]": [False, True] * 30}
    for job in mine:
        if job.name.endswith("/eval"):
            trained = job.name.removesuffix("/eval")
            seed = trained[-2]
            # Each goes on from its own prep, and gets the first ten questions right.
            lab.evaluate(job, right.get(trained) or [True] * 10 + right[f"prep[seed={seed}]"][10:])
        lab.end(job)
    found = verdict(build(database, "chained").against_references, "full 16")
    assert found.difference is not None

    assert found.against == "prep"
    assert found.difference.value == pytest.approx(5 / 60)
    assert (found.difference.wins, found.difference.losses) == (10, 0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_models_that_all_answer_alike_make_no_certainty(database: Database, lab: Any, share: float) -> None:
    for job in lab.sweep(budgets=[8], seeds=[1, 2, 3]):
        if job.engine == "eval":
            lab.evaluate(job, [bool(share)] * 50)
        lab.end(job)
    report = build(database, "sweep")
    mean = point(report, "full 8").accuracy["strict"]

    assert mean.value == share
    assert mean.high - mean.low > 0.05
    assert {v.text for v in (*report.against_references, *report.between_methods)} == {"no difference shown"}
    for v in report.between_methods:
        assert v.difference is not None
        assert v.difference.low < 0 < v.difference.high
        assert v.difference.resolvable > 0.01
        assert v.decomposition == decompose((share, share), (share, share))


def test_an_experiment_in_the_middle_of_its_work_is_reported_as_far_as_it_is(
    database: Database, lab: Any
) -> None:
    mine = lab.sweep()
    report = build(database, "sweep")
    assert report.points == []
    assert "nothing has been evaluated yet" in notes(report)
    assert "job 1 (base) waits, and so do" in notes(report)
    lab.evaluate(mine[0], [True, False] * 20)
    report = build(database, "sweep")

    assert [p.label for p in report.points] == ["base"]
    assert report.against_references == report.between_methods == []
    assert report.axes == []


def test_an_experiment_that_does_not_exist_is_refused(database: Database) -> None:
    with pytest.raises(StoreError, match="experiment `none`: there is no such experiment\nhint"):
        build(database, "none")


def test_costs_that_only_some_report_are_said(database: Database, lab: Any) -> None:
    for job in lab.sweep(budgets=[8], seeds=[1]):
        if job.engine == "eval":
            lab.evaluate(job, [True, False] * 20)
        elif "full" in job.name:
            lab.spend(job, generated_tokens=0, seconds=4)
        lab.end(job)
    report = build(database, "sweep")

    assert report.axes == ["samples", "generated_tokens", "seconds"]
    assert "no plot against trained tokens: no job reports them" in report.notes
    assert "not in the plot against seconds of training, which they do not report: other 8" in report.notes


def test_a_matrix_over_more_than_seeds_and_budgets_makes_more_series(database: Database, lab: Any) -> None:
    mine = lab.submit("""
name: rates
defaults: {model: {base: pocket}, task: pocket-math}
jobs:
  full: {engine: sft, eval: true, matrix: {learning_rate: [0.001, 0.01], train_samples: [8, 16], seed: [1, 2]}}
""")
    for job in mine:
        if job.engine == "eval":
            lab.evaluate(job, [True, False] * 20)
        lab.end(job)
    report = build(database, "rates")

    assert list(report.series) == ["full[learning_rate=0.001]", "full[learning_rate=0.01]"]
    assert len(report.between_methods) == 4


def test_the_newest_experiment_of_a_name_is_meant(database: Database, finished_sweep: Any, lab: Any) -> None:
    finished_sweep()
    lab.sweep()

    assert build(database, "sweep").points == []
    assert len(build(database, "1").points) == 8


ROUND = {"n": 100, "low": 0.1, "high": 0.9}


def tpt_scores(score: Any) -> list[dict[str, Any]]:
    said = []
    for number, (strict, robust) in enumerate([(0.42, 0.63), (0.50, 0.64), (0.60, 0.66)]):
        against = {"difference": strict - 0.42, "low": 0.02, "high": 0.1, "wins": 12, "losses": 4, "n": 100}
        p = {"strict": 0.001, "robust": 0.4}
        for name, value in (("strict", strict), ("robust", robust)):
            more = {"against_base": against | {"p": p[name]}} if number else {}
            said.append(score(f"r{number}/{name}", value, **ROUND, **more))
        for k in (1, 2, 4, 8):
            said.append(score(f"r{number}/pass@{k}", robust + 0.02 * k, **ROUND))
            said.append(score(f"r{number}/maj@{k}", robust + 0.01 * k, **ROUND))
        said.append(score(f"r{number}/avg@8", robust, **ROUND))
        said.append(score(f"r{number}/yield", 0.7))
    return said


def test_the_rounds_of_a_tpt_job_are_a_table_with_verdicts(database: Database, lab: Any) -> None:
    (job,) = lab.enqueue("loop", NewJob("tpt", "tpt", {"seed": 1, "model": {"base": "pocket"}}))
    lab.report(job, *tpt_scores(lab.score))
    lab.evaluate(job, [True, False] * 50)
    lab.end(job)
    report = build(database, "loop")
    (found,) = report.rounds

    assert [r.number for r in found.rounds] == [0, 1, 2]
    assert [r.value("strict") for r in found.rounds] == [0.42, 0.5, 0.6]
    assert found.rounds[2].format_gap == pytest.approx(0.06)
    assert found.sampled == [
        "avg@8",
        "pass@1",
        "pass@2",
        "pass@4",
        "pass@8",
        "maj@1",
        "maj@2",
        "maj@4",
        "maj@8",
    ]
    assert [r.verdicts for r in found.rounds] == [
        {},
        {"strict": "better", "robust": "no difference shown"},
        {"strict": "better", "robust": "no difference shown"},
    ]
    assert [p.label for p in report.points] == ["tpt"]


def test_traces_show_the_figures_of_their_job(database: Database, lab: Any) -> None:
    (job,) = lab.enqueue("t", NewJob("collect", "traces", {}))
    lab.report(job, lab.score("grpo_successes", 17), lab.score("budget/seconds", 4))
    report = build(database, "t")

    assert [(found.id, figures) for found, figures in report.traces] == [(job.id, {"grpo_successes": 17})]


@pytest.mark.parametrize(
    ("before", "after"),
    [((0.2, 0.5), (0.6, 0.7)), ((0.1, 0.2), (0.2, 0.4)), ((0.0, 0.6), (0.6, 0.6)), ((0.0, 0.0), (0.3, 0.4)), ((0.3, 0.4), (0.0, 0.0)), ((0, 0), (0, 0))],
)  # fmt: skip
def test_the_parts_of_a_difference_add_up(before: tuple[float, float], after: tuple[float, float]) -> None:
    parts = decompose(before, after)
    back = decompose(after, before)

    assert (
        parts.correctness + parts.format == pytest.approx(parts.strict) == pytest.approx(after[0] - before[0])
    )
    assert (back.correctness, back.format) == (
        pytest.approx(-parts.correctness),
        pytest.approx(-parts.format),
    )


def test_twice_the_right_answers_in_the_same_format_are_all_correctness() -> None:
    parts = decompose((0.1, 0.2), (0.2, 0.4))

    assert (parts.correctness, parts.format) == (pytest.approx(0.1), pytest.approx(0.0))


def test_the_same_answers_in_the_asked_for_format_are_all_format() -> None:
    parts = decompose((0.0, 0.6), (0.6, 0.6))

    assert (parts.correctness, parts.format) == (pytest.approx(0.0), pytest.approx(0.6))


def test_names_are_taken_apart() -> None:
    assert method_and_cell("full[train_samples=256,seed=1]/eval") == (
        "full",
        {"train_samples": "256", "seed": "1"},
    )
    assert method_and_cell("x[words=a,b,lora.r=8]") == ("x", {"words": "a,b", "lora.r": "8"})
    assert method_and_cell("prep/eval") == ("prep", {})


def test_the_json_holds_all_of_it(swept: Database) -> None:
    said = contents.as_json(build(swept, "sweep"))
    first = said["points"][2]

    assert (first["label"], first["samples"], sorted(first["jobs"])) == ("full 64", 64.0, ["1", "2", "3"])
    assert first["accuracy"]["robust"]["low"] < first["accuracy"]["robust"]["value"]
    assert said["between_methods"][0]["difference"]["p"] < 0.05
    assert set(said["between_methods"][0]["decomposition"]) == {"strict", "correctness", "format"}


def test_seeds_that_differ_among_themselves_are_told_from_models_that_do_not(swept: Database) -> None:
    found = verdict(build(swept, "sweep").against_references, "full 128")
    assert found.difference is not None
    wide = dataclasses.replace(found.difference, p=0.4, of_these=(0.18, 0.26, 1e-9))
    unsure = dataclasses.replace(found, p_adjusted=0.8, difference=wide)

    assert unsure.text == "no difference shown"
    assert (
        "The models of these 3 seeds do differ (95 % +18.0 to +26.0 over questions alone" in unsure.sentence
    )
    assert unsure.sentence.endswith("p < 0.0001 by itself); those of other seeds may not.")
