import pytest
from transformers import AutoTokenizer

from engines.generation.stopping import StopStrings, decode


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.mark.parametrize("stop", ["</SOLUTION>", "\n\n", "€", "apples", "5 * 6"])
def test_a_stop_string_is_seen_at_the_token_that_completes_it_and_not_before(tokenizer, stop):
    text = f"He has 12{stop}and more"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    watch = StopStrings(tokenizer, [stop])
    first = next(n for n in range(1, len(ids) + 1) if watch.completed(ids[:n]))
    complete = [stop in decode(tokenizer, ids[:n]) for n in range(1, len(ids) + 1)]
    assert first == complete.index(True) + 1


def test_text_is_cut_after_the_stop_string_that_ends_first(tokenizer):
    watch = StopStrings(tokenizer, ["cd", "b"])
    assert watch.cut("abcdcd") == ("ab", True)
    assert watch.cut("aaa") == ("aaa", False)


def test_without_stop_strings_nothing_stops(tokenizer):
    watch = StopStrings(tokenizer, [])
    assert not watch.completed([5, 6]) and watch.cut("abc") == ("abc", False)


def test_special_tokens_stay_in_the_text(tokenizer):
    assert (
        decode(tokenizer, tokenizer("a<|im_start|>b", add_special_tokens=False)["input_ids"])
        == "a<|im_start|>b"
    )


def test_a_vocabulary_is_searched_once_for_the_same_stop_strings(tiny_model):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    first, again = (StopStrings(tokenizer, ["</SOLUTION>"]) for _ in range(2))
    assert again._closing is first._closing
    assert StopStrings(tokenizer, ["end"])._closing != first._closing
