"""The truth table of early stopping."""

import pytest

from engines.ppo.early_stop import Progress, Rule

RULE = Rule(min_epochs=10, patience=3, min_delta=0.001)
NAN = float("nan")


def run(values, rule=RULE, progress=None, first=1):
    """Validate epoch after epoch until it stops; the progress, and the epoch that it stopped after."""
    progress = progress or Progress()
    for epoch, value in enumerate(values, start=first):
        progress = progress.after(epoch, value, rule)
        if progress.stop:
            return progress, epoch
    return progress, None


@pytest.mark.parametrize(
    ("values", "stopped", "best_epoch"),
    [
        ([0.5] + [0.5005] * 19, 10, 1),  # a rise of half of min_delta is none
        ([0.5] * 20, 10, 1),  # a plateau from the start stops as soon as it may
        ([0.1 * n for n in range(1, 10)] + [0.9] * 11, 12, 9),  # better until 9, then three flat ones
        ([0.1] * 9 + [0.2, 0.2, 0.2, 0.3, 0.3, 0.3, 0.4, 0.4, 0.4, 0.5], None, 19),  # better each third time
        ([0.1 * n for n in range(1, 11)] + [NAN] * 3, 13, 10),
        ([0.1 * n for n in range(1, 11)] + [None] * 3, 13, 10),
        ([NAN] * 12, 10, 0),
        ([1.0 - 0.01 * n for n in range(20)], 10, 1),
    ],
)
def test_when_it_stops(values, stopped, best_epoch):
    progress, epoch = run(values)
    assert epoch == stopped
    assert progress.best_epoch == best_epoch


def test_as_much_better_as_min_delta_is_not_better():
    rule = Rule(min_epochs=0, patience=2, min_delta=0.25)
    assert Progress(best=0.5, best_epoch=1).after(2, 0.75, rule).bad == 1
    assert Progress(best=0.5, best_epoch=1).after(2, 0.7500001, rule).best_epoch == 2


def test_less_is_better_in_mode_min():
    rule = Rule(min_epochs=3, patience=2, min_delta=0.01, mode="min")
    progress, epoch = run([0.9, 0.5, 0.5, 0.495], rule)
    assert epoch == 4 and progress.best == 0.5


def test_what_comes_before_training_sets_the_best_and_is_never_a_bad_one():
    before = Progress().after(0, 0.7, RULE)
    assert (before.best, before.best_epoch, before.bad) == (0.7, 0, 0)
    assert Progress().after(0, NAN, RULE) == Progress()
    assert before.after(1, 0.6, RULE).bad == 1


def test_patience_may_count_epochs_instead_of_validations():
    by_epochs = Rule(min_epochs=0, patience=3, min_delta=0.001, unit="epochs")
    progress = Progress().after(3, 0.5, by_epochs)
    assert progress.after(
        6, 0.5, by_epochs
    ).stop  # validated every third epoch: one flat validation is three epochs
    assert not Progress().after(3, 0.5, RULE).after(6, 0.5, RULE).stop


def test_a_resumed_run_stops_where_an_uninterrupted_one_does():
    values = [0.1 * n for n in range(1, 10)] + [0.9] * 11
    half, _ = run(values[:11])
    assert run(values[11:], progress=half, first=12)[1] == run(values)[1] == 12
