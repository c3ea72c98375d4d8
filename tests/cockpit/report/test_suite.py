"""The comparison of a suite's arms: a planted difference is found, none is not flagged, and recommendations cite numbers."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from click.testing import CliRunner

from cockpit.cli.report import report
from cockpit.report.contents import build
from cockpit.report.evaluations import Evaluation
from cockpit.report.points import Point
from cockpit.report.suite import compare_arms
from cockpit.report.suite_json import suite_json
from cockpit.report.suite_words import recommendations
from engines.statistics.macro import macro_difference, macro_mean, macro_weights
from store.database import Database

DOMAINS = {"math_a": "math", "math_b": "math", "code_a": "code", "logic_a": "logic", "tab_a": "tabular"}
Share = Callable[[str], float]


def _arms(
    draw: random.Random, shares: Sequence[Share], seeds: int, questions: int
) -> tuple[list[Point], list[str]]:
    """Arms whose seeds vary, on questions that differ in difficulty: what real models do."""
    tasks = [task for task in DOMAINS for _ in range(questions // len(DOMAINS))]
    hard = [draw.gauss(0, 0.25) for _ in tasks]
    points = []
    for number, share in enumerate(shares):
        models = {}
        for seed in range(seeds):
            shift = draw.gauss(0, 0.01)
            right = [
                float(draw.random() < min(max(share(task) + shift + rank, 0.02), 0.98))
                for task, rank in zip(tasks, hard, strict=True)
            ]
            job: Any = None
            models[seed] = Evaluation(job, job, {}, (), 1, {"strict": right, "robust": right})
        points.append(Point(f"arm{number}", None, models, {}, {}, False))
    return points, tasks


def test_a_planted_difference_of_five_points_is_recovered() -> None:
    found, covered = 0, 0
    for run in range(20):
        points, tasks = _arms(random.Random(run), [lambda _: 0.4, lambda _: 0.45], seeds=4, questions=1500)
        [effect], _, _ = compare_arms(points[0], points[1:], tasks, DOMAINS)
        found += effect.significant and effect.text == "better"
        covered += effect.difference.low <= 0.05 <= effect.difference.high
    assert found >= 16 and covered >= 18


@pytest.mark.parametrize("seeds", [2, 3])
def test_arms_without_a_difference_are_flagged_in_at_most_one_of_twenty_runs(seeds: int) -> None:
    """The primary question over 200 runs, and the whole family of domains: Holm keeps its level too."""
    flagged = families = 0
    for run in range(200):
        points, tasks = _arms(random.Random(5000 + run), [lambda _: 0.4, lambda _: 0.4], seeds, questions=120)
        [primary], by_domain, _ = compare_arms(points[0], points[1:], tasks, DOMAINS)
        flagged += primary.significant
        families += any(effect.significant for effect in by_domain)
    assert flagged <= 10 and families <= 10


@pytest.mark.slow
def test_two_checkpoints_without_a_difference_are_flagged_no_more_often_than_the_level_says() -> None:
    """One seed: no cushion of degrees of freedom, so the rate is near its 5 % and needs more runs to be seen."""
    flagged = 0
    for run in range(600):
        points, tasks = _arms(random.Random(5000 + run), [lambda _: 0.4, lambda _: 0.4], 1, questions=120)
        tables = [[point.models[0].shares["strict"]] for point in points]
        flagged += macro_difference(*tables, macro_weights(tasks, DOMAINS)).p < 0.05
    assert 10 <= flagged <= 30


def test_a_gain_in_one_domain_is_found_there_and_in_no_other() -> None:
    points, tasks = _arms(
        random.Random(3),
        [lambda _: 0.4, lambda task: 0.7 if task == "code_a" else 0.4],
        seeds=3,
        questions=1500,
    )
    _, by_domain, by_task = compare_arms(points[0], points[1:], tasks, DOMAINS)
    assert [effect.what for effect in by_domain if effect.significant] == ["code"]
    assert [effect.what for effect in by_task if effect.significant] == ["code_a"]


def test_the_mean_over_domains_weighs_domains_alike_however_many_questions_they_have() -> None:
    tasks = ["math_a"] * 6 + ["math_b"] * 2 + ["code_a"] * 4
    weights = macro_weights(tasks, DOMAINS)
    right = [1.0] * 6 + [0.0] * 2 + [1.0, 0.0, 0.0, 0.0]
    assert sum(weights) == pytest.approx(len(tasks))
    assert macro_mean(right, weights) == pytest.approx(((1 + 0) / 2 + 0.25) / 2)
    change = macro_difference([[0.0] * 12, [0.0] * 12], [right, right], weights)
    assert change.value == pytest.approx(0.375)


def _suite_experiment(lab: Any, gain: float) -> None:
    recipe = """
name: arms
defaults: {model: {base: pocket}, task: pocket-math, matrix: {seed: [1, 2, 3, 4]}}
jobs:
  baseline: {engine: sft, eval: {suite: {tasks: [aime, zebra]}}}
  pcgrad: {engine: sft, learning_rate: 0.5, eval: {suite: {tasks: [aime, zebra]}}}
  curves: {engine: command, argv: [echo], needs: [baseline]}
"""
    draw = random.Random(0)
    protocol = lab.protocol | {"task": "aime+zebra (made)", "domains": {"aime": "math", "zebra": "logic"}}
    for job in lab.submit(recipe):
        events: list[dict[str, Any]] = []
        if job.name.endswith("/eval"):
            share = 0.3 + (gain if "pcgrad" in job.name else 0.0)
            rights = []
            for task in ("aime", "zebra"):
                for number in range(150):
                    right = draw.random() < share
                    rights.append(right)
                    key = f"{task}/{number:04}"
                    fields = {"example_id": key, "sample": 0, "strict": right, "robust": right}
                    fields |= {"extracted": "<1>" if right else "|2|", "gold": '"1"', "task": task}
                    events.append({"kind": "example", "key": f"{key}/0", "fields": fields})
            accuracy = sum(rights) / len(rights)
            events += [
                lab.score(name, accuracy, n=300, low=0.0, high=1.0, protocol=protocol)
                for name in ("strict", "robust")
            ]
            events += [
                lab.score("mean_domains", accuracy),
                lab.score("mean_tasks", accuracy),
                lab.score("grader_errors", 0.0),
            ]
        elif job.engine == "sft":
            events.append(
                {"kind": "metrics", "step": 3, "values": {"validation_reward_mean": 0.5, "kl": 0.01}}
            )
        elif job.name == "curves[seed=1]":
            domain = {
                "values": [0.1, 0.4, 0.3], "intervals": [[0.0, 0.2], [0.3, 0.5], [0.2, 0.4]], "best_epoch": 5,
                "argmax_epoch": 5, "regret_of_global_stop": 0.0, "forgotten": False, "overfitted": True,
            }  # fmt: skip
            found = {"epochs": [0, 5, 10], "mean_domains": [0.1, 0.4, 0.3], "best_epoch": 5, "claims": True}
            events.append(lab.score("evolution", 5, **found, domains={"math": domain}))
        lab.report(job, *events)
        lab.end(job)


def test_a_real_gain_is_recommended_with_its_number_and_the_arms_difference_is_named(
    lab: Any, database: Database
) -> None:
    _suite_experiment(lab, gain=0.35)
    suite = build(database, "arms").suite
    assert suite is not None
    assert (suite.baseline.label, [arm.label for arm in suite.arms]) == ("baseline", ["pcgrad"])
    [primary] = suite.primary
    assert primary.text == "better" and primary.difference.seeds == 4
    assert (
        suite.unlike["pcgrad"] == ["learning_rate: 0.0002 -> 0.5"]
        or "learning_rate" in suite.unlike["pcgrad"][0]
    )
    assert f"{100 * primary.difference.value:+.1f} pp" in recommendations(suite)[0]
    assert suite_json(suite)["primary"][0]["verdict"] == "better"


def test_without_a_difference_nothing_is_recommended_and_what_would_have_shown_is_said(
    lab: Any, database: Database
) -> None:
    _suite_experiment(lab, gain=0.0)
    suite = build(database, "arms").suite
    assert suite is not None
    [line] = recommendations(suite)
    assert "no recommendation: underpowered (MDE" in line


def test_the_report_is_shown_and_written_with_plots_and_json(
    lab: Any, database: Database, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _suite_experiment(lab, gain=0.35)
    monkeypatch.setenv("TUNEDECK_HOME", str(database.home))
    shown = CliRunner().invoke(report, ["arms"])
    assert shown.exit_code == 0, shown.output
    for title in (
        "Verdict",
        "By domain",
        "Evolution: curves",
        "Gained by pcgrad",
        "Recommendations",
    ):
        assert title in shown.output
    assert "tunedeck examples" in shown.output
    page = tmp_path / "report.md"
    written = CliRunner().invoke(report, ["arms", "--out", str(page)])
    assert written.exit_code == 0, written.output
    told = json.loads((tmp_path / "report-comparison.json").read_text())
    assert told["schema"] == 1 and told["domains"] == {"aime": "math", "zebra": "logic"}
    text = page.read_text()
    assert "## By domain" in text and list(tmp_path.glob("report-evolution-*.svg"))
