from collections import Counter
from itertools import combinations

import pytest

from engines.statistics.pass_at_k import majority_at_k, pass_at_k, powers_of_two


def majority_vote(drawn):
    votes = Counter(answer for answer in drawn if answer is not None)
    best = max(votes.values(), default=0)
    winners = [answer for answer, count in votes.items() if count == best]
    return (1 / len(winners)) if "right" in winners else 0.0


@pytest.mark.parametrize("correct", range(7))
@pytest.mark.parametrize("k", range(1, 7))
def test_pass_at_k_equals_counting_every_subset(correct, k):
    subsets = list(combinations([True] * correct + [False] * (6 - correct), k))
    assert pass_at_k(6, correct, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@pytest.mark.parametrize(
    "answers",
    [
        ["right"] * 3 + ["a"] * 3 + ["b"],
        ["right"] * 2 + ["a", "b", "c", "d", None],
        ["right"] + ["a"] * 4 + [None] * 2,
        ["a"] * 3 + [None] * 4,
        ["right"] * 7,
        [None] * 7,
    ],
)
@pytest.mark.parametrize("k", [1, 2, 3, 5, 7])
def test_majority_at_k_equals_voting_in_every_subset(answers, k):
    counts = Counter(answers)
    wrong = [count for answer, count in counts.items() if answer not in ("right", None)]
    expected = [majority_vote(drawn) for drawn in combinations(answers, k)]
    assert majority_at_k(7, counts["right"], wrong, k) == pytest.approx(sum(expected) / len(expected))


def test_more_samples_than_there_are_cannot_be_drawn():
    with pytest.raises(ValueError, match="k must be 1 to 4"):
        pass_at_k(4, 1, 5)
    with pytest.raises(ValueError, match="k must be 1 to 4"):
        majority_at_k(4, 1, [], 0)


def test_the_reported_k_are_powers_of_two_and_all_samples():
    assert powers_of_two(1) == [1]
    assert powers_of_two(8) == [1, 2, 4, 8]
    assert powers_of_two(10) == [1, 2, 4, 8, 10]


def test_many_samples_stay_exact_and_quick():
    assert majority_at_k(64, 30, [20, 5, 3, 1, 1], 64) == 1.0
    assert 0.5 < majority_at_k(64, 30, [20, 5, 3, 1, 1], 16) < 1.0
