"""Scores of a suite: both published means, clusters as the unit, and failed graders apart from wrong answers."""

import random

import pytest
from rows_by_hand import row

from engines.suite.summary import clustered_interval, summarize_suite


def _scores(rows, **options):
    return {score.name: score for score in summarize_suite(rows, **options)}


def test_the_means_over_tasks_domains_and_questions_are_three_different_things():
    rows = [row("aime", "math", n, right=n < 1) for n in range(2)]
    rows += [row("amc", "math", n, right=True) for n in range(8)]
    rows += [row("zebra", "logic", n, right=False) for n in range(10)]
    scores = _scores(rows)
    assert scores["strict"].value == pytest.approx(9 / 20)
    assert scores["mean_tasks"].value == pytest.approx((0.5 + 1 + 0) / 3)
    assert scores["mean_domains"].value == pytest.approx((0.75 + 0) / 2)
    assert scores["domain.math"].value == pytest.approx(0.75)


def test_livebench_counts_once_where_the_preset_says_so():
    parts = ("livebench_reasoning", "livebench_language", "livebench_data_analysis")
    rows = [row(part, "ood", right=True) for part in parts] + [row("aime", right=False)]
    assert _scores(rows)["mean_tasks"].value == pytest.approx(3 / 4)
    assert _scores(rows, livebench_as_one=True)["mean_tasks"].value == pytest.approx(1 / 2)


def test_a_failed_grader_is_counted_apart_and_never_as_wrong():
    rows = [row(question=n, right=True) for n in range(3)] + [row(question=3, outcome="error")]
    scores = _scores(rows)
    assert (scores["strict"].value, scores["strict"].fields["n"]) == (1.0, 3)
    assert scores["grader_errors"].value == 0.25
    alone = _scores([row(outcome="error")])
    assert (alone["strict"].fields["low"], alone["strict"].fields["high"]) == (0.0, 1.0)


def test_several_answers_give_pass_at_k_and_partial_credit_its_own_mean():
    rows = [row(question=n, sample=s, right=s == 0 and n == 0, score=0.5) for n in range(2) for s in range(4)]
    scores = _scores(rows)
    assert scores["aime.strict"].value == pytest.approx(1 / 8)
    assert scores["aime.pass@1"].value == pytest.approx(1 / 8)
    assert scores["aime.pass@4"].value == pytest.approx(1 / 2)
    assert scores["aime.score"].value == pytest.approx(0.5)
    assert "aime.score" not in _scores([row(right=True)])


def test_repeated_questions_of_one_cluster_are_no_independent_evidence():
    shares, clusters = [1.0, 0.0] * 15, [str(n) for n in range(30)]
    eight_times = clustered_interval(shares * 8, clusters * 8)
    assert eight_times == pytest.approx(clustered_interval(shares, clusters), abs=0.02)
    naive = clustered_interval(shares * 8, [str(n) for n in range(240)])
    assert eight_times[1] - eight_times[0] > 2.5 * (naive[1] - naive[0])


def test_the_clustered_interval_covers_the_truth_as_often_as_it_says():
    draw, covered = random.Random(0), 0
    for _ in range(400):
        shares, clusters = [], []
        for cluster in range(40):
            rate = draw.betavariate(2, 3)
            shares += [float(draw.random() < rate) for _ in range(5)]
            clusters += [str(cluster)] * 5
        low, high = clustered_interval(shares, clusters)
        covered += low <= 0.4 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_the_mean_of_no_rows_is_an_error():
    with pytest.raises(ValueError, match="nothing to summarize"):
        summarize_suite([])
