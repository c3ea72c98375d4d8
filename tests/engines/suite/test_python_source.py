"""Threads may parse at the same time, also while the garbage collector lets one run in the middle of another's tree."""

import gc
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from engines.suite.python_source import literal, parse

SOURCE = "x = " + "(" * 20 + "[{'a': (1, -2)}, f(g(3))]" + ")" * 20 + "\n"


@pytest.fixture
def collector_that_yields():
    def let_others_run(_phase, _info):
        time.sleep(0)

    before = gc.get_threshold()
    gc.callbacks.append(let_others_run)
    gc.set_threshold(50)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(let_others_run)


@pytest.mark.usefixtures("collector_that_yields")
def test_trees_are_built_whole_while_other_threads_build_theirs():
    with ThreadPoolExecutor(8) as threads:
        trees = list(threads.map(lambda copies: parse(SOURCE * copies), [30, 5] * 40))

    assert [len(tree.body) for tree in trees] == [30, 5] * 40


@pytest.mark.usefixtures("collector_that_yields")
def test_literals_are_read_whole_while_other_threads_read_theirs():
    values = [[{str(number): (number, [-number] * 30)}] * 20 for number in range(80)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(literal, map(repr, values))) == values


def test_errors_of_the_source_come_through():
    with pytest.raises(SyntaxError):
        parse("x = (")
    with pytest.raises(ValueError, match="malformed"):
        literal("f(1)")
    assert parse("1 + 2", mode="eval").body.lineno == 1
