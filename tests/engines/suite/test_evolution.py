"""Learning curves: the best stop is not the luckiest one, and a drop is claimed only where it is more than noise."""

import random

import pytest
from rows_by_hand import row

from engines.suite.evolution import Point, analyse
from engines.suite.summary import summarize_suite


def _point(epoch, shares, questions=200, seed=0):
    """A checkpoint that gets a share of each domain right: a prefix of its questions, so pairs agree."""
    rows = [
        row(f"{domain}_task", domain, n, right=n < share * questions)
        for domain, share in shares.items()
        for n in range(questions)
    ]
    return Point(epoch, rows)


def test_the_best_stop_is_the_earliest_within_one_standard_error_of_the_largest():
    values = [0.30, 0.60, 0.61, 0.62, 0.60]
    found = analyse([_point(e, {"math": v}) for e, v in enumerate(values)], {})
    domain = found["domains"]["math"]
    assert (domain["argmax_epoch"], domain["best_epoch"], found["best_epoch"]) == (3, 1, 1)
    assert domain["values"] == values
    assert domain["epochs_to_nine_tenths"] == 1


def test_what_falls_below_its_start_is_forgotten_and_what_only_wavers_is_not():
    shares = [
        {"math": 0.3, "code": 0.6},
        {"math": 0.5, "code": 0.5},
        {"math": 0.6, "code": 0.3},
        {"math": 0.59, "code": 0.3},
    ]
    found = analyse([_point(5 * e, one) for e, one in enumerate(shares)], {})["domains"]
    assert found["code"]["forgotten"] and found["code"]["since_start"]["difference"] < -0.25
    assert not found["math"]["forgotten"] and not found["math"]["overfitted"]


def test_a_domain_that_falls_while_training_still_rises_is_overfitted():
    values = [0.3, 0.7, 0.6, 0.5, 0.4]
    points = [_point(e, {"math": v}) for e, v in enumerate(values)]
    assert analyse(points, {e: 0.1 * e for e in range(5)})["domains"]["math"]["overfitted"]
    assert not analyse(points, {e: -0.1 * e for e in range(5)})["domains"]["math"]["overfitted"]
    assert not analyse(points, {})["domains"]["math"]["overfitted"], "nothing is known of training"


def test_one_common_stop_costs_a_domain_what_it_had_at_its_own_best():
    points = [
        _point(e, {"math": m, "code": c}) for e, (m, c) in enumerate([(0.2, 0.9), (0.8, 0.6), (0.9, 0.5)])
    ]
    found = analyse(points, {})
    at = found["epochs"].index(found["best_epoch"])
    for name in ("math", "code"):
        domain = found["domains"][name]
        assert domain["regret_of_global_stop"] == max(domain["values"]) - domain["values"][at]


def test_two_checkpoints_give_values_and_no_claims():
    found = analyse([_point(0, {"math": 0.9}), _point(5, {"math": 0.1})], {})
    assert "forgotten" not in found["domains"]["math"] and "2 checkpoints" in found["claims"]


def test_wavering_without_a_trend_is_hardly_ever_called_forgetting_or_overfitting():
    draw, alarms = random.Random(1), 0
    for _ in range(60):
        points = []
        for epoch in range(6):
            rows = [row("t", "math", n, right=draw.random() < 0.5) for n in range(80)]
            points.append(Point(epoch, rows))
        found = analyse(points, {e: 0.1 * e for e in range(6)})["domains"]["math"]
        alarms += found["forgotten"] or found["overfitted"]
    assert alarms <= 6


def test_questions_that_a_grader_failed_on_are_left_out_at_every_checkpoint():
    good = [row("t", "math", n, right=True) for n in range(4)]
    broken = [*good[:3], row("t", "math", 3, outcome="error")]
    found = analyse([Point(0, good), Point(1, broken)], {})
    assert found["domains"]["math"]["questions"] == 3


def test_a_domain_is_the_mean_of_its_tasks_as_in_its_score():
    def point(epoch, small, large):
        rows = [row("aime", "math", n, right=n < small * 20) for n in range(20)]
        return Point(epoch, rows + [row("math500", "math", n, right=n < large * 300) for n in range(300)])

    points = [point(0, 0.8, 0.1), point(1, 0.5, 0.1), point(2, 0.1, 0.1)]
    found = analyse(points, {})["domains"]["math"]
    scores = [{score.name: score.value for score in summarize_suite(one.rows)} for one in points]
    assert found["values"] == pytest.approx([one["domain.math"] for one in scores])
    assert found["since_start"]["difference"] == pytest.approx(-0.35)
    for value, (low, high) in zip(found["values"], found["intervals"], strict=True):
        assert 0 <= low < value < high <= 1


def test_a_best_that_was_picked_pays_for_it_though_it_is_the_first():
    found = analyse([_point(e, {"math": v}, questions=40) for e, v in enumerate([0.6, 0.55, 0.5, 0.45])], {})
    domain = found["domains"]["math"]
    assert domain["since_best"]["difference"] == domain["since_start"]["difference"]
    assert domain["since_best"]["p"] == pytest.approx(min(1.0, 3 * domain["since_start"]["p"]))
