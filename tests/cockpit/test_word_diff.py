"""Where two completions differ, word by word."""

import time

from cockpit.word_diff import MOST_WORDS, word_diff


def own(runs: list[tuple[str, bool]]) -> list[str]:
    return [text for text, is_own in runs if is_own]


def test_words_that_only_one_has_stand_out_and_nothing_is_lost() -> None:
    first = "She has 3 apples and eats 1.\nSo 3 - 1 = 2."
    second = "She has 4 apples and eats 1.\nSo 4 - 1 = 3, all in all."
    found = word_diff(first, second)

    assert found is not None
    assert "".join(text for text, _ in found[0]) == first
    assert "".join(text for text, _ in found[1]) == second
    assert own(found[0]) == ["3", "3", "2"]
    assert own(found[1]) == ["4", "4", "3, all in all"]


def test_equal_and_empty_texts_have_nothing_of_their_own() -> None:
    assert word_diff("a b", "a b") == ([("a b", False)], [("a b", False)])
    assert word_diff("", "new") == ([], [("new", True)])


def test_long_texts_are_matched_where_they_differ_and_given_up_where_that_is_everywhere() -> None:
    same = "word " * 20_000
    began = time.process_time()
    found = word_diff(f"{same}one {same}", f"{same}two {same}")
    given_up = word_diff(" ".join(map(str, range(MOST_WORDS))), " ".join(map(str, range(9, MOST_WORDS, 2))))

    assert found is not None and (own(found[0]), own(found[1])) == (["one"], ["two"])
    assert given_up is None
    assert time.process_time() - began < 2
