"""What each step trains on."""

from collections import Counter

import pytest

from engines.ppo.mixture import Mixture, shares_of
from engines.suite.item import make_item


def units(**sizes):
    return {name: [make_item(name, f"{name} {n}", n) for n in range(size)] for name, size in sizes.items()}


def uids(drawn):
    return {name: [item.uid for item in items] for name, items in drawn.items()}


def test_every_unit_has_as_many_questions_in_every_step_and_small_ones_go_round():
    mixture = Mixture(units(small=3, large=8), batch=4, seed=1)
    assert mixture.steps_per_epoch == 4
    steps = [mixture.draw(step) for step in range(4)]
    assert all(
        {name: len(items) for name, items in step.items()} == {"small": 2, "large": 2} for step in steps
    )
    large = Counter(item.uid for step in steps for item in step["large"])
    assert set(large.values()) == {1} and len(large) == 8
    small = Counter(item.uid for step in steps for item in step["small"])
    assert sorted(small.values()) == [2, 3, 3]


def test_it_goes_on_from_its_cursors_as_if_it_had_never_stopped():
    whole, resumed = Mixture(units(a=5, b=7), 4, seed=3), Mixture(units(a=5, b=7), 4, seed=3)
    drawn = [uids(whole.draw(step)) for step in range(10)]
    for step in range(6):
        resumed.draw(step)
    third = Mixture(units(a=5, b=7), 4, seed=3)
    third.cursors = dict(resumed.cursors)
    assert [uids(third.draw(step)) for step in range(6, 10)] == drawn[6:]
    other = Mixture(units(a=5, b=7), 4, seed=4)
    assert [uids(other.draw(step)) for step in range(10)] != drawn


@pytest.mark.parametrize(
    ("sampling", "temperature", "counts"),
    [("equal", 1.0, [6, 6]), ("proportional", 1.0, [1, 11]), ("temperature", 2.0, [3, 9])],
)
def test_how_a_step_is_shared_out(sampling, temperature, counts):
    mixture = Mixture(units(a=10, b=90), 12, 0, sampling=sampling, temperature=temperature)
    assert [len(items) for items in mixture.draw(1).values()] == counts


def test_an_epoch_ends_by_the_largest_smallest_or_mean_unit():
    made = {
        by: Mixture(units(a=10, b=30), 4, 0, epoch_by=by).steps_per_epoch for by in ("max", "min", "mean")
    }
    assert made == {"max": 15, "min": 5, "mean": 10}


def test_without_all_units_in_a_step_they_are_drawn_and_one_may_be_missing():
    mixture = Mixture(units(a=10, b=90), 4, 0, sampling="proportional", all_units=False)
    steps = [mixture.draw(step) for step in range(30)]
    assert all(sum(map(len, step.values())) == 4 for step in steps)
    assert any("a" not in step for step in steps) and any("a" in step for step in steps)


def test_remainders_go_to_the_largest_and_everybody_gets_one():
    assert shares_of([1, 1, 1], 8) == [3, 3, 2]
    assert shares_of([0.001, 1, 1], 5) == [1, 2, 2]
