"""Patterns that people type: linear in the text, and wrong ones explained."""

import time

import pytest

from store.patterns import PatternError, compiled


def test_a_pattern_that_would_keep_pythons_own_busy_for_ever_ends_at_once() -> None:
    started = time.process_time()

    assert compiled("(a|a)+$").search("a" * 100_000 + "b") is None
    # Python's own needs twice as long for every further letter; thirty take minutes.
    assert time.process_time() - started < 5


@pytest.mark.parametrize(("text", "why"), [("(ab", "missing ): (ab"), ("(?=a)b", "invalid perl operator: (?="), ("[z-a]", "invalid character class range: z-a"), ("a{2000}", "invalid repetition size: {2000}")])  # fmt: skip
def test_what_is_no_pattern_is_explained(text: str, why: str) -> None:
    with pytest.raises(PatternError) as caught:
        compiled(text)

    assert why in str(caught.value)


def test_bytes_that_are_no_text_are_searched_too() -> None:
    assert [match.span() for match in compiled(b"(?m)^LOSS$").finditer(b"\xff\xfe\nloss\n\x00loss\n")] == [
        (3, 7)
    ]
    assert compiled(b"LOSS", ignore_case=False).search(b"loss") is None
