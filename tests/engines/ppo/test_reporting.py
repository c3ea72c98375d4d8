"""Figures of rollouts and validations, and the rewards behind them."""

import json

import pytest
import torch

from engines.ppo.experience import Experience
from engines.ppo.fields import RewardBlock
from engines.ppo.reporting import SurgeryLog, experience_figures, validation_figures
from engines.ppo.rollout import reward_of
from engines.suite.item import SuiteGrade, graded, grader_error, make_item, no_answer


@pytest.mark.parametrize(
    ("grade", "block", "reward"),
    [
        (graded(True, "7", "box", asked_for=True), {}, 1.0),
        (graded(False, "7", "box", asked_for=True, score=0.5), {}, 0.5),
        (graded(False, "7", "box", asked_for=True, score=0.5), {"partial_credit": False}, 0.0),
        (graded(True, "7", "last_number", asked_for=False), {}, 0.0),
        (graded(True, "7", "last_number", asked_for=False), {"lenient": True}, 1.0),
        (graded(True, "7", "last_number", asked_for=False), {"format_bonus": 0.1}, 0.0),
        (graded(False, "7", "last_number", asked_for=False), {"format_bonus": 0.1}, 0.0),
        (graded(False, "7", "box", asked_for=True), {"format_bonus": 0.1}, 0.1),
        (graded(True, "7", "box", asked_for=True), {"format_bonus": 0.1}, 1.1),
        (no_answer(), {"format_bonus": 0.1, "lenient": True}, 0.0),
        (grader_error("broken"), {"format_bonus": 0.1}, 0.0),
    ],
)
def test_what_a_graded_completion_earns(grade: SuiteGrade, block, reward):
    assert reward_of(grade, RewardBlock(**block)) == pytest.approx(reward)


def test_validation_means_are_over_tasks_and_over_questions_and_a_failed_grader_counts_in_none(make_row):
    from dataclasses import replace

    def row(task, score, outcome="graded"):
        made = make_row([1], [2], reward=score, outcome=outcome)
        return replace(made, item=make_item(task, "?", 1), score=score)

    rows = [row("a", 1.0), row("a", 1.0), row("a", 0.0), row("b", 0.5), row("b", 0.0, "error")]
    found = validation_figures(rows)
    assert found["validation_reward/a"] == pytest.approx(2 / 3) and found["validation_reward/b"] == 0.5
    assert found["validation_reward_mean"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["validation_reward_micro"] == pytest.approx(2.5 / 4)
    assert validation_figures([row("a", 0.0, "error")]) == {}


def test_what_an_interrupted_attempt_wrote_of_later_steps_is_taken_back(tmp_path):
    journal = tmp_path / "surgery.jsonl"
    journal.write_text("".join(json.dumps({"step": step}) + "\n" for step in (1, 6, 11)) + '{"step": 16, "ta')
    SurgeryLog(tmp_path, ["a"], done=6)
    assert [json.loads(line)["step"] for line in journal.read_text().splitlines()] == [1, 6]


def test_training_figures_leave_out_what_a_grader_failed_on(make_row):
    rows = [
        make_row([1], [2], group=0, reward=1.0, in_format=True),
        make_row([1], [2], group=0, reward=1.0),
        make_row([1], [2], group=0, outcome="error"),
    ]
    zeros = torch.zeros(3, 1)
    seen = Experience(
        rows, [0, 0, 0], torch.tensor([[1.0], [1.0], [0.0]]), zeros, zeros, zeros, None, zeros, zeros, set()
    )
    found = experience_figures(seen, ["math"], critic=False)
    assert found["train_reward_mean"] == found["reward/math"] == 1.0 and found["zero_reward/math"] == 0.0
    assert found["zero_advantage/math"] == 1.0
    assert found["format_rate"] == pytest.approx(1 / 3)
