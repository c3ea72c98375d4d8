"""How often verdicts are wrong, and how often they find what is there: ours against lm-eval's unpaired z-test.

    python benchmarks/verdict_simulation.py [--trials 1000] [--seed 1]

Two models answer the same questions, which differ in difficulty, as benchmarks do: that is what makes pairs worth more
than two separate samples. In each trial both tests judge the same answers. lm-eval's test is the one of its model
comparator: z = (a - b) / sqrt(stderr_a^2 + stderr_b^2). Errors of the shares: about 0.7 points at 5 % of 1,000 trials.
"""

import argparse
import math
import random
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Any

from cockpit.comparison import Entry, Verdict, judge
from engines.statistics.intervals import holm

LEVEL = 0.05
SPREAD = 2.0
"""Standard deviation of the questions' difficulty, in logits."""


@dataclass(frozen=True)
class Scenario:
    """Two models, `gain` logits apart."""

    questions: int
    samples: int
    ability: float
    gain: float

    def true_difference(self) -> float:
        """Of the accuracies over all questions there could be, by the trapezoidal rule over their difficulty."""
        grid = [step / 100 for step in range(-600, 601)]
        weights = [NormalDist().pdf(z) for z in grid]
        gained = [
            _logistic(self.ability + self.gain + SPREAD * z) - _logistic(self.ability + SPREAD * z)
            for z in grid
        ]
        return sum(w * g for w, g in zip(weights, gained, strict=True)) / sum(weights)


@dataclass
class Tally:
    """What the trials of a scenario came to, as shares."""

    found: float = 0.0
    theirs_found: float = 0.0
    covered: float = 0.0
    theirs_covered: float = 0.0
    width: float = 0.0
    theirs_width: float = 0.0


SCENARIOS = {
    "no difference": [Scenario(100, 1, 0.5, 0.0), Scenario(200, 1, 0.5, 0.0), Scenario(1319, 1, 0.5, 0.0), Scenario(200, 1, 3.0, 0.0), Scenario(60, 8, 0.5, 0.0)],
    "a difference": [Scenario(200, 1, 0.5, 0.6), Scenario(500, 1, 0.5, 0.4), Scenario(1319, 1, 0.5, 0.25), Scenario(60, 8, 0.5, 0.4)],
}  # fmt: skip


def answers(scenario: Scenario, chance: random.Random) -> tuple[Entry, Entry]:
    """Both models' answers to the same questions."""
    outcomes: list[dict[tuple[str, int], bool]] = [{}, {}]
    for question in range(scenario.questions):
        difficulty = chance.gauss(0, SPREAD)
        for model, ability in enumerate((scenario.ability, scenario.ability + scenario.gain)):
            p = _logistic(ability + difficulty)
            for sample in range(scenario.samples):
                outcomes[model][f"q{question:05}", sample] = chance.random() < p
    nobody: Any = None  # a verdict needs the answers and the protocol, not the job
    first, second = (Entry(nobody, "", {}, {"strict": given}) for given in outcomes)
    return first, second


def unpaired(first: Entry, second: Entry) -> tuple[float, float, float]:
    """lm-eval's p, and the interval that belongs to it."""
    means, errors = [], []
    for entry in (first, second):
        shares: dict[str, list[bool]] = {}
        for (question, _), right in entry.outcomes["strict"].items():
            shares.setdefault(question, []).append(right)
        values = [fmean(given) for given in shares.values()]
        mean = fmean(values)
        variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
        means.append(mean)
        errors.append(variance / len(values))
    error = math.sqrt(sum(errors))
    difference = means[1] - means[0]
    p = 2 * NormalDist().cdf(-abs(difference) / error) if error else 1.0
    half = NormalDist().inv_cdf(1 - LEVEL / 2) * error
    return p, difference - half, difference + half


def simulate(scenario: Scenario, trials: int, seed: int) -> Tally:
    """Shares over the trials."""
    chance, truth, tally = random.Random(f"{seed}/{scenario}"), scenario.true_difference(), Tally()
    for _ in range(trials):
        first, second = answers(scenario, chance)
        verdict: Verdict = judge(first, second, "strict")
        p, low, high = unpaired(first, second)
        tally.found += (verdict.p < LEVEL) / trials
        tally.theirs_found += (p < LEVEL) / trials
        tally.covered += (verdict.low <= truth <= verdict.high) / trials
        tally.theirs_covered += (low <= truth <= high) / trials
        tally.width += (verdict.high - verdict.low) / trials
        tally.theirs_width += (high - low) / trials
    return tally


def families(trials: int, seed: int, models: int = 5) -> tuple[float, float]:
    """How often a table of equal models has any false verdict: with Holm's correction, and without."""
    chance, with_holm, without = random.Random(f"{seed}/families"), 0, 0
    scenario = Scenario(200, 1, 0.5, 0.0)
    for _ in range(trials):
        difficulties = [chance.gauss(0, SPREAD) for _ in range(scenario.questions)]
        entries = []
        for _ in range(models + 1):
            given = {
                (f"q{index:05}", 0): chance.random() < _logistic(scenario.ability + difficulty)
                for index, difficulty in enumerate(difficulties)
            }
            nobody: Any = None
            entries.append(Entry(nobody, "", {}, {"strict": given}))
        ps = [judge(entries[0], entry, "strict").p for entry in entries[1:]]
        with_holm += min(holm(ps)) < LEVEL
        without += min(ps) < LEVEL
    return with_holm / trials, without / trials


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for title, scenarios in SCENARIOS.items():
        what = "false alarms" if title == "no difference" else "found"
        print(f"\n{title}, {arguments.trials} trials each: ours / lm-eval's")
        print(
            f"{'questions x samples':<21}{'true, points':>13}{what:>18}{'95 % covers':>18}{'width, points':>18}"
        )
        for scenario in scenarios:
            tally = simulate(scenario, arguments.trials, arguments.seed)
            print(
                f"{f'{scenario.questions} x {scenario.samples}':<21}{100 * scenario.true_difference():>13.1f}"
                f"{f'{tally.found:.1%} / {tally.theirs_found:.1%}':>18}"
                f"{f'{tally.covered:.1%} / {tally.theirs_covered:.1%}':>18}"
                f"{f'{100 * tally.width:.1f} / {100 * tally.theirs_width:.1f}':>18}"
            )
    corrected, plain = families(arguments.trials, arguments.seed)
    print(
        f"\nfive equal models against a baseline, any false alarm: {corrected:.1%} (uncorrected {plain:.1%})"
    )


if __name__ == "__main__":
    main()
