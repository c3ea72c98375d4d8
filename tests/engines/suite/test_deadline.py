"""Processes that answer in time or are replaced."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from serving import dies_on_zero, does_not_start, doubles, hangs_on_zero

from engines.suite.deadline import Pool


@pytest.fixture
def pool_of():
    pools = []

    def make(serve, size=2):
        pools.append(Pool(serve, "is tried here", size))
        return pools[-1]

    yield make
    for pool in pools:
        pool.stop()


def test_many_threads_get_the_replies_to_their_own_questions(pool_of):
    pool = pool_of(doubles)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda number: pool.ask(number, 60), range(50))) == [2 * n for n in range(50)]


@pytest.mark.parametrize("serve", [hangs_on_zero, dies_on_zero])
def test_a_process_that_hangs_or_dies_is_replaced_and_the_next_question_is_answered(pool_of, serve):
    pool = pool_of(serve, size=1)
    assert pool.ask(3, 60) == 3
    assert pool.ask(0, 1) is None
    assert pool.ask(4, 60) == 4


def test_a_process_that_does_not_start_is_an_error_and_no_answer(pool_of):
    with pytest.raises(RuntimeError, match="the process that is tried here did not start"):
        pool_of(does_not_start).ask(1, 1)
