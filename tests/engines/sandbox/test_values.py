"""Values cross the wall as data, and as nothing else."""

import enum
import math
from collections import Counter, OrderedDict, defaultdict, namedtuple

import pytest

from engines.sandbox import Comparison, NotPlainError, decode, encode, matches, same_output

PLAIN = [
    None, True, 0, -7, 10**5000, 1.5, -0.0, "é\ud800\n", b"\x00x", 1 + 2j, [], [1, [2]], (1, (2, "x")), {1, 2}, frozenset({"a"}),
    {"a": [1], 2: (3,), (4, 5): {6}}, math.inf, -math.inf, {"tuple": [1]}, {"int": "0x1"},
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=map(str, range(len(PLAIN))))
def test_plain_values_come_back_as_they_were(value):
    back = decode(encode(value))

    assert back == value and type(back) is type(value)


def test_not_a_number_comes_back():
    assert math.isnan(decode(encode([math.nan]))[0])


def test_instances_of_subclasses_cross_as_the_value_below_whatever_they_claim():
    class Colour(enum.IntEnum):
        RED = 3

    class Liar(int):
        def __eq__(self, other):
            return True

        __hash__ = None

        def __index__(self):
            return 9

    Pair = namedtuple("Pair", "a b")
    counted = defaultdict(int)
    counted["a"] = 1

    back = decode(encode([Colour.RED, Liar(4), Pair(1, 2), counted, OrderedDict(a=1), Counter("aa")]))

    assert back == [3, 4, (1, 2), {"a": 1}, {"a": 1}, {"a": 2}]
    assert [type(value) for value in back[:4]] == [int, int, tuple, dict]


@pytest.mark.parametrize("value", [object(), iter([1]), len, type("X", (), {})()])
def test_what_is_no_data_is_refused(value):
    with pytest.raises(NotPlainError):
        encode(value)


def test_what_is_too_large_or_too_deep_is_refused():
    deep: list[object] = []
    for _ in range(1000):
        deep = [deep]
    cycle: list[object] = []
    cycle.append(cycle)

    for value in (deep, cycle, "x" * 2000, [0] * 2000):
        with pytest.raises(NotPlainError):
            encode(value, limit=1000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        '{"tuple": 1}',
        '{"set": [[1]]}',
        '{"float": "1e9"}',
        '{"eval": "1"}',
        '{"a": 1, "b": 2}',
        "[" * 5000,
    ],
)
def test_a_forged_transport_form_raises_nothing_but_the_named_error(text):
    with pytest.raises(NotPlainError):
        decode(text)


def test_a_forged_set_cannot_hold_the_parent_up():
    with pytest.raises(NotPlainError, match="members"):
        decode('{"set": [' + ",".join(str(k * (2**61 - 1)) for k in range(20_000)) + "]}")


@pytest.mark.parametrize(
    ("expected", "value", "how", "same"),
    [
        (1, 1, Comparison(), True),
        (1, 1.0, Comparison(), True),
        (1, True, Comparison(), True),
        (1, 1.0, Comparison(exact_types=True), False),
        (1, True, Comparison(exact_types=True), False),
        (0.1 + 0.2, 0.3, Comparison(), True),
        (1e9, 1e9 + 100, Comparison(), True),
        (1.0, 1.001, Comparison(), False),
        (10**20, 10**20 + 1, Comparison(), False),
        (math.nan, math.nan, Comparison(), True),
        (math.inf, 1e308, Comparison(), False),
        (1.0, math.inf, Comparison(), False),
        (0.5, 10**400, Comparison(), False),
        ([1, 2], (1, 2), Comparison(), False),
        ([1, 2], (1, 2), Comparison(sequences_alike=True), True),
        ([[1, 2], 3], [(1, 2), 3], Comparison(sequences_alike=True), True),
        ([1, 2, 2], [2, 1, 2], Comparison(multiset=True), True),
        ([1, 2, 2], [2, 1, 1], Comparison(multiset=True), False),
        ([1, 2], [2, 1], Comparison(), False),
        ({"a": 0.3}, {"a": 0.1 + 0.2}, Comparison(), True),
        ({"a": 1}, {"a": 1, "b": 2}, Comparison(), False),
        ({1, 2}, frozenset({1, 2}), Comparison(), True),
        ("1", 1, Comparison(), False),
        (None, False, Comparison(), False),
        ("a", b"a", Comparison(), False),
    ],
)
def test_values_are_compared_as_the_comparison_says(expected, value, how, same):
    assert matches(expected, value, how) is same


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("1 2\n3\n", "1  2 \n3", True),
        ("YES\n", "YES", True),
        ("YES", "yes", False),
        ("1.0", "1.0000001", True),
        ("1.0", "1.1", False),
        ("3", "3.0", True),
        ("100000000000000000000", "100000000000000000001", False),
        ("1 2", "1\n2", False),
        ("0.5", ".5", True),
        ("5", "nan", False),
        ("1e5", "100000", True),
        ("1", "1_0", False),
        ("1", "1e999999999", False),
        ("", "", True),
        ("1", "", False),
    ],
)
def test_printed_output_is_compared_by_tokens_and_numbers_by_value(expected, printed, same):
    assert same_output(expected, printed) is same
