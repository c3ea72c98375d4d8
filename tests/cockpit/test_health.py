"""Verdicts on simulated curves: healthy ones are left alone, planted faults are found."""

import math
import random
from collections.abc import Callable

import pytest

from cockpit import health
from cockpit.health import Severity, Verdict
from store.metrics import Bucket

RUNS = 1000
Judge = Callable[[list[Bucket]], Verdict | None]


def buckets(values: list[float], size: int = 1) -> list[Bucket]:
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    return [Bucket(i * size, i * size + len(g) - 1, min(g), max(g), 0) for i, g in enumerate(groups)]


def healthy(draw: random.Random, steps: int) -> list[float]:
    """A loss that falls as a power or an exponential, with noise that is normal, skewed, heavy or correlated."""
    start, floor = draw.uniform(1, 6), draw.uniform(0.2, 2)
    power, rate = draw.uniform(0.2, 0.6), steps / draw.uniform(1.5, 3)
    falls_as_power, noise, kind = draw.random() < 0.5, draw.uniform(0.02, 0.25), draw.randrange(4)
    last, values = 0.0, []
    for step in range(1, steps + 1):
        trend = floor + start * (step**-power if falls_as_power else math.exp(-step / rate))
        if kind == 0:
            factor = max(1 + draw.gauss(0, noise), 0.05)
        elif kind == 1:
            factor = draw.lognormvariate(0, noise)
        elif kind == 2:
            factor = max(1 + noise * draw.gauss(0, 1) / math.sqrt(draw.gammavariate(2.5, 0.4)), 0.05)
        else:
            last = 0.9 * last + draw.gauss(0, noise * 0.44)
            factor = max(1 + last, 0.05)
        values.append(trend * factor)
    return values


LOSS_JUDGES: dict[str, Judge] = {
    "not-finite": lambda found: health.not_finite("loss", found),
    "spike": lambda found: health.spike("loss", found),
    "divergence": lambda found: health.divergence("loss", found),
    "plateau": lambda found: health.plateau("loss", found),
}


def test_healthy_losses_are_left_alone() -> None:
    draw = random.Random(1)
    alarms = dict.fromkeys(LOSS_JUDGES, 0)
    for _ in range(RUNS):
        found = buckets(healthy(draw, draw.choice((60, 150, 400))), draw.choice((1, 1, 8)))
        for name, judge in LOSS_JUDGES.items():
            alarms[name] += judge(found) is not None
    assert max(alarms.values()) <= RUNS // 100, alarms


def planted(draw: random.Random, kind: str) -> list[float]:
    steps = 400
    start, noise = draw.uniform(2, 6), draw.uniform(0.02, 0.08)
    values = [(0.5 + start * math.exp(-step / 130)) * draw.lognormvariate(0, noise) for step in range(steps)]
    at = draw.randrange(150, 300)
    if kind == "not-finite":
        values[at] = math.inf
    if kind == "spike":
        values[at : at + 3] = [value * draw.uniform(3, 6) for value in values[at : at + 3]]
    if kind == "divergence":
        values[at:] = [value * (1 + (i / 60)) for i, value in enumerate(values[at:])]
    if kind == "plateau":
        values = [
            (0.5 + start * math.exp(-step / 25)) * draw.lognormvariate(0, noise / 4) for step in range(steps)
        ]
    return values


@pytest.mark.parametrize("kind", LOSS_JUDGES)
def test_planted_faults_of_a_loss_are_found(kind: str) -> None:
    draw = random.Random(2)
    found = [LOSS_JUDGES[kind](buckets(planted(draw, kind))) for _ in range(100)]
    assert sum(one is not None for one in found) >= 95
    told = next(one for one in found if one)
    assert told.kind == kind and "loss" in told.words and "step" in told.words


SHARES: dict[str, tuple[Judge, Callable[[random.Random, int], float], Callable[[random.Random, int], float]]] = {
    "dead-groups": (
        lambda found: health.stays_above("dead-groups", "groups without a signal", found, 0.8, 0.95),
        lambda draw, step: sum(draw.random() < 0.5 for _ in range(8)) / 8,
        lambda draw, step: sum(draw.random() < (0.5 if step < 60 else 0.97) for _ in range(8)) / 8,
    ),
    "clipped": (
        lambda found: health.stays_above("clipped", "completions cut", found, 0.25, 0.5),
        lambda draw, step: sum(draw.random() < 0.1 for _ in range(64)) / 64,
        lambda draw, step: sum(draw.random() < 0.1 + step / 150 for _ in range(64)) / 64,
    ),
    "entropy": (
        health.entropy_collapse,
        lambda draw, step: 0.6 * math.exp(-step / 80) * draw.lognormvariate(0, 0.2) + 0.1,
        lambda draw, step: 0.6 * math.exp(-step / 25) * draw.lognormvariate(0, 0.2),
    ),
    "length": (
        health.length_growth,
        lambda draw, step: (200 + step) * draw.lognormvariate(0, 0.2),
        lambda draw, step: 200 * math.exp(step / 90) * draw.lognormvariate(0, 0.1),
    ),
    "stall": (
        lambda found: health.slower(found, "steps a second"),
        lambda draw, step: draw.lognormvariate(0, 0.4) * (0.2 if draw.random() < 0.05 else 1),
        lambda draw, step: draw.lognormvariate(0, 0.2) * (0.15 if step >= 105 else 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHARES)
def test_what_reinforcement_learning_and_hardware_do_is_judged_as_rarely_wrong(kind: str) -> None:
    judge, fine, faulty = SHARES[kind]
    draw = random.Random(3)
    alarms = sum(judge(buckets([fine(draw, step) for step in range(120)])) is not None for _ in range(RUNS))
    assert alarms <= RUNS // 100
    found = [judge(buckets([faulty(draw, step) for step in range(120)])) for _ in range(100)]
    assert sum(one is not None for one in found) >= 95
    assert next(one for one in found if one).kind == kind


def utilisation(values: list[float], every: int = 10) -> list[Bucket]:
    return [Bucket(i * every, i * every, value, value, 0) for i, value in enumerate(values)]


def test_a_card_is_idle_only_after_ten_minutes_of_nothing_and_not_while_it_starts() -> None:
    draw = random.Random(4)
    for _ in range(RUNS):
        # Training with pauses for evaluation and checkpoints of up to four minutes.
        busy = [0.0 if (i // 24) % 3 == 2 else draw.uniform(40, 100) for i in range(draw.randrange(20, 300))]
        assert health.idle_gpu("0", utilisation(busy)) is None
    assert health.idle_gpu("0", utilisation([0.0] * 80)) is None
    assert health.idle_gpu("0", []) is None
    found = health.idle_gpu("0", utilisation([90.0] * 40 + [0.0, 1.0, 2.0] * 25))
    assert found is not None and "GPU 0 has been idle for 10m 00s" in found.words


def test_words_say_what_when_and_how_much() -> None:
    broken = buckets([1.0, 2.0, 3.0])
    broken[1] = Bucket(1, 1, None, None, 1)
    told = health.not_finite("loss", broken)
    assert told is not None and told.severity is Severity.ATTENTION
    assert told.words == "loss is NaN or infinite 1 time, first near step 1, last near step 1"
    now = health.not_finite("loss", broken[:2])
    assert now is not None and now.severity is Severity.BAD

    jump = [1.0 + 0.01 * (i % 5) for i in range(100)] + [5.0, 5.0, 5.0]
    spiked = health.spike("loss", buckets(jump))
    assert (
        spiked is not None and spiked.severity is Severity.BAD and "spiked to 5 near step 100" in spiked.words
    )
    over = health.spike("loss", buckets(jump + [1.0] * 20))
    assert over is not None and over.severity is Severity.ATTENTION and "it has recovered" in over.words


@pytest.mark.parametrize("values", [[], [1.0], [0.0] * 300, [-1.0] * 300])
def test_short_and_odd_series_have_no_verdict_that_fails(values: list[float]) -> None:
    for judge in (*LOSS_JUDGES.values(), *(judge for judge, _, _ in SHARES.values())):
        told = judge(buckets(values))
        assert told is None or told.kind in ("plateau", "dead-groups")
