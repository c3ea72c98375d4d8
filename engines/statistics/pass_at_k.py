"""What several samples a question tell: pass@k, and majority voting among k of them. Exact, no resampling."""

from collections.abc import Sequence
from math import comb, prod


def pass_at_k(n: int, correct: int, k: int) -> float:
    """The chance that one of k samples is right, drawn without replacement from n (Chen et al. 2021, unbiased)."""
    if not 1 <= k <= n:
        raise ValueError(f"k must be 1 to {n}, not {k}")
    if n - correct < k:
        return 1.0
    return 1.0 - prod(1.0 - k / index for index in range(n - correct + 1, n + 1))


def majority_at_k(n: int, correct: int, wrong: Sequence[int], k: int) -> float:
    """The expected vote for the right answer among k of n samples; ties share the vote.

    `correct` samples hold the right answer and `wrong` counts those that hold each of the wrong ones; the rest hold
    no answer and do not vote. With no vote at all the question is lost.
    """
    if not 1 <= k <= n:
        raise ValueError(f"k must be 1 to {n}, not {k}")
    silent = n - correct - sum(wrong)
    won = 0.0
    for votes in range(1, min(correct, k) + 1):
        for (drawn, ties), ways in _ways_not_above(votes, wrong, k - votes).items():
            rest = k - votes - drawn
            won += comb(correct, votes) * ways * comb(silent, rest) / (1 + ties)
    return won / comb(n, k)


def _ways_not_above(votes: int, wrong: Sequence[int], most: int) -> dict[tuple[int, int], int]:
    """Ways to draw wrong answers so that none has more than `votes`, by how many are drawn and how many tie."""
    ways = {(0, 0): 1}
    for count in wrong:
        further: dict[tuple[int, int], int] = {}
        for (drawn, ties), before in ways.items():
            for taken in range(min(count, votes, most - drawn) + 1):
                key = (drawn + taken, ties + (taken == votes))
                further[key] = further.get(key, 0) + before * comb(count, taken)
        ways = further
    return ways


def powers_of_two(n: int) -> list[int]:
    """The k to report for n samples: 1, 2, 4, ... and n itself."""
    return sorted({1 << power for power in range(n.bit_length()) if 1 << power <= n} | {n})
