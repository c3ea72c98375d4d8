import pytest

from engines.training.prompt_order import prompt_order


def test_every_question_of_the_budget_is_seen_though_the_batches_do_not_fit():
    """TRL's sampler would drop the last 2 of 10 questions in batches of 4, and all 3 of 3."""
    order = prompt_order(10, 4, epochs=1, seed=1)
    assert len(order.positions) == 12 and set(order.positions) == set(range(10)) and order.filled == 2
    assert order.positions[:10] == list(range(10))


def test_two_passes_are_laid_out_as_one_and_each_has_its_own_order():
    order = prompt_order(12, 4, epochs=2, seed=1)
    first, second = order.positions[:12], order.positions[12:]
    assert sorted(first) == sorted(second) == list(range(12)) and first != second and order.filled == 0


def test_a_part_of_a_pass_and_a_number_of_batches():
    assert len(prompt_order(100, 10, epochs=0.5, seed=1).positions) == 50
    order = prompt_order(10, 4, epochs=1, seed=1, batches=7)
    assert len(order.positions) == 28 and order.filled == 0


def test_a_longer_run_begins_as_a_shorter_one_and_another_seed_differs():
    short, long = (prompt_order(10, 5, epochs=epochs, seed=1).positions for epochs in (2, 3))
    assert long[: len(short)] == short
    assert prompt_order(10, 5, epochs=2, seed=2).positions != short


@pytest.mark.parametrize("questions", [4, 5, 7, 9])
def test_no_batch_but_one_across_passes_holds_a_question_twice(questions):
    order = prompt_order(questions, 4, epochs=1, seed=1)
    batches = [order.positions[start : start + 4] for start in range(0, len(order.positions), 4)]
    assert all(len(set(batch)) == 4 for batch in batches[:-1])
